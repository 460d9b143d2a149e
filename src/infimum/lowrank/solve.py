"""Least squares with many right-hand sides, without forming the pseudo-inverse."""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import (
    Array,
    ArrayLike,
    Working,
    as_array,
    namespace,
    narrow,
    times_power_of_two,
    to_numpy,
    working,
)
from infimum._linalg import adjoint
from infimum._spread import at_hand
from infimum.errors import OptionError
from infimum.lowrank.spectra.bidiagonal import lsqr
from infimum.lowrank.spectra.elimination import Eliminated, eliminated
from infimum.lowrank.stacks import over_stacks
from infimum.proof.answers.solve import Solution, certify_solution, checked_system, in_parts, scaled_ridge
from infimum.proof.operators.dense import Dense
from infimum.proof.rounding import ROOM


@over_stacks(2)
def solve(A: ArrayLike, B: ArrayLike, *, ridge: float = 0.0, rtol: float | None = None) -> Solution:
    """Best solution of a linear system in the sense of least squares: ``A @ X ≈ B``.

    Minimises ``norm(A @ X - B)**2 + ridge * norm(X)**2`` (Frobenius) over all X; without a ridge over all X that are no
    longer than the answer, which is the shortest minimiser once small singular values count as zero. As `ridge` goes to
    0 the solution tends to ``pinv(A) @ B`` (Tikhonov's limit).

    Parameters
    ----------
    A : array (m, n), or a stack (..., m, n)
        Real or complex, finite, of any library of the array API standard, or a table of pandas, Polars or xarray; or a
        sparse matrix (SciPy, PyTorch) or LinearOperator, or the blocks of rows of a matrix larger than memory
        (`infimum.scale.RowBlocks`). What is not in memory, or would be large with its zeros, is solved by LSQR [3]_:
        the certificate says how far it came.
    B : array (m, k) or (m,), or a stack (..., m, k)
        Right-hand sides, or one as a vector, of the same library.
    ridge : float
        Weight of ``norm(X)**2``, 0 or more.
    rtol : float, optional
        Singular values up to `rtol` times the largest count as zero, 0 <= rtol < 1. Default: ``max(m, n)`` times the
        spacing of the dtype of `A`. LSQR ends where it would have to count one near `rtol` times ``norm(A)``.

    Returns
    -------
    Solution
        `matrix` (n, k), or (n,) for a vector: library, dtype and device of `B`; `certificate`. Of a stack a
        `Batch`: their fields stacked, one array of certificates.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    RangeError
        An entry of the answer does not fit the dtype of `B`.

    References
    ----------
    .. [1] R. Penrose, "On best approximate solutions of linear matrix equations",
       Math. Proc. Camb. Phil. Soc. 52 (1956).
    .. [2] Su Jianlin, Scientific Spaces 10366 (low rank 1, the pseudo-inverse), https://kexue.fm/archives/10366.
    .. [3] C. Paige, M. Saunders, "LSQR: an algorithm for sparse linear equations and sparse least squares",
       ACM Trans. Math. Softw. 8 (1982).

    Examples
    --------
    >>> import numpy as np, infimum
    >>> result = infimum.lowrank.solve(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))
    >>> result.matrix.round(12).tolist(), round(result.certificate.lower_bound, 6)
    ([2.0], 1.414214)
    """
    vector = as_array(B, "B").ndim == 1
    M, B = checked_system(A, B)
    if rtol is None:
        rtol = max(M.shape) * float(M.xp.finfo(M.outer.dtype).eps)
    if not 0.0 <= rtol < 1.0:
        raise OptionError(f"rtol must be at least 0 and below 1, got {rtol!r}")
    if not 0.0 <= ridge < math.inf:
        raise OptionError(f"ridge must be a finite number, 0 or more, got {ridge!r}")
    right = working(B)
    image, weight = in_parts(M, right.array), scaled_ridge(ridge, M.exponent)
    if isinstance(M, Dense):
        found = eliminated(M.working, rtol) if ridge == 0.0 else None
        if found is not None:
            X, dual = _by_elimination(found, M.array, image)
        else:
            X, dual = _by_filters(M.working, image, weight, rtol)
    else:
        X = lsqr(M, image, weight, rtol)
        dual = image - at_hand(M.times(X))
    X, dual = (_complex_again(part, B) for part in (X, dual))
    matrix = narrow(times_power_of_two(X, right.exponent - M.exponent), B, "the solution")
    certificate = certify_solution(M, B, matrix, float(ridge), dual, room=ROOM)
    return Solution(matrix=matrix[:, 0] if vector else matrix, ridge=float(ridge), certificate=certificate)


def _complex_again(parts: Array, like: Array) -> Array:
    """Put together what `in_parts` may have set apart."""
    half = parts.shape[1] // 2
    return parts if parts.shape[1] == like.shape[1] else parts[:, :half] + 1j * parts[:, half:]


def _by_elimination(A: Eliminated, array: Array, image: Array) -> tuple[Array, Array]:
    """Return the shortest solution, and what the columns of a matrix of full rank do not reach."""
    xp = namespace(array=array)
    if A.Q is None:
        return xp.linalg.solve(A.core, image), xp.zeros_like(image)
    if array.shape[0] < array.shape[1]:
        return A.Q @ xp.linalg.solve(adjoint(A.core), image), xp.zeros_like(image)
    coordinates = adjoint(A.Q) @ image
    dual = image - A.Q @ coordinates
    return xp.linalg.solve(A.core, coordinates), dual - A.Q @ (adjoint(A.Q) @ dual)


def _by_filters(A: Working, image: Array, weight: float, rtol: float) -> tuple[Array, Array]:
    """Return the solution along the singular vectors that count, and the dual."""
    xp = A.xp
    U, s, Vh = xp.linalg.svd(A.array, full_matrices=False)
    values = to_numpy(s)
    rank = int(np.sum(values > rtol * values[0]))
    U, s, Vh = U[:, :rank], s[:rank], Vh[:rank, :]
    coordinates = adjoint(U) @ image
    filters = xp.astype(s / (s**2 + weight), U.dtype)
    X = adjoint(Vh) @ (filters[:, None] * coordinates)
    # what the kept directions do not reach, and what the ridge leaves of them; twice, so that rounding is gone
    kept = xp.astype(weight / (s**2 + weight), U.dtype)
    dual = image - U @ coordinates
    return X, dual - U @ (adjoint(U) @ dual) + U @ (kept[:, None] * coordinates)
