"""Reports: one self-contained HTML file each (no network, light and dark), and the same content as JSON beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from infimum.proof.result import Result
from infimum.report.page import result_beside, write_page

if TYPE_CHECKING:
    from infimum.compress import Plan
    from infimum.memory import MemoryReport

__all__ = ["write", "write_budgets"]


def write(subject: Result | MemoryReport | Plan, path: str | Path, *, overwrite: bool = False, **details: Any) -> Path:
    """Write the report of a result, a memory measurement or a compression plan to `path`, with its content as JSON.

    Parameters
    ----------
    subject : Result, infimum.memory.MemoryReport or infimum.compress.Plan
        What a public solver, `infimum.memory.report` or `infimum.compress.plan` returned.
    path : str or Path
        File to write (.html); its folder exists. Its content stands beside it (.json), and so does a result as
        `infimum.from_json` and ``infimum verify`` read it (.result.json).
    overwrite : bool
        Replace files that exist.
    **details
        All optional. Of a result: `source` (where the input came from), `answer` (the answer in one line), `seconds`
        (how long the solver took), `data` (the input as the command line takes it: names of files, or texts),
        `comparison` (a table, see `infimum.problems.Problem`), `names` (of what the indices in the answer point to, by
        field). Of a measurement: `source`. Of a plan: `out` (the folder where it was saved), `comparisons` and
        `held_out` (rows of `infimum.report.plan.Comparison`, and the text they speak of), `seconds`, `own_format` (what
        `Plan.with_own_format` returns, for a plan in another format).

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OptionError
        The suffix is not .html.
    OutputError
        The file exists and `overwrite` is False, or there is no such folder.
    MissingExtraError
        Jinja2 or matplotlib is not installed.
    """
    from infimum.memory import MemoryReport
    from infimum.report import drawing, memory, plan, problem

    path = Path(path)
    if isinstance(subject, MemoryReport):
        parts = {name: drawing.svg(draw) for name, draw in memory.drawings(subject).items()}
        return write_page("memory", memory.content(subject, **details), parts, path, overwrite=overwrite)
    if isinstance(subject, Result):
        saved = problem.saved(subject, details.get("names"))
        content = problem.content(subject, file=str(result_beside(path)) if saved else "", **details)
        pictures = {"answer": drawing.svg(drawing.with_names(subject, details.get("names")))}
        return write_page("problem", content, pictures, path, overwrite=overwrite, result=saved)
    content = plan.content(subject, **details)
    rows = len({plan.kind_of(row["name"]) for row in content["layers"]})
    pictures = {
        "curve": drawing.svg(subject.plot),
        "layers": drawing.svg(lambda axes: plan.draw_layers(axes, content), size=(7.6, 1.1 + 0.28 * rows)),
    }
    return write_page("plan", content, pictures, path, overwrite=overwrite)


def write_budgets(subject: Plan | str | Path, path: str | Path, *, points: int = 41, overwrite: bool = False) -> Path:
    """Write the page on which a size is chosen: a slider, and for each budget error, bound and what each layer becomes.

    Parameters
    ----------
    subject : infimum.compress.Plan, or folder
        A plan, of whatever budget: the page has what `Plan.previews` returns. Of a folder that infimum.compress wrote
        the page shows what was chosen, without a slider.
    path : str or Path
        File to write (.html); its folder exists. Its content stands beside it (.json). The address ``page.html#12``
        opens it at the twelfth step of the slider.
    points : int
        Number of budgets.
    overwrite : bool
        Replace files that exist.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OptionError, OutputError, MissingExtraError
        As `write`.
    CheckpointError
        The folder holds nothing that infimum.compress wrote.
    """
    from infimum.report import budgets, drawing

    if isinstance(subject, str | Path):
        from infimum.proof.checkpoint import read_description

        content = budgets.of_output(Path(subject), read_description(Path(subject)))
        return write_page("budgets", content, {}, Path(path), overwrite=overwrite)
    content = budgets.of_plan(subject, subject.previews(points))
    parts = {"curve": drawing.svg(lambda axes: budgets.draw(axes, content)), "budgets": budgets.script(content)}
    return write_page("budgets", content, parts, Path(path), overwrite=overwrite)


def __dir__() -> list[str]:
    return __all__
