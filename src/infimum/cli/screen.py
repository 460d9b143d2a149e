"""What the user sees while and after a command runs: tables on stdout, progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.wording import printable

OnProgress: TypeAlias = Callable[[str, int, int], None]  # (what, done, of)


class PlainConsole(Console):
    """A console on which the text of users and files stays as it is, and steers nothing."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make the text of a string; every string on the screen passes here."""
        return super().render_str(printable(text), **options)


def console() -> Console:
    """Console for results; made when needed, so that a redirected stdout is seen."""
    return PlainConsole()


@contextmanager
def progress(doing: str, *, quiet: bool = False) -> Iterator[OnProgress]:
    """Show a spinner, and one bar for every step that reports progress; nothing unless a person is looking."""
    visible = not quiet and sys.stdout.isatty() and sys.stderr.isatty()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=PlainConsole(stderr=True), transient=True, disable=not visible) as display:
        tasks = {doing: display.add_task(printable(doing), total=None)}

        def report(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = display.add_task(printable(what), total=of)
            display.update(tasks[what], completed=done, total=of)

        yield report


def facts(rows: dict[str, str]) -> Table:
    """Two columns: what, and how much."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def certificate_rows(certificate: Certificate) -> dict[str, str]:
    """Rows of `facts` that a certificate fills."""
    return {
        wording.value_label(certificate): wording.number(certificate.value),
        "lower bound": wording.number(certificate.lower_bound),
        wording.gap_label(certificate): wording.number(certificate.gap),
        "ratio": wording.ratio(certificate),
        "theorem": certificate.theorem,
        "rigour": wording.rigour(certificate),
    }
