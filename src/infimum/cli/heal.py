"""``infimum heal``: the stored numbers of an output of ``infimum compress``, tuned as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from infimum.cli import rewritten, screen
from infimum.cli.screen import LOUD, Talk
from infimum.cli.words import ABOVE_0, SEED


def heal(
    out: Annotated[Path, Parameter(name="OUT")],
    /,
    *,
    target: Annotated[Path, Parameter(name=("--out", "-o"))],
    minutes: Annotated[float, ABOVE_0] = 20.0,
    steps: int | None = None,
    text: Annotated[str, Parameter(name=("--text", "-t"))] = "pydoc",
    rate: Annotated[float, ABOVE_0] = 1e-3,
    original: Path | None = None,
    seed: Annotated[int, SEED] = 0,
    talk: Talk = LOUD,
) -> int:
    """Tune the scales and matrices that infimum compress stored to what the original model says.

    Writes a new folder of the same size, which loads, verifies and heals as the old one does. What one half of the text
    trains is judged by the other, and nothing worse than what came is written.

    Parameters
    ----------
    out
        Folder that infimum compress wrote.
    target
        Folder to write; it must not exist.
    minutes
        Time for the training; what is measured before and after comes on top.
    steps
        Most steps, so that a run can be repeated exactly.
    text
        pydoc, a .txt, .jsonl or .npy file; see infimum compress.
    rate
        Learning rate: changes of scales relative to them, of matrices to their entries.
    original
        Folder of the original checkpoint, if it is not where it was.
    seed
        Seed of the order of the text.
    """
    rewritten.check_folders(out, target)  # before transformers is imported
    with screen.progress("reading the models", talk) as on_progress:
        from infimum.compress import heal as heal_folder

        options = {"minutes": minutes, "steps": steps, "text": text, "rate": rate, "seed": seed, "original": original}
        healed = heal_folder(out, target, **options, on_progress=on_progress)  # type: ignore[arg-type]
    if not talk.quiet:
        rewritten.say(healed, target, "text that was not trained on", {"steps": f"{healed.steps:,}"})
    return 0
