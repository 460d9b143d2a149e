"""Pictures for reports: SVG that stands inside an HTML page and follows its light or dark colours."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from infimum import problems
from infimum._arguments import optional
from infimum._arrays import to_numpy
from infimum.memory import MemoryReport
from infimum.proof.result import Result
from infimum.proof.wording import printable
from infimum.report.plain_text import Names

INK = "#010203"  # an unlikely colour: replaced by the page's own text colour
CYCLE = ("#2f7fc1", "#d9772b", "#2f9e6e", "#b8549b", "#8a7f2d")  # readable on white and on near-black
STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "legend.facecolor": "none",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text, in the reader's own font
}
LONGEST_NAME = 24  # characters
NAMES = {"x": 40, "y": 20}  # that fit along an axis of the pictures


def with_names(result: Result | MemoryReport, names: Names | None) -> Callable[[Any], Any]:
    """Return what draws a result, with names of rows and columns in place of their numbers where an axis shows them."""
    if not names or not isinstance(result, Result):
        return result.plot

    def draw(ax: Any) -> None:
        result.plot(ax)
        for field, (axis, place) in problems.problem_of(result).ticks.items():
            if names.get(field):
                listed = np.ravel(np.asarray(names[field], dtype=object)).tolist()
                places = range(len(listed)) if place == "order" else to_numpy(getattr(result, field)).ravel().tolist()
                name_ticks(getattr(ax, f"{axis}axis"), dict(zip(places, listed, strict=True)))

    return draw


def name_ticks(axis: Any, names: Mapping[int, str]) -> None:
    """Write names at their places along an axis; of those too close to the one before only the number, as in "a +2"."""
    square = axis.axes.get_aspect() == 1.0  # as wide as it is high
    room = abs(float(np.diff(axis.get_view_interval())[0])) / NAMES["y" if square else axis.axis_name]
    groups: list[list[int]] = []
    for place in sorted(names):
        if groups and place - groups[-1][0] < room * (1.0 - 1e-9):
            groups[-1].append(place)
        else:
            groups.append([place])
    labels = [
        printable(names[first][:LONGEST_NAME]) + (f" +{len(others)}" if others else "") for first, *others in groups
    ]
    # a dollar in a name begins no formula
    setting = {"parse_math": False, "fontsize": "small", "rotation": 90 if axis.axis_name == "x" else 0}
    axis.set_ticks([first for first, *_ in groups], labels, **setting)


def svg(draw: Callable[[Any], Any], *, size: tuple[float, float] = (7.6, 3.6)) -> str:
    """Return what `draw(axes)` draws as an SVG element without any reference to the outside."""
    matplotlib = optional("matplotlib", "plot")
    from matplotlib.figure import Figure  # without pyplot: no window, no global figure

    with matplotlib.rc_context({**STYLE, "axes.prop_cycle": matplotlib.cycler(color=CYCLE), "svg.hashsalt": "infimum"}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _embedded(buffer.getvalue())


def save(draw: Callable[[Any], Any], path: Any) -> None:
    """Draw on new axes and write the picture to `path`, in the format that its suffix names."""
    optional("matplotlib", "plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.4), layout="constrained")
    draw(figure.subplots())
    figure.savefig(path, dpi=160)


def _embedded(document: str) -> str:
    body = printable(document[document.index("<svg") :])
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", body).replace("xlink:href", "href").replace(INK, "currentColor")
    # several pictures share a page, so names must not clash
    prefix = f"p{hashlib.sha256(body.encode()).hexdigest()[:8]}-"
    body = re.sub(r'\bid="', f'id="{prefix}', body)
    return re.sub(r'(url\(|href=")#', rf"\g<1>#{prefix}", body)
