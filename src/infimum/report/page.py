"""A report: content (plain data, also written as JSON) and pictures, rendered by a template into one HTML file."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infimum._arguments import optional
from infimum.proof import wording
from infimum.proof.wording import printable
from infimum.report import plain_text
from infimum.report.files import check_output, replacing

REPORT_VERSION = 1


def data_beside(path: Path) -> Path:
    """Return the file beside a report that holds its content."""
    return path.with_suffix(".json")


def result_beside(path: Path) -> Path:
    """Return the file beside a report that holds the result as `infimum.from_json` and ``infimum verify`` read it."""
    return path.with_suffix(".result.json")


def write_page(
    kind: str,
    content: Mapping[str, Any],
    pictures: Mapping[str, str],
    path: Path,
    *,
    overwrite: bool,
    result: str | None = None,
) -> Path:
    """Write ``kind.html`` rendered to `path`, and beside it `content` and the JSON of a `result`; return `path`."""
    check_output(path, suffixes=(".html", ".htm"), overwrite=overwrite)
    html = _environment().get_template(f"{kind}.html").render(**content, pictures=pictures)
    document = {"infimum_report": REPORT_VERSION, "kind": kind, **content}
    texts = {data_beside(path): json.dumps(document, indent=1, allow_nan=False) + "\n"}
    if result is not None:
        texts[result_beside(path)] = result + "\n"
    texts[path] = html
    for file in texts:
        check_output(file, overwrite=overwrite)
    with contextlib.ExitStack() as whole:  # all, or none
        for file, text in texts.items():
            whole.enter_context(replacing(file)).write_text(text, encoding="utf-8", newline="\n")
    return path


def _cleaned(item: Any) -> Any:
    """Clean what a template prints; pictures, which are marked as safe, are clean already."""
    return printable(item) if type(item) is str else item


@functools.cache
def _environment() -> Any:
    jinja2 = optional("jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("infimum.report", "templates"),
        autoescape=True,
        finalize=_cleaned,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(theorem_text=plain_text.theorem_text)
    environment.filters.update(number=wording.number, bytes=plain_text.size, short_kind=plain_text.short_kind)
    environment.filters.update(percent=plain_text.percent, growth=plain_text.growth)
    return environment
