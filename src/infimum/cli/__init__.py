"""The command line ``infimum``: every registered problem, the demo, and the compression of models."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from infimum._arguments import optional
from infimum.errors import MissingExtraError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 a clear error, 2 an argument or option refused."""
    try:
        for module in ("cyclopts", "rich"):
            optional(module, "cli")
    except MissingExtraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    from infimum.cli.app import run

    return run(sys.argv[1:] if arguments is None else list(arguments))
