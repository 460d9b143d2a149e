"""``infimum refit``: the layers of an output of ``infimum compress``, made anew for the inputs that reach them now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from infimum.cli import rewritten, screen
from infimum.cli.screen import LOUD, Talk


def refit(
    out: Annotated[Path, Parameter(name="OUT")],
    /,
    *,
    target: Annotated[Path, Parameter(name=("--out", "-o"))],
    original: Path | None = None,
    talk: Talk = LOUD,
) -> int:
    """Make the layers that infimum compress stored anew, each for what the layers before it pass on now.

    Writes a new folder of the same size, which loads, verifies and heals as the old one does. Nothing is trained. What
    one half of the calibration text makes is judged by the other, and nothing worse than what came is written.

    Parameters
    ----------
    out
        Folder that infimum compress wrote.
    target
        Folder to write; it must not exist.
    original
        Folder of the original checkpoint, if it is not where it was.
    """
    rewritten.check_folders(out, target)  # before transformers is imported
    with screen.progress("reading the models", talk) as on_progress:
        from infimum.compress import refit as refit_folder

        refitted = refit_folder(out, target, original=original, on_progress=on_progress)
    if not talk.quiet:
        layers = f"{refitted.layers:,} made anew" if refitted.layers else "all as they were: anew they were no better"
        rewritten.say(refitted, target, "the half of the text that judges", {"layers": layers})
    return 0
