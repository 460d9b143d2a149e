"""Nystrom approximation in the trace norm: its error is a difference of traces, and no rank-k matrix beats the tail.

For K positive semidefinite and landmarks S, ``K - K[:, S] K[S, S]^+ K[S, :]`` is positive semidefinite. So its trace
norm is its trace, known from the diagonal of K; and the eigenvalues of a Nystrom matrix are below those of K.
Statement and proof: docs/theorems/nystrom_trace.md.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from infimum.errors import VerificationError
from infimum.proof.operators.kernel import Entries
from infimum.proof.rounding import rounding_allowance


class DependentLandmarksError(VerificationError):
    """The landmarks determine no Nystrom matrix to working precision."""


EPS = 2.0 * float(np.finfo(np.float64).eps)  # spacing, doubled for complex numbers as everywhere


def factor(columns: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, float]:
    """Cholesky form of the Nystrom matrix: F with ``F F* ≈ C W^-1 C*``, ``C = K[:, S]``, ``W = K[S, S]``.

    Also returns a bound on the trace norm of the difference, measured, whatever rounding did to F.
    """
    n, k = columns.shape
    if k == 0:
        return columns, 0.0
    core = columns[landmarks]
    try:
        L = scipy.linalg.cholesky((core + core.conj().T) / 2, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise DependentLandmarksError("the landmarks are dependent to rounding; leave some of them out") from None
    F = scipy.linalg.solve_triangular(L, columns.conj().T, lower=True, check_finite=False).conj().T
    chosen = F[landmarks]
    size, inner = float(np.linalg.norm(F)), float(np.linalg.norm(chosen))
    products = chosen @ chosen.conj().T
    off_core = float(np.linalg.norm(core - products))
    off_core += (k + 4) * EPS * (float(np.linalg.norm(core)) + inner**2)
    off = float(np.linalg.norm(columns - F @ chosen.conj().T))
    off += (k + 4) * EPS * (float(np.linalg.norm(columns)) + size * inner)
    least = float(np.linalg.svd(chosen, compute_uv=False)[-1]) - rounding_allowance((k, k), EPS, inner)
    # with X = off F_S^-* and Y = F_S^-1 off_core F_S^-*: C W^-1 C* = (F + X) (I + Y)^-1 (F + X)*
    x, y = (off / least, off_core / least**2) if least > 0.0 else (np.inf, np.inf)
    if not y < 0.5:
        raise DependentLandmarksError("the landmarks are dependent to rounding; leave some of them out")
    return F, ((size + x) ** 2 * y / (1.0 - y) + 2.0 * size * x + x**2) * (1.0 + 16 * n * EPS)


def trace_error(K: Entries, landmarks: np.ndarray, answer: np.ndarray) -> float:
    """Trace norm of ``K - answer @ answer*``, rounded upwards, for an answer near the Nystrom matrix of `landmarks`."""
    F, slack = factor(K.columns(landmarks), landmarks)
    size, own = float(np.linalg.norm(F)), float(np.linalg.norm(answer))
    moved = float(np.linalg.norm(F - answer)) * (size + own)
    trace = float(np.sum(K.diagonal))
    rounding = (K.shape[0] + 8) * EPS * (trace + size**2)
    return max(trace - size**2, 0.0) + rounding + 2.0 * slack + moved * (1.0 + 16 * K.shape[0] * EPS) + K.defect


def spectral_bound(K: Entries, rank: int) -> float:
    """Lower bound on the trace norm of ``K - X`` over every X of rank at most `rank`, from the spectrum of an array."""
    values = K.spectrum
    if values is None:
        raise VerificationError("the spectrum is taken of arrays of moderate size only")
    magnitudes = np.sort(np.abs(values))[::-1]
    each = rounding_allowance(K.shape, EPS, float(np.linalg.norm(values)))
    tail = float(np.sum(magnitudes[rank:])) - each * (magnitudes.size - rank)
    whole = float(np.sum(K.diagonal)) * (1.0 - K.shape[0] * EPS) - float(np.sum(magnitudes[:rank])) - each * rank
    return max(tail, whole, 0.0) - min(K.defect, max(tail, whole, 0.0))


def landmark_bound(K: Entries, rank: int, landmarks: np.ndarray) -> float:
    """Lower bound as in `spectral_bound`, from the entries of more landmarks."""
    F, slack = factor(K.columns(landmarks), landmarks)
    values = np.maximum(np.linalg.eigvalsh(F.conj().T @ F)[::-1], 0.0)
    size = float(np.sum(values))
    rounding = ((K.shape[0] + 8) * EPS + rounding_allowance(F.shape, EPS, 1.0)) * size * max(values.size, 1) ** 0.5
    return float(max(float(np.sum(values[rank:])) - slack - rounding - K.defect, 0.0))
