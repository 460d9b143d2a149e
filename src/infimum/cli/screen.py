"""What the user sees while and after a command runs: tables on stdout, progress on stderr."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from infimum.errors import OptionError
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.wording import printable

OnProgress: TypeAlias = Callable[[str, int, int], None]  # (what, done, of)
FLAG = Parameter(negative="", show_default=False)
FIRST, LAST = 10.0, 60.0  # seconds to the first line of progress in a log, and at most between two


@Parameter(name="*")  # --quiet, not --talk.quiet
@dataclass(frozen=True, kw_only=True)
class Talk:
    """How much a command says."""

    quiet: Annotated[bool, FLAG] = False
    "Say nothing but errors: no progress, no table."
    verbose: Annotated[bool, FLAG] = False
    "Say every step of the work, a line each, on stderr."


LOUD = Talk()


def console(*, stderr: bool = False) -> Console:
    """Console for results; made when needed, so that a redirected stdout is seen."""
    return PlainConsole(stderr=stderr)


def styles(*, stderr: bool = False) -> dict[str, Any]:
    """Return the options of a console that steers terminals only, and shows no colours where NO_COLOR asks for none."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()  # whatever FORCE_COLOR and the like say
    return {"stderr": stderr, "force_terminal": terminal, "color_system": None if "NO_COLOR" in os.environ else "auto"}


class PlainConsole(Console):
    """A console on which the text of users and files stays as it is, and steers nothing."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **styles(stderr=stderr))

    def render_str(self, text: str, **options: Any) -> Text:
        """Make the text of a string; every string on the screen passes here."""
        return super().render_str(printable(text), **options)


@contextmanager
def progress(doing: str, talk: Talk) -> Iterator[OnProgress]:
    """Show how far the work is: bars on a terminal, lines in a log, a line each step where the user wants all."""
    if talk.quiet and talk.verbose:
        raise OptionError("--quiet and --verbose exclude each other: give one of them")
    if talk.quiet:
        yield lambda what, done, of: None
    elif talk.verbose or not sys.stderr.isatty():
        yield from _lines(doing, every=talk.verbose)
    else:
        yield from _bars(doing)


def _bars(doing: str) -> Iterator[OnProgress]:
    """Show a spinner, and one bar for every step that reports progress."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as display:
        tasks = {doing: display.add_task(printable(doing), total=None)}

        def report(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = display.add_task(printable(what), total=of)
            display.update(tasks[what], completed=done, total=of)

        yield report


def _lines(doing: str, *, every: bool) -> Iterator[OnProgress]:
    """Write a line now and then while the work lasts, or one for every step."""
    start, now, ended = time.monotonic(), [doing], threading.Event()

    def say(text: str) -> None:
        print(printable(f"{text}, {time.monotonic() - start:.1f} s"), file=sys.stderr, flush=True)

    def watch() -> None:
        pause = FIRST
        while not ended.wait(pause):
            say(now[0])
            pause = min(2 * pause, LAST)

    def report(what: str, done: int, of: int) -> None:
        now[0] = f"{what}: {done:,} of {of:,}" if of else what
        if every:
            say(now[0])

    watcher = threading.Thread(target=watch, daemon=True)
    if every:
        say(doing)
    else:
        watcher.start()
    try:
        yield report
        if every:
            say(f"{doing}: done")
    finally:
        ended.set()
        if watcher.ident is not None:
            watcher.join()


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
