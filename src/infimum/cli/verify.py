"""``infimum verify``: derive a claim again from its input."""
from __future__ import annotations
import json
from pathlib import Path
from typing import Annotated
from cyclopts import Parameter
import infimum
from infimum import problems
from infimum.cli import screen
from infimum.cli.solve import arguments_of
from infimum.errors import FileFormatError, VerificationError


def verify(target: Path, /, *inputs: str) -> int:
    """Check a result.
    """
    return 0
