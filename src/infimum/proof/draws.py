"""Random draws that judge a claim: whoever proves does not choose them.

By default the seed is a hash of what the prover chose, so that every other choice meets other draws; a verifier who
gives `rng` draws anew. What it would take to search for a choice that its own draws flatter: docs/certificates.md.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from infimum._arguments import RNGLike
from infimum._arrays import is_array, to_numpy


def generator(rng: RNGLike, *choice: Any) -> np.random.Generator:
    """Return the generator whose seed is a hash of `choice`; that of `rng` where it is given."""
    return np.random.default_rng(digest(*choice) if rng is None else rng)


def digest(*choice: Any) -> int:
    """SHA-256 of arrays (dtype, shape and every bit), numbers and text, as an integer."""
    state = hashlib.sha256()
    for part in choice:
        if is_array(part):
            values = np.ascontiguousarray(to_numpy(part))
            state.update(f"{values.dtype.str}{values.shape}".encode())
            state.update(values.data.cast("B") if values.size else b"")
        else:
            state.update(f"{type(part).__name__}:{part!r};".encode())
    return int.from_bytes(state.digest(), "big")
