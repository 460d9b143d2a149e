"""Names of rows and columns in an answer, where the input file has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infimum._arrays import to_numpy
from infimum.cli.formats.input_file import Named
from infimum.errors import VerificationError
from infimum.problems import Problem
from infimum.proof import strict_json
from infimum.proof.evidence import shown
from infimum.proof.result import Result
from infimum.report.plain_text import KEY, Names


def names_of(problem: Problem, result: Result, inputs: Sequence[Any]) -> Names:
    """Return the names that the fields of an answer point to, by field: lists of the shape of its indices."""
    found = {}
    named = dict(zip(problem.inputs, inputs, strict=True))
    for field, places in problem.named.items():
        indices = getattr(result, field)
        axes = [_axis(named[name], axis) for name, axis in places]
        names = next((axis for axis in axes if axis is not None), None)
        if indices is not None and names is not None:
            found[field] = _pick(names, to_numpy(indices).tolist())
    return found


def _axis(item: Any, axis: int) -> tuple[str, ...] | None:
    return (item.rows, item.columns)[axis] if isinstance(item, Named) else None


def _pick(names: tuple[str, ...], indices: Any) -> Any:
    return [_pick(names, entry) for entry in indices] if isinstance(indices, list) else names[indices]


def require_names(text: str, names: Names) -> None:
    """Refuse names in the JSON of a result, if it has any, that are not those of the input."""
    claimed = strict_json.parse(text).get(KEY, {})
    if claimed and claimed != names:
        raise VerificationError(
            f"{KEY}: claimed {shown(claimed)}, but the input gives {shown(names)}; name the file that was solved"
        )
