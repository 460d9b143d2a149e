"""Least squares with many right-hand sides, without forming the pseudo-inverse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import (
    Array,
    as_array,
    as_matrix,
    namespace,
    narrow,
    scale_back,
    times_power_of_two,
    to_numpy,
    widen,
    working,
)
from infimum._linalg import adjoint, frobenius, residual_norm
from infimum.errors import OptionError, RangeError, ShapeError
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from infimum.proof.theorems import least_squares_dual


@dataclass(frozen=True)
class Solution(Result):
    """The best X of ``A @ X ≈ B``, the answer of `solve`.

    Attributes
    ----------
    matrix : array (n, k) or (n,)
        X, a vector where B is one.
    ridge : float
        Weight of ``norm(X)**2`` in the loss.
    certificate : Certificate
        `value` is ``sqrt(norm(A @ X - B)**2 + ridge * norm(X)**2)`` (Frobenius); `lower_bound` holds for every X, or
        without a ridge for every X that is no longer than `matrix`.
    """

    problem: ClassVar[str] = "lowrank.solve"
    inputs: ClassVar[tuple[str, ...]] = ("A", "B")
    matrix: Array
    ridge: float

    def recheck(self, A: Array, B: Array) -> Certificate:
        """Derive the certificate of a least-squares solution from the inputs, the answer and the dual."""
        expected = tuple(as_array(B, "B").shape[1:])
        A, B = _checked(A, B)
        expected = (A.shape[1], *expected)
        if tuple(self.matrix.shape) != expected:
            raise ShapeError(f"a solution of shape {expected} was expected, got {tuple(self.matrix.shape)}")
        return _certify(A, B, _columns(self.matrix), self.ridge, self.certificate.witness["dual"])

    def plot(self, ax: Any = None) -> Any:
        """Draw the length of each column of the solution."""
        ax = axes(ax)
        lengths = np.linalg.norm(to_numpy(_columns(self.matrix)).astype(np.complex128), axis=0)
        ax.bar(np.arange(lengths.size), lengths)
        certificate = self.certificate
        ax.set(
            xlabel="right-hand side",
            ylabel="length of the solution",
            title=f"error {certificate.value:.5g}, floor {certificate.lower_bound:.5g}",
        )
        whole_numbers(ax.xaxis)
        return ax


def solve(A: Array, B: Array, *, ridge: float = 0.0, rtol: float | None = None) -> Solution:
    """Best solution of a linear system in the sense of least squares: ``A @ X ≈ B``.

    Minimises ``norm(A @ X - B)**2 + ridge * norm(X)**2`` (Frobenius) over all X; without a ridge over all X that are no
    longer than the answer, which is the shortest minimiser once small singular values count as zero. As `ridge` goes to
    0 the solution tends to ``pinv(A) @ B`` (Tikhonov's limit).

    Parameters
    ----------
    A : array (m, n)
        Real or complex, finite, of any library of the array API standard.
    B : array (m, k) or (m,)
        Right-hand sides, or one as a vector, of the same library.
    ridge : float
        Weight of ``norm(X)**2``, 0 or more.
    rtol : float, optional
        Singular values up to `rtol` times the largest count as zero, 0 <= rtol < 1. Default: ``max(m, n)`` times the
        spacing of the dtype of `A`.

    Returns
    -------
    Solution
        `matrix` (n, k), or (n,) for a vector: library, dtype and device of `B`; `certificate`.

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
    .. [2] Su Jianlin, Scientific Spaces 10366, https://kexue.fm/archives/10366.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> result = infimum.lowrank.solve(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))
    >>> result.matrix.round(12).tolist(), round(result.certificate.lower_bound, 6)
    ([2.0], 1.414214)
    """
    vector = as_array(B, "B").ndim == 1
    A, B = _checked(A, B)
    if rtol is None:
        rtol = max(A.shape) * float(namespace(A=A).finfo(A.dtype).eps)
    if not 0.0 <= rtol < 1.0:
        raise OptionError(f"rtol must be at least 0 and below 1, got {rtol!r}")
    if not 0.0 <= ridge < math.inf:
        raise OptionError(f"ridge must be a finite number, 0 or more, got {ridge!r}")
    left, right = working(A), working(B)
    xp = left.xp
    U, s, Vh = xp.linalg.svd(left.array, full_matrices=False)
    values = to_numpy(s)
    rank = int(np.sum(values > rtol * values[0]))
    weight = _scaled_ridge(ridge, left.exponent)
    U, s, Vh = U[:, :rank], s[:rank], Vh[:rank, :]
    image = xp.astype(right.array, U.dtype)
    coordinates = adjoint(U) @ image
    filters = xp.astype(s / (s**2 + weight), U.dtype)
    X = adjoint(Vh) @ (filters[:, None] * coordinates)
    # what the kept directions do not reach, and what the ridge leaves of them; twice, so that rounding is gone
    kept = xp.astype(weight / (s**2 + weight), U.dtype)
    dual = image - U @ coordinates
    dual = dual - U @ (adjoint(U) @ dual) + U @ (kept[:, None] * coordinates)
    matrix = narrow(_like(times_power_of_two(X, right.exponent - left.exponent), B), B, "the solution")
    certificate = _certify(A, B, matrix, float(ridge), dual)
    return Solution(matrix=matrix[:, 0] if vector else matrix, ridge=float(ridge), certificate=certificate)


def _columns(B: Array) -> Array:
    """Return a vector as a matrix of one column."""
    return B[:, None] if B.ndim == 1 else B


def _checked(A: Array, B: Array) -> tuple[Array, Array]:
    A, B = as_matrix(A, "A"), as_matrix(_columns(as_array(B, "B")), "B")
    xp = namespace(A=A, B=B)
    if A.shape[0] != B.shape[0]:
        raise ShapeError(f"A and B must have equally many rows, got {A.shape[0]} and {B.shape[0]}")
    if xp.isdtype(A.dtype, "complex floating") and not xp.isdtype(B.dtype, "complex floating"):
        B = xp.astype(B, A.dtype)
    return A, B


def _like(X: Array, B: Array) -> Array:
    xp = namespace(X=X, B=B)
    real = xp.isdtype(X.dtype, "complex floating") and not xp.isdtype(B.dtype, "complex floating")
    return xp.real(X) if real else X


def _scaled_ridge(ridge: float, exponent: int) -> float:
    """Return the ridge that goes with a matrix scaled down by ``2**exponent``."""
    try:
        weight = math.ldexp(ridge, -2 * exponent)
    except OverflowError:
        weight = math.inf
    if ridge and not 1e-290 < weight < 1e290:
        raise RangeError(
            f"ridge {ridge:.3g} is out of all proportion to the squares of A, whose entries go up to 2**{exponent}"
        )
    return weight


def _certify(A: Array, B: Array, matrix: Array, ridge: float, dual: Array) -> Certificate:
    """Measure the loss of the answer; bound that of every other one by the dual."""
    left, right = working(A), working(B)
    xp = left.xp
    dtype = xp.result_type(left.array.dtype, right.array.dtype)
    scaled = left._replace(array=xp.astype(left.array, dtype), eps=max(left.eps, right.eps))
    target = xp.astype(right.array, dtype)
    X = xp.astype(times_power_of_two(widen(matrix), left.exponent - right.exponent), dtype)
    weight, radius = _scaled_ridge(ridge, left.exponent), frobenius(X)
    radius *= 1.0 + sum(X.shape) * scaled.eps
    value = math.hypot(residual_norm(target, scaled.array, X, scaled.eps), math.sqrt(weight) * radius)
    bound = least_squares_dual.lower_bound(scaled, target, xp.astype(widen(dual), dtype), ridge=weight, radius=radius)
    return Certificate(
        value=scale_back(value * (1.0 + 4 * scaled.eps), right.exponent, toward=math.inf),
        lower_bound=scale_back(bound, right.exponent, toward=0.0),
        theorem="least_squares_dual",
        rigour="rounded",
        witness={"dual": dual},
    )
