"""What a person touches: the plot, and the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import io
import re
import shlex
import tempfile
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from infimum._arrays import is_array, to_numpy
from infimum.cli import main
from infimum.problems import Case, Problem
from tests.contract.cases import solve, tiny

SAMPLES = "sampl"


def check_plot(problem: Problem) -> None:
    """The plot draws on the given axes or on its own, says what it shows, and calls samples samples."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    result = solve(problem, tiny(problem))
    axes = Figure().subplots()
    assert result.plot(ax=axes) is axes, "plot(ax) must return the axes"
    axes.figure.canvas.draw()
    assert axes.get_xlabel(), "the plot has no label on its x axis"
    assert axes.get_ylabel(), "the plot has no label on its y axis"
    texts = texts_of(axes)
    assert axes.get_title() or axes.get_legend(), "the plot has neither title nor legend"
    try:
        assert result.plot().figure is pyplot.gcf(), "plot() must draw on new axes"
    finally:
        pyplot.close("all")
    if shown(result.certificate.value, texts):
        certificate = dataclasses.replace(result.certificate, rigour="sampled", confidence=1.0)
        axes = Figure().subplots()
        dataclasses.replace(result, certificate=certificate).plot(ax=axes)
        assert SAMPLES in texts_of(axes), "the plot shows the largest of samples as if it were the loss"


def check_shown(problem: Problem) -> None:
    """At the prompt and in a notebook an answer shows shapes and its certificate, and completion its public names."""
    result = solve(problem, tiny(problem))
    text, page = repr(result), result._repr_html_()
    claim = str(result.certificate)
    assert text.startswith(type(result).__name__), "repr must name the class"
    assert claim in " ".join(text.split()), "repr must show the certificate"
    assert len(text) < 600, f"repr has {len(text)} characters"
    table, picture = page.split("<img")
    assert html.escape(claim) in table, "the table must show the certificate"
    assert len(table) < 2000, f"the table has {len(table)} characters"
    assert 'src="data:image/png;base64,' in picture, "the table comes with the picture"
    assert "certificate" in dir(result), "completion must offer the public names"
    assert not [name for name in dir(result) if name.startswith("_")], "completion must hide private names"


def texts_of(axes: Any) -> str:
    """Return every text of a plot."""
    legend = axes.get_legend()
    parts = [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), *(text.get_text() for text in axes.texts)]
    return "\n".join([*parts, *(text.get_text() for text in legend.get_texts())] if legend else parts)


def shown(value: float, texts: str) -> bool:
    """Tell whether a text shows a value, to four digits or more."""
    return any(f"{value:.{digits}g}" in texts for digits in (4, 5, 6))


def check_command(problem: Problem) -> None:
    """The command line solves the tiny case from files, writes the result, and verifies it."""
    case = tiny(problem)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = data_tokens(problem, case, folder)
        run([problem.command, *data, *option_tokens(case), "--json", str(folder / "r.json")])
        run(["verify", str(folder / "r.json"), *data])


def check_report_line(problem: Problem) -> None:
    """The line under "Check it yourself" in a report names files that exist, and verifies as it is printed."""
    case = tiny(problem)
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        data = data_tokens(problem, case, Path("input folder"))
        run([problem.command, *data, *option_tokens(case), "--report", "the report.html"])
        page = Path("the report.html").read_text(encoding="utf-8")
        lines = [html.unescape(line) for line in re.findall("<pre>(infimum verify .*)</pre>", page)]
        assert len(lines) == 1, "the report prints one line that checks it"
        run(shlex.split(lines[0])[1:])


def run(arguments: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    assert status == 0, f"infimum {' '.join(arguments)} ends with {status}: {err.getvalue()}"
    assert err.getvalue() == "", err.getvalue()
    assert out.getvalue(), f"infimum {' '.join(arguments)} prints nothing"


def data_tokens(problem: Problem, case: Case, folder: Path) -> list[str]:
    """Give the inputs of a case as the command line wants them: files for arrays, text for the rest."""
    tokens = []
    folder.mkdir(exist_ok=True)
    for name, item in zip(problem.inputs, case.inputs, strict=True):
        if is_array(item):
            np.save(folder / f"{name}.npy", to_numpy(item))
        tokens.append(str(folder / f"{name}.npy") if is_array(item) else str(item))
    return tokens


def option_tokens(case: Case) -> list[str]:
    """Give the options of a case as the command line wants them."""
    tokens = []
    for name, value in case.options.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        tokens += [f"--{name.replace('_', '-')}", *([] if value is True else [text])]
    return tokens
