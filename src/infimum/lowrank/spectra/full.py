"""Singular triples from a full decomposition, of the matrix or of its Gram matrix."""

from __future__ import annotations

import numpy as np

from infimum._arrays import to_numpy
from infimum._linalg import adjoint
from infimum.lowrank.spectra.spectrum import Goal, Spectrum, Triples, copied, from_gram, from_right
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import ROOM, tails
from infimum.proof.theorems import eckart_young
from infimum.proof.theorems.ritz_block import Bound

WHOLE_LIMIT = 2000  # smaller side up to which all is decomposed where a space would have to be large
FAR, DEAR = 1e-5, 0.1  # share of the gap asked for that squared singular values may cost; where passes are dear


def exact(M: Operator) -> Spectrum:
    """Full singular value decomposition, of the matrix itself or of a triangle with the same right vectors."""
    dense = M if isinstance(M, Dense) else Dense.of(M.compressed(), M)
    U, s, Vh = dense.xp.linalg.svd(dense.array, full_matrices=False)
    values = to_numpy(s)

    def triples(rank: int) -> Triples:
        if dense is not M:
            return from_right(M, adjoint(Vh[:rank, :]))
        return copied(U[:, :rank]), s[:rank], copied(Vh[:rank, :])

    def bound(rank: int) -> Bound:
        return Bound(eckart_young.tail_bound(dense.working, rank, values, M.shape, room=ROOM))

    return Spectrum(M, tails(values), triples, bound, eckart_young.THEOREM)


def gram(M: Operator) -> Spectrum:
    """Eigenvectors of ``M* M``."""
    values, V = M.xp.linalg.eigh(M.gram())
    eigenvalues = to_numpy(values)

    def triples(rank: int) -> Triples:
        leading = slice(V.shape[1] - rank, None)
        return from_gram(M, V[:, leading], values[leading])

    def bound(rank: int) -> Bound:
        value = eckart_young.gram_tail_bound(M, rank, eigenvalues, room=ROOM)
        return Bound(value, witness={"gram": True})

    captured = np.concatenate([[0.0], np.cumsum(np.maximum(eigenvalues[::-1], 0.0))])
    errors = np.sqrt(np.maximum(M.energy - captured, 0.0))
    return Spectrum(M, errors, triples, bound, eckart_young.THEOREM)


def resolved(spectrum: Spectrum, goal: Goal) -> bool:
    """Tell whether a spectrum from squared singular values proves its errors to far better than the gap asked for.

    Where a pass is dear it has to be better, and no more.
    """
    rank = goal.reached(spectrum.errors)
    if rank is None or rank >= min(spectrum.M.shape):
        return False
    M = spectrum.M
    error, floor = float(spectrum.errors[rank]), spectrum.bound(rank).value
    return 0.0 < error <= (1.0 + (DEAR if M.dear else FAR) * min(goal.gap, 1e-3)) * floor
