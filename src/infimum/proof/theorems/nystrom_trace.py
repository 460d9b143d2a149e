"""Nystrom approximation in the trace norm: its error is a difference of traces, and no rank-k matrix beats the tail.

For K positive semidefinite and landmarks S, ``K - K[:, S] K[S, S]^+ K[S, :]`` is positive semidefinite. So its trace
norm is its trace, known from the diagonal of K; and the eigenvalues of a Nystrom matrix are below those of K.
Statement and proof: docs/theorems/nystrom_trace.md.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg

from infimum._linalg import adjoint, frobenius, row_chunks
from infimum.errors import VerificationError
from infimum.proof import evidence
from infimum.proof.operators.kernel import EPS, Entries, refuse_large_entries, spectrum_allowance
from infimum.proof.operators.semidefinite import refuse_indefinite
from infimum.proof.rounding import rounding_allowance

THEOREM = "nystrom_trace"
CONDITION = 2000.0  # of a triangular factor, in the Frobenius norm, up to which it is inverted


class DependentLandmarksError(VerificationError):
    """The landmarks determine no Nystrom matrix to working precision."""


class Distance(NamedTuple):
    """How far ``F F*`` is from the Nystrom matrix ``C W^-1 C*`` of the landmarks, ``C = K[:, S]``, ``W = K[S, S]``.

    `trace` bounds the trace norm of the difference, `coefficients` the Frobenius norm of ``C W^-1``, by which the
    columns of K are interpolated; `gram` is ``F* F``.
    """

    trace: float
    coefficients: float
    gram: np.ndarray


class Form(NamedTuple):
    """F with ``F F* ≈ C W^-1 C*``, and the X with which it was formed as a product ``C X*``, if it was."""

    F: np.ndarray
    inverse: np.ndarray | None


def cholesky_form(columns: np.ndarray, landmarks: np.ndarray) -> Form:
    """Return F from the Cholesky decomposition of W.

    A product with the inverse X of the triangular factor takes half the time of a substitution, and loses as many
    digits as the condition of that has.
    """
    if landmarks.size == 0:
        return Form(columns, None)
    core = columns[landmarks]
    try:
        L = scipy.linalg.cholesky((core + core.conj().T) / 2, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise _dependent() from None
    (trtri,), (trmm,) = scipy.linalg.get_lapack_funcs(("trtri",), (L,)), scipy.linalg.get_blas_funcs(("trmm",), (L,))
    inverse = trtri(L, lower=1)[0]
    if frobenius(L) * frobenius(inverse) <= CONDITION:  # not met by NaN
        return Form(np.asarray(adjoint(trmm(1.0, inverse, adjoint(columns), lower=1))), inverse)
    solved = scipy.linalg.solve_triangular(L, adjoint(columns), lower=True, check_finite=False)
    return Form(np.asarray(adjoint(solved)), None)


def distance(
    columns: np.ndarray, landmarks: np.ndarray, F: np.ndarray, room: float = 1.0, inverse: np.ndarray | None = None
) -> Distance:
    """Measure how far any F is from a factor of the Nystrom matrix, whatever rounding did to it.

    With ``C = F F_S* + D``, ``W = F_S F_S* + D_S``, ``P = F F_S^-1`` and ``E = D - P D_S``:
    ``C W^-1 C* - F F* = P D* + D P* - P D_S P* + E W^-1 E*`` and ``C W^-1 = P + E W^-1``. Where F was computed here as
    ``C X*``, X the `inverse`, D is no more than ``C (I - F_S X)*`` and the rounding of that product.
    """
    n, k = columns.shape
    gram = adjoint(F) @ F
    if k == 0:
        return Distance(0.0, 0.0, gram)
    core, chosen = columns[landmarks], F[landmarks]
    size, inner, given = frobenius(F), frobenius(chosen), frobenius(columns)
    least, off_core = resolution(core, chosen, room)
    if inverse is None:
        left = (frobenius(columns[rows] - F[rows] @ adjoint(chosen)) for rows in row_chunks(columns))
        off = math.hypot(*left) + room * (k + 4) * EPS * (given + size * inner)
    else:
        products = 2.0 * inner * frobenius(inverse) + math.sqrt(k)
        off = given * (frobenius(np.eye(k) - chosen @ inverse) + room * (k + 4) * EPS * products)
    # the inverse is accurate to less than a tenth: its condition is below sqrt(1 / EPS)
    coefficients = np.linalg.inv(chosen)
    square = max(float(np.sum((coefficients.conj() * (gram @ coefficients)).real)), 0.0)
    p = (1.0 + 0.1 * room) * math.sqrt(square + room * (n + k + 8) * EPS * (size / least) ** 2)
    e, smallest = off + p * off_core, least**2 - off_core
    trace = 2.0 * p * off + p**2 * off_core + e**2 / smallest
    growth = 1.0 + room * 16 * (n + k) * EPS
    return Distance(trace * growth, (p + e / smallest) * growth, gram)


def resolution(core: np.ndarray, chosen: np.ndarray, room: float = 1.0) -> tuple[float, float]:
    """Return the least singular value of ``F_S``, and how far ``F_S F_S*`` is from W at most.

    Raises `DependentLandmarksError` where the latter is not far below the square of the former.
    """
    k, inner = len(core), frobenius(chosen)
    off_core = frobenius(core - chosen @ chosen.conj().T) + room * (k + 4) * EPS * (frobenius(core) + inner**2)
    values = np.linalg.svd(chosen, compute_uv=False)
    least = float(values[-1]) - room * rounding_allowance((k, k), EPS, inner)
    if not (least > 0.0 and off_core < 0.5 * least**2):
        raise _dependent()
    return least, off_core


def difference(F: np.ndarray, answer: np.ndarray, room: float = 1.0) -> float:
    """Trace norm of ``F F* - answer @ answer*``, rounded upwards, from the triangular factor of both side by side."""
    k = F.shape[1]
    if k == 0:
        return 0.0
    R = np.asarray(np.linalg.qr(np.concatenate([F, answer], axis=1), mode="r"))
    values = np.linalg.eigvalsh(R[:, :k] @ R[:, :k].conj().T - R[:, k:] @ R[:, k:].conj().T)
    size = (frobenius(F) + frobenius(answer)) ** 2
    return float(np.sum(np.abs(values))) + room * rounding_allowance(F.shape, EPS, size) * math.sqrt(2 * k)


def _dependent() -> DependentLandmarksError:
    return DependentLandmarksError("the landmarks are dependent to rounding; leave some of them out")


def trace_error(K: Entries, landmarks: np.ndarray, answer: np.ndarray, *, double: bool, room: float = 1.0) -> float:
    """Trace norm of ``K - answer @ answer*``, rounded upwards, for an answer near the Nystrom matrix of `landmarks`.

    An answer that came in `double` precision is such a factor itself; a narrower one is compared with one. Raises
    `NotSemidefiniteError` where the entries seen prove that K is not positive semidefinite.
    """
    n = K.shape[0]
    landmarks = evidence.indices("landmarks", landmarks, n)
    kind: evidence.Kind = "complex" if np.iscomplexobj(answer) else "real"
    answer = evidence.array("factor", answer, (n, landmarks.size), kind)
    columns = K.columns(landmarks)
    F = answer if double else cholesky_form(columns, landmarks).F
    near = distance(columns, landmarks, F, room)
    if K.spectrum is None:
        refuse_indefinite(K, landmarks, F, near.trace)
    left = float(np.sum(np.maximum(K.diagonal - np.vecdot(F, F).real, 0.0)))
    rounding = (n + landmarks.size + 8) * EPS * (float(np.sum(np.abs(K.diagonal))) + frobenius(F) ** 2)
    moved = 0.0 if double else difference(F, answer, room)
    value = left + room * rounding + 2.0 * near.trace + moved + 2.0 * _indefinite(K, near, room) + K.skew
    return value * (1.0 + room * 16 * n * EPS)


def _indefinite(K: Entries, near: Distance, room: float) -> float:
    """Bound on the sum of the negative eigenvalues of what the landmarks leave, which are those of K interpolated."""
    total, lowest = K.negative_part(room)
    return (math.sqrt(total) + math.sqrt(lowest) * near.coefficients) ** 2


def spectral_bound(K: Entries, rank: int, room: float = 1.0) -> float:
    """Lower bound on the trace norm of ``K - X`` over every X of rank at most `rank`, from the spectrum of an array."""
    values, n = K.spectrum, K.shape[0]
    if values is None:
        raise VerificationError("the spectrum is taken of arrays of moderate size only")
    rank = evidence.whole("the rank", rank, least=0, most=n)
    magnitudes = np.sort(np.abs(values))[::-1]
    each, trace = room * spectrum_allowance(values), float(np.sum(K.diagonal))
    # n - k eigenvalues move by sqrt(n - k) times what all of them move by in the Euclidean norm
    head, tail = float(np.sum(magnitudes[:rank])), float(np.sum(magnitudes[rank:])) - each * math.sqrt(n - rank)
    sums = room * n * EPS * (float(np.sum(np.abs(K.diagonal))) + head)
    whole = trace - head - each * math.sqrt(rank) - sums
    return max((max(tail, whole) - K.skew) * (1.0 - room * 4 * n * EPS), 0.0)


def landmark_bound(K: Entries, rank: int, landmarks: np.ndarray, room: float = 1.0) -> float:
    """Lower bound as in `spectral_bound`, from the entries of more landmarks.

    Raises `NotSemidefiniteError` where the entries seen prove that K is not positive semidefinite.
    """
    n = K.shape[0]
    landmarks = evidence.indices("landmarks", landmarks, n)
    rank = evidence.whole("the rank", rank, least=0, most=n)
    columns = K.columns(landmarks)
    F, inverse = cholesky_form(columns, landmarks)
    near = distance(columns, landmarks, F, room, inverse)
    refuse_large_entries(K, columns, np.arange(n), landmarks)
    refuse_indefinite(K, landmarks, F, near.trace)
    values = np.maximum(np.linalg.eigvalsh(near.gram)[::-1], 0.0)
    size, k = float(np.sum(values)), max(values.size, 1)
    rounding = ((n + 8) * EPS + rounding_allowance(F.shape, EPS, 1.0)) * size * math.sqrt(k)
    tail = float(np.sum(values[rank:])) - near.trace - _indefinite(K, near, room)
    return max(tail - room * rounding - K.skew, 0.0)
