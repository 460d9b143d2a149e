"""The answer of `pinv`: a pseudo-inverse, the rank decision behind it, and how near it brings A to the identity."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat
import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import (
    Array,
    Working,
    as_matrix,
    is_complex,
    namespace,
    times_power_of_two,
    to_numpy,
    widen,
    working,
)
from infimum._linalg import adjoint, frobenius, less_diagonal, row_chunks, with_rounding
from infimum._scaling import scale_back
from infimum.errors import VerificationError
from infimum.proof import evidence
from infimum.proof.certificate import Certificate
from infimum.proof.operators.sparse import with_zeros
from infimum.proof.result import Result
from infimum.proof.theorems import tikhonov_dual

LARGE = 60  # rows from which products in single precision save time
AMBIGUOUS = 10.0  # a singular value within this factor of the cut makes the rank decision doubtful


@dataclass(frozen=True)
class PseudoInverse(Result):
    """The pseudo-inverse of a matrix, the answer of `pinv`.

    Attributes
    ----------
    matrix : array (n, m)
        The pseudo-inverse of the matrix of rank `rank` nearest to A.
    rank : int
        Number of singular values above `cut`.
    rtol : float
        Relative cut: singular values up to `rtol` times the largest were counted as zero.
    singular_values : array (min(m, n),)
        All singular values of A, descending, in the (real) dtype of A.
    penrose : array (4,)
        Relative residuals of the four Penrose conditions: ``A X A = A``, ``X A X = X``, and that ``A X`` and ``X A``
        are Hermitian. The first is as large as the singular values that were cut off.
    certificate : Certificate
        `value` is ``norm(A @ matrix - I)`` (Frobenius); `lower_bound` holds for every matrix B with
        ``norm(B) <= norm(matrix)``.
    """

    problem: ClassVar[str] = "lowrank.pinv"
    inputs: ClassVar[tuple[str, ...]] = ("A",)
    matrix: Array
    rank: int
    rtol: float
    singular_values: Array
    penrose: Array

    @property
    def cut(self) -> float:
        """`rtol` times the largest singular value: what the rank decision compared with."""
        return self.rtol * float(self.singular_values[0])

    @property
    def gap(self) -> float:
        """Ratio of the singular values on both sides of the cut; infinite when none is cut off, or only zeros."""
        s = to_numpy(self.singular_values)
        below = float(s[self.rank]) if self.rank < s.size else 0.0
        return float(s[self.rank - 1]) / below if self.rank and below > 0.0 else math.inf

    @property
    def ambiguous(self) -> bool:
        """True when a singular value lies within a factor of 10 of the cut, so another `rtol` may change the rank."""
        s = to_numpy(self.singular_values)
        return bool(np.any((s > self.cut / AMBIGUOUS) & (s < self.cut * AMBIGUOUS)))

    def recheck(self, A: Array) -> Certificate:
        """Derive the certificate of a pseudo-inverse from the input and the answer alone."""
        A = as_matrix(with_zeros(A), "A")
        scaled = working(A)
        kind: evidence.Kind = "complex" if is_complex(A) else "real"
        matrix = evidence.array("matrix", self.matrix, (A.shape[1], A.shape[0]), kind, like=A)
        values, allowance = tikhonov_dual.spectrum(scaled)
        self._check_rank(scaled, values, allowance)
        stated = to_numpy(evidence.array("penrose", self.penrose, (4,), like=A)).astype(np.float64)
        products = Products.of(scaled, matrix)
        fresh, moved = products.penrose_residuals()
        off = np.abs(stated - fresh) > 2.0 * moved + spacing(A, fresh)  # the solver's were rounded, too
        if np.any(off):
            raise VerificationError(f"the Penrose residuals are {fresh.tolist()}, the answer says {stated.tolist()}")
        return certify_pinv(products, self.certificate.witness["mu"], values)

    def _check_rank(self, A: Working, values: np.ndarray, allowance: float) -> None:
        """Compare the singular values, and the decision how many count, with those of A, up to rounding."""
        given = evidence.array("singular_values", self.singular_values, (values.size,), like=A.array)
        claimed = to_numpy(widen(given))
        if np.any(np.diff(claimed) > 0.0) or claimed[-1] < 0.0:
            raise VerificationError("singular_values must descend to 0 or more")
        true = times_power_of_two(values, A.exponent)
        slack = times_power_of_two(np.asarray(2.0 * allowance), A.exponent)
        if np.any(np.abs(claimed - true) > slack + spacing(given, true)):
            raise VerificationError("singular_values differ from those of A")
        rtol = evidence.number("rtol", self.rtol, least=0.0, below=1.0)
        cut, doubt = rtol * values[0], 2.0 * allowance * (1.0 + rtol)
        least, most = int(np.sum(values > cut + doubt)), int(np.sum(values > cut - doubt))
        evidence.whole("rank", self.rank, least=least, most=most)

    def plot(self, ax: Any = None) -> Any:
        """Draw the singular values and the cut that decided the rank."""
        ax = axes(ax)
        s = np.maximum(to_numpy(self.singular_values), np.finfo(float).tiny)
        ax.semilogy(np.arange(1, s.size + 1), s, ".-", label="singular values")
        ax.axhline(max(self.cut, np.finfo(float).tiny), color="C1", ls="--", label=f"cut {self.cut:.2g}")
        title = f"pseudo-inverse of rank {self.rank}" + (" (ambiguous)" if self.ambiguous else "")
        ax.set(xlabel="index", ylabel="singular value", title=title)
        whole_numbers(ax.xaxis)
        ax.legend()
        return ax


def spacing(like: Array, values: np.ndarray) -> np.ndarray:
    """How far rounding to the dtype of `like` may move these numbers, which are 0 or more."""
    dtype = namespace(like=like).finfo(like.dtype)
    return np.asarray(float(dtype.eps) * np.maximum(values, float(dtype.smallest_normal)))


@dataclass(frozen=True)
class Products:
    """A matrix and what is to be its inverse, both scaled, and their products, at their own scale."""

    A: Working
    X: Working
    left: Array
    right: Array

    @classmethod
    def of(cls, A: Working, matrix: Array) -> Products:
        """Multiply from both sides."""
        X = working(matrix)
        left, right = (
            times_power_of_two(product, A.exponent + X.exponent) for product in (A.array @ X.array, X.array @ A.array)
        )
        return cls(A, X, left, right)

    def penrose_residuals(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the relative residuals of the four Penrose conditions, and how far rounding may move each.

        A product of p terms is off by at most p unit roundoffs of the product of the norms: that of A and the inverse,
        and the next one with A or the inverse again: half of what is allowed. What is relative to a product that
        rounding could have made says nothing.
        """
        A, X, left, right = self.A.array, self.X.array, self.left, self.right
        whole, other = frobenius(A), frobenius(X)
        with np.errstate(over="ignore"):
            size = float(np.ldexp(whole * other, self.A.exponent + self.X.exponent))
            moved = (sum(A.shape) + 8) * self.A.eps * (1.0 + size)
        # A X A - A is both (A X - I) A and A (X A - I): what is smaller is multiplied
        tall = A.shape[0] >= A.shape[1]
        off = _less_identity(right if tall else left)
        if _fits_single(off, moved):
            off, A, X = _single(off), _single(A), _single(X)
        first, second = (A @ off, off @ X) if tall else (off @ A, X @ off)
        residuals = [
            (_wide_norm(first), whole),
            (_wide_norm(second), other),
            (_asymmetry(left), frobenius(left)),
            (_asymmetry(right), frobenius(right)),
        ]
        allowances = [moved, moved, *(2.0 * moved / size if size else math.inf for _, size in residuals[2:])]
        return np.asarray([off / size if size else 0.0 for off, size in residuals]), np.asarray(allowances)


def _wide_norm(array: Array) -> float:
    """Return the Frobenius norm, of single precision too; a few rows are widened at a time."""
    return math.hypot(*(frobenius(widen(array[rows, :])) for rows in row_chunks(array)))


def _asymmetry(product: Array) -> float:
    """Return the Frobenius norm of a square matrix less its conjugate transpose, formed a few rows at a time."""
    rows = row_chunks(product)
    return math.hypot(*(frobenius(product[few, :] - adjoint(product[:, few])) for few in rows))


def _less_identity(product: Array) -> Array:
    if isinstance(product, np.ndarray):
        return less_diagonal(product.copy(), 1.0)
    xp = namespace(product=product)
    return product - xp.eye(product.shape[0], dtype=product.dtype, device=array_api_compat.device(product))


def _fits_single(off: Array, moved: float) -> bool:
    """Tell whether products with `off` may be in single precision, which halves the time of large ones.

    With p rows they are off by p + 2 unit roundoffs of single precision, relative to ``norm(off)`` and the other
    factor. That may be half of `moved`. Entries of the others are of ordinary size.
    """
    coarse = float(np.finfo(np.float32).eps) * (2 if is_complex(off) else 1)
    size = frobenius(off) if off.shape[0] >= LARGE else 1.0
    return size < 1.0 and (off.shape[0] + 4) * coarse * size <= moved


def _single(array: Array) -> Array:
    xp = namespace(array=array)
    return xp.astype(array, xp.complex64 if is_complex(array) else xp.float32)


Multiplier = Callable[[np.ndarray, int, float], float]


def certify_pinv(
    products: Products, multiplier: float | Multiplier, values: np.ndarray, room: float = 1.0
) -> Certificate:
    """Measure ``norm(A @ matrix - I)``; bound it for every B that is no longer, by the dual.

    `multiplier` is that of the dual, or a search for it among the first arguments of `tikhonov_dual.dual_value`;
    `values` are the computed singular values of A, scaled as in `working`.
    """
    A, X, rows = products.A, products.X, products.A.array.shape[0]
    length = scale_back(frobenius(X.array), X.exponent + A.exponent, toward=math.inf)
    radius = length * (1.0 + room * sum(A.array.shape) * A.eps)
    above = values + room * tikhonov_dual.spectrum(A, values)[1]
    mu = multiplier(above, rows, radius) if callable(multiplier) else multiplier
    with np.errstate(over="ignore", invalid="ignore"):
        computed = frobenius(_less_identity(products.left))
    inverse = times_power_of_two(X.array, X.exponent + A.exponent)
    return Certificate(
        value=with_rounding(computed, math.sqrt(rows), A.array, inverse, A.eps, room),
        lower_bound=tikhonov_dual.lower_bound(above, rows, radius, mu, room),
        theorem=tikhonov_dual.THEOREM,
        rigour="rounded",
        witness={"mu": mu},
    )
