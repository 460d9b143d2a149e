"""What proves that a matrix known by a few of its entries is not positive semidefinite.

Every principal block of a semidefinite matrix is semidefinite, and so is what Nystrom's approximation leaves of it. So
entries that are too large beside the diagonal, columns that are not Hermitian, and a residual with a negative
eigenvalue beyond rounding refute the hypothesis. What none of the entries seen refutes is taken on trust.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from infimum.errors import NotSemidefiniteError
from infimum.proof import draws
from infimum.proof.operators.kernel import Entries, refuse_large_entries

PROBES = 128  # points whose block of the residual is looked at: those with the least diagonal, and random ones
LOWEST = 32


def refuse_indefinite(K: Entries, landmarks: np.ndarray, F: np.ndarray, slack: float) -> None:
    """Raise `NotSemidefiniteError` where the block between landmarks and probes, or its residual, proves it.

    ``F F*`` is the Nystrom matrix of the landmarks up to `slack` in the trace norm.
    """
    probes = _probes(K, landmarks, K.diagonal - np.vecdot(F, F).real)
    block = K.block(probes)
    refuse_large_entries(K, block, probes, probes)
    _refuse_asymmetry(K, K.block(landmarks), landmarks)
    _refuse_asymmetry(K, block, probes)
    # errors of relative size `doubt` in the entries reach the residual through the coefficients of interpolation
    roots = np.sqrt(np.maximum(K.diagonal, 0.0))
    reach = roots[probes]
    if landmarks.size:
        reach = reach + np.abs(np.linalg.solve(F[landmarks].T, F[probes].T)).T @ roots[landmarks]
    size = np.sqrt(reach**2 + (slack + K.floor) / K.doubt)
    size = np.where(size > 0.0, size, 1.0)
    residual = (block - F[probes] @ F[probes].conj().T) / np.outer(size, size)
    _refuse_negative((residual + residual.conj().T) / 2.0, K.doubt * probes.size, landmarks.size)


def _refuse_negative(residual: np.ndarray, forgiven: float, count: int) -> None:
    try:  # where a decomposition succeeds no eigenvalue is needed
        scipy.linalg.cholesky(residual + forgiven * np.eye(len(residual)), check_finite=False)
    except np.linalg.LinAlgError:
        lowest = float(np.linalg.eigvalsh(residual)[0])
        if lowest < -forgiven:
            raise NotSemidefiniteError(
                f"K must be positive semidefinite, but what {count} of its columns leave of it has a negative "
                f"eigenvalue beyond rounding ({lowest:.2g} of its size)"
            ) from None


def _probes(K: Entries, landmarks: np.ndarray, residual: np.ndarray) -> np.ndarray:
    left = np.ones(K.shape[0], dtype=bool)
    left[landmarks] = False
    others = np.flatnonzero(left)
    if others.size <= PROBES:
        return others
    lowest = others[np.argsort(residual[others], kind="stable")[:LOWEST]]
    left[lowest] = False
    drawn = draws.generator(None, landmarks).choice(np.flatnonzero(left), size=PROBES - LOWEST, replace=False)
    return np.concatenate([lowest, drawn])


def _refuse_asymmetry(K: Entries, block: np.ndarray, indices: np.ndarray) -> None:
    roots = np.sqrt(np.maximum(K.diagonal[indices], 0.0))
    off = np.abs(block - block.conj().T) - 2.0 * K.doubt * np.outer(roots, roots)
    if block.size and float(np.max(off)) > 2.0 * K.floor:
        i, j = (int(indices[k]) for k in np.unravel_index(int(np.argmax(off)), off.shape))
        raise NotSemidefiniteError(f"K must be Hermitian, but K[{i}, {j}] is not the conjugate of K[{j}, {i}]")
