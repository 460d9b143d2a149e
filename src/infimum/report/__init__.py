"""Reports: one self-contained HTML file each (no network, light and dark), and the same content as JSON beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infimum.report.page import write_page
from infimum.result import Result

__all__ = ["write"]


def write(result: Result, path: str | Path, *, overwrite: bool = False, **details: Any) -> Path:
    """Write the report of a result to `path` (.html), and its content as JSON beside it.

    Parameters
    ----------
    result : Result
        What a public solver returned.
    path : str or Path
        File to write; its folder exists.
    overwrite : bool
        Replace files that exist.
    **details
        `source` (where the input came from), `answer` (the answer in one line), `seconds` (how long the solver took),
        `verify` (the command that checks the answer); all optional.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OptionError
        The file exists and `overwrite` is False, the suffix is not .html, or there is no such folder.
    MissingExtraError
        Jinja2 or matplotlib is not installed.
    """
    from infimum.report import drawing, problem

    return write_page(
        "problem", problem.content(result, **details), {"answer": drawing.svg(result.plot)}, path, overwrite=overwrite
    )
