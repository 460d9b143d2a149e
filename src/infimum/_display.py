"""How records show themselves: a few words at the prompt, a small table in a notebook, public names for completion."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from infimum._arguments import optional
from infimum._arrays import is_array

LINE = 88  # characters of one line at the prompt
LONGEST = 60  # characters of one value
LISTED = 4  # numbers that are listed one by one
TABLE = 1800  # characters of a table in a notebook
DRAWN = 2**22  # entries of an answer that is drawn without being asked for: more take seconds
STYLE = "text-align:left"


def described(item: Any) -> str:
    """Describe a value in a few words: an array by its shape and dtype, a number as it is."""
    if is_array(item):
        return f"{tuple(item.shape)} {str(item.dtype).removeprefix('torch.')}"
    if isinstance(item, int) and item.bit_length() > 3 * LONGEST:
        return f"a whole number of {item.bit_length()} bits"
    if isinstance(item, float):
        return f"{item:.6g}"
    if isinstance(item, list | tuple):
        entries = [described(entry) for entry in item[: LISTED + 1]]
        listed = f"({', '.join(entries)}{',' * (len(item) == 1)})"
        return listed if len(item) <= LISTED and len(listed) <= LONGEST else f"{len(item)} in all"
    if isinstance(item, Mapping):
        return f"{len(item)} in all"
    if isinstance(item, Shown):
        certificate = getattr(item, "certificate", "")
        return f"{type(item).__name__}{', ' * bool(certificate)}{certificate}"
    text = " ".join(str(item).split())
    if not isinstance(item, str) and (callable(item) or text.startswith("<")):  # it has no words of its own
        return str(getattr(item, "__name__", type(item).__name__))
    text = text if text.isprintable() else ascii(text)[1:-1]  # nothing that steers a terminal
    return text if len(text) <= LONGEST or hasattr(item, "lower_bound") else f"{text[:LONGEST]}..."


def facts_of(record: Any) -> dict[str, str]:
    """Describe the fields of a dataclass or a named tuple, but for those that are as they are by default."""
    if not dataclasses.is_dataclass(record):
        return {name: described(item) for name, item in record._asdict().items() if item is not None}
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    usual = {field.name: field.default for field in dataclasses.fields(record) if not is_array(fields[field.name])}
    fields |= {"certificate": fields.pop("certificate", None)}  # last, as what is said of the others
    shown = {name: item for name, item in fields.items() if item is not None and not _is(item, usual.get(name))}
    return {name: described(item) for name, item in shown.items()}


def _is(item: Any, default: Any) -> bool:
    return type(item) is type(default) and bool(item == default)


def words(record: Any, facts: Mapping[str, str]) -> str:
    """Return what stands at the prompt: the class, and its facts in as few lines as they need."""
    parts = [f"{name}={text}" for name, text in facts.items()]
    lines = [f"{type(record).__name__}("]
    for part, end in zip(parts, [", "] * (len(parts) - 1) + [")"], strict=True):
        if len(lines[-1]) + len(part) > LINE and not lines[-1].endswith("("):
            lines.append("    ")
        lines[-1] += part + end
    return "\n".join(line.rstrip() for line in lines)


def notebook(record: Any, facts: Mapping[str, str]) -> str:
    """Return what stands in a notebook: the facts as a small HTML table, and the picture where matplotlib is there."""
    rows = grid([], facts.items(), caption=type(record).__name__)
    picture = drawn(record.plot) if hasattr(record, "plot") and _entries(record) <= DRAWN else ""
    return rows + picture


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return an HTML table of bounded length; the first cell of a row is its heading."""
    head = "".join(f'<th style="{STYLE}">{html.escape(column)}</th>' for column in columns)
    text = "<table>" + (f'<caption style="{STYLE}">{html.escape(caption)}</caption>' if caption else "")
    text += f"<tr>{head}</tr>" if head else ""
    for first, *others in rows:
        cells = "".join(f'<td style="{STYLE}">{html.escape(cell)}</td>' for cell in others)
        row = f'<tr><th style="{STYLE}">{html.escape(first)}</th>{cells}</tr>'
        if len(text) + len(row) > TABLE:
            text += "<tr><th>...</th></tr>"
            break
        text += row
    return f"{text}</table>"


def drawn(draw: Callable[[Any], Any]) -> str:
    """Return what `draw(axes)` draws as an HTML image; nothing where it cannot be drawn.

    Functions of the user are not in an answer, and matplotlib is an extra: a notebook then shows the table alone.
    """
    try:
        figure = optional("matplotlib.figure", "plot").Figure(figsize=(5.6, 3.2), layout="constrained")
        draw(figure.subplots())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80)
    except Exception:
        return ""
    return f'<img alt="the answer, drawn" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _entries(record: Any) -> int:
    """Count the entries of the arrays of a record, as far as they are known."""
    items = vars(record).values()
    return sum(int(item.size if isinstance(item.size, int) else item.numel()) for item in items if is_array(item))


class Shown:
    """Mixin of records that show shapes rather than arrays, and the certificate."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]  # else a dataclass would write its own

    def _facts(self) -> dict[str, str]:
        """Return what is shown, by name."""
        return facts_of(self)

    def __repr__(self) -> str:
        return words(self, self._facts())

    def _repr_html_(self) -> str:
        return notebook(self, self._facts())

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]
