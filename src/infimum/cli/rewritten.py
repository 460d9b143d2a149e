"""What the commands share that write an output of ``infimum compress`` anew, with other numbers in the same places."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from infimum.cli import screen
from infimum.errors import CheckpointError
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.checkpoint import read_description
from infimum.report.files import check_folder


class Rewritten(Protocol):
    """What became of an output."""

    @property
    def before(self) -> float:
        """Distance to the original of the output that came."""

    @property
    def after(self) -> float:
        """Distance to the original of what was written."""

    @property
    def certificate(self) -> Certificate:
        """That of what was written."""


def check_folders(out: Path, target: Path) -> None:
    """Refuse what is no output of infimum compress, and what cannot be written, before any work is done."""
    read_description(out)
    if target.exists():
        raise CheckpointError(f"{target} exists already; give a new folder or remove that one first")
    check_folder(target)


def say(rewritten: Rewritten, target: Path, judged: str, facts: Mapping[str, str]) -> None:
    """Print what was reached on the text that `judged` names."""
    before, after, certificate = rewritten.before, rewritten.after, rewritten.certificate
    change = after / before - 1.0 if before else 0.0
    rows = {
        "distance": f"{wording.number(before)} to {wording.number(after)} ({change:+.1%}), to the original on {judged}",
        **facts,
        "total error": wording.number(certificate.value),
        "lower bound": f"{wording.number(certificate.lower_bound)} for every plan within this budget",
    }
    console = screen.console()
    console.print(screen.facts(rows))
    console.print(f"\nwritten: {target}; check it with: infimum verify {target}")
