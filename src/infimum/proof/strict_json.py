"""JSON read strictly: no NaN, no key twice, no endless number, no depth without end."""

from __future__ import annotations

import json
from typing import Any

from infimum.errors import FileFormatError
from infimum.proof.evidence import shown

DIGITS = 1000  # of an integer in a file: more are no answer that a solver gives, and make arithmetic slow


def parse(text: str) -> Any:
    """Return what a JSON text holds; `FileFormatError` says in one line why it is refused."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=_integer, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(shown(str(error))) from error


def _no_constant(name: str) -> float:
    raise FileFormatError(f"every number must be finite, got {name}")


def _integer(digits: str) -> int:
    if len(digits) > DIGITS:
        raise FileFormatError(f"an integer has {len(digits)} digits, at most {DIGITS} are read")
    return int(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise FileFormatError(f"a key stands twice in one object: {shown([key for key, _ in pairs])}")
    return document
