"""The truncated singular value decomposition: its loss, and how its certificate is derived."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat
import numpy as np

from infimum._arguments import RNGLike, axes, whole_numbers
from infimum._arrays import Array, ArrayLike, as_matrix, namespace, times_power_of_two, to_numpy, widen, working
from infimum._linalg import adjoint, frobenius
from infimum._scaling import scale_back
from infimum._tables import labels
from infimum.errors import ShapeError, VerificationError
from infimum.proof import evidence, wording
from infimum.proof.answers.factored import (
    Factored,
    as_rows,
    bound_of_any_matrix,
    certificate_of,
    check_names,
)
from infimum.proof.certificate import Certificate
from infimum.proof.operators.centred import Centred, centred
from infimum.proof.operators.inputs import as_operator
from infimum.proof.operators.operator import Operator
from infimum.proof.theorems.ritz_block import Bound
from infimum.proof.theorems.singular_triples import TripleBounds, triple_bounds, values_between


@dataclass(frozen=True)
class SVD(Factored):
    """``M ≈ U @ diag(s) @ Vh``, the answer of `svd`.

    Attributes
    ----------
    U : array (m, rank)
        Orthonormal columns.
    s : array (rank,)
        Singular values, real, descending.
    Vh : array (rank, n)
        Orthonormal rows.
    mean : array (n,) or None
        With ``center=True``: the mean of the rows, ``M ≈ mean + U @ diag(s) @ Vh``.
    names : tuple of str or None
        Names of the columns, where the input has them.
    certificate : Certificate
        ``lower_bound`` holds for *every* matrix of that rank; with a mean for every such matrix plus any one row.
    """

    problem: ClassVar[str] = "lowrank.svd"
    inputs: ClassVar[tuple[str, ...]] = ("M",)
    U: Array
    s: Array
    Vh: Array
    mean: Array | None = None
    names: tuple[str, ...] | None = None

    @property
    def rank(self) -> int:
        """Number of singular triples."""
        return int(self.s.shape[0])

    @property
    def explained(self) -> Array:
        """Share of the squared norm of M, less its mean where that was taken off, that each triple holds."""
        xp = namespace(s=self.s)
        scaled = working(self.s)
        squares = scaled.array**2
        rest = math.ldexp(self.certificate.value, -scaled.exponent) ** 2
        total = float(xp.sum(squares)) + rest
        return xp.astype(squares / total if total else squares, self.s.dtype)

    def factors(self) -> tuple[Array, Array]:
        """Return ``U * s`` (in working precision) and ``Vh``; with a mean a column of ones and that mean besides."""
        U = widen(self.U)
        left = U * namespace(U=U).astype(widen(self.s), U.dtype)[None, :]
        if self.mean is None:
            return left, self.Vh
        xp = namespace(left=left)
        return xp.concat([left, xp.ones_like(left[:, :1])], axis=1), xp.concat([self.Vh, self.mean[None, :]], axis=0)

    def chain(self) -> tuple[Array, ...]:
        """Return `U`, `s` and `Vh`; with a mean the two factors."""
        if self.mean is None:
            return self.U, self.s, self.Vh
        left, right = self.factors()
        return namespace(left=left).astype(left, right.dtype), right

    def __iter__(self) -> Iterator[Array]:
        """Unpack into `U`, `s` and `Vh`."""
        return iter((self.U, self.s, self.Vh))

    def transform(self, rows: ArrayLike) -> Array:
        """Return the coordinates of new rows (q, n) along the right singular vectors: (q, rank), as ``U * s`` for M."""
        rows = as_rows(rows, self.Vh, self.names)
        return (rows if self.mean is None else rows - self.mean[None, :]) @ adjoint(self.Vh)

    def inverse_transform(self, coordinates: ArrayLike) -> Array:
        """Return the rows (q, n) that have such coordinates (q, rank)."""
        rows = as_matrix(coordinates, "coordinates") @ self.Vh
        return rows if self.mean is None else rows + self.mean[None, :]

    def triple_bounds(self, M: Any, *, rng: RNGLike = None) -> TripleBounds:
        """Bound every singular value, residual and angle of the triples, from the input and the witness alone.

        It costs what `infimum.verify` costs, and two products with the vectors. `rng` draws anew where draws take part.
        """
        less = None if self.mean is None else centred(M, "M")
        operator = as_operator(M, "M") if less is None else less.operator
        shape = (*self.U.shape[:1], *self.Vh.shape[1:])
        if shape != operator.shape:
            raise ShapeError(f"the matrix of shape {shape} was expected, got {operator.shape}")
        U, s, Vh = map(widen, self._checked_triples(operator))
        claimed = self.certificate
        between = values_between(operator, self.rank + 1, claimed.theorem, claimed.witness, rng)
        s = to_numpy(times_power_of_two(s, -operator.exponent))
        error = 0.0 if less is None else less.allowance
        found = triple_bounds(operator, U, s, adjoint(Vh), between, claimed.confidence, error)
        scaled: dict[str, Any] = {
            name: np.array([scale_back(value, operator.exponent, toward) for value in getattr(found, name).tolist()])
            for name, toward in (("lower", 0.0), ("upper", math.inf), ("residuals", math.inf))
        }
        return dataclasses.replace(found, **scaled)

    def recheck(self, M: Any, *, rng: RNGLike = None) -> Certificate:
        """Derive the certificate of an SVD from the input, the answer and the witness alone."""
        less = None if self.mean is None else centred(M, "M")
        operator = as_operator(M, "M") if less is None else less.operator
        check_names("names", self.names, labels(M, axis=1), operator.shape[1])
        U, s, Vh = self._checked_triples(operator)
        slack = 8.0 * max(operator.shape) * self.rank * float(operator.xp.finfo(operator.outer.dtype).eps)
        check_orthonormal("U", widen(U), slack)
        check_orthonormal("Vh", adjoint(widen(Vh)), slack)
        claimed = self.certificate
        bound = bound_of_any_matrix(operator, self.rank, claimed.theorem, claimed.witness, rng)
        if less is None:
            return certify_triples(operator, U, s, Vh, claimed.theorem, bound)
        kind: evidence.Kind = "complex" if operator.complex else "real"
        mean = evidence.array("mean", self.mean, (operator.shape[1],), kind, like=operator.outer)
        return certify_centred(less, U, s, Vh, mean, claimed.theorem, bound)

    def _checked_triples(self, M: Operator) -> tuple[Array, Array, Array]:
        """Return U, s and Vh where they are finite, of the shapes for M, and s holds singular values."""
        s = evidence.array("s", self.s, (None,), like=M.outer)
        rank = check_singular_values(to_numpy(s), min(M.shape))
        kind: evidence.Kind = "complex" if M.complex else "real"
        U = evidence.array("U", self.U, (M.shape[0], rank), kind, like=M.outer)
        Vh = evidence.array("Vh", self.Vh, (rank, M.shape[1]), kind, like=M.outer)
        return U, s, Vh

    def plot(self, ax: Any = None) -> Any:
        """Draw the singular values that were kept, and the floor: the least error of any matrix of this rank."""
        ax = axes(ax)
        s = to_numpy(self.s)
        ax.semilogy(
            np.arange(1, self.rank + 1), np.maximum(s, np.finfo(float).tiny), ".-", label="singular values kept"
        )
        ax.axhline(self.certificate.value, color="C1", label=wording.error_label(self.certificate))
        ax.axhline(self.certificate.lower_bound, color="C2", ls="--", label=f"floor {self.certificate.lower_bound:.5g}")
        ax.set(xlabel="index", ylabel="singular value, Frobenius error", title=f"SVD of rank {self.rank}")
        whole_numbers(ax.xaxis)
        ax.legend()
        return ax


def certify_triples(
    M: Operator, U: Array, s: Array, Vh: Array, theorem: str, bound: Bound, room: float = 1.0
) -> Certificate:
    """Measure ``norm(M - U @ diag(s) @ Vh, "fro")``, and put it together with a (scaled) bound that a theorem gave."""
    return certificate_of(M, M.distance(*_scaled_factors(M, U, s, Vh), room), theorem, bound)


def certify_centred(
    less: Centred, U: Array, s: Array, Vh: Array, mean: Array, theorem: str, bound: Bound, room: float = 1.0
) -> Certificate:
    """Measure ``norm(M - mean - U @ diag(s) @ Vh, "fro")``, and bound it beside any row that is added to all.

    `less` is M without its own mean, and `bound` (scaled) that of every matrix of that rank beside it.
    """
    M = less.operator
    # what the stored mean differs by from the one that was taken off is a matrix of rank one
    with np.errstate(over="ignore"):  # then no distance is found
        shift = times_power_of_two(widen(mean) - less.mean, -M.exponent)
    left, right = _scaled_factors(M, U, s, Vh)
    if bool(M.xp.any(shift != 0.0)):
        left = M.xp.concat([left, M.xp.ones_like(left[:, :1])], axis=1)
        right = M.xp.concat([right, shift[None, :]], axis=0)
    value = M.distance(left, right, room) + room * less.difference
    return certificate_of(M, value, theorem, bound._replace(value=max(0.0, bound.value - room * less.allowance)))


def _scaled_factors(M: Operator, U: Array, s: Array, Vh: Array) -> tuple[Array, Array]:
    """Return two factors of ``U @ diag(s) @ Vh``, scaled as M: the smaller one is multiplied, the other as it is."""
    U, Vh = widen(U), widen(Vh)
    s = namespace(s=s).astype(times_power_of_two(widen(s), -M.exponent), U.dtype)
    return (U, s[:, None] * Vh) if M.shape[0] > M.shape[1] else (U * s[None, :], Vh)


def check_singular_values(values: np.ndarray, most: int) -> int:
    """Raise `VerificationError` unless they are at least 0 and descending; return their number."""
    if not 1 <= values.size <= most:
        raise VerificationError(f"s must hold from 1 to {most} singular values, got {values.size}")
    if np.any(values < 0.0) or np.any(values[1:] > values[:-1]):
        raise VerificationError("s must hold singular values: at least 0 and descending")
    return int(values.size)


def check_orthonormal(name: str, columns: Array, slack: float) -> None:
    """Raise `VerificationError` unless ``columns* @ columns`` is the identity to `slack`."""
    xp = namespace(columns=columns)
    eye = xp.eye(columns.shape[1], dtype=columns.dtype, device=array_api_compat.device(columns))
    with np.errstate(over="ignore", invalid="ignore"):  # columns of any length: then it is infinite or NaN
        defect = frobenius(adjoint(columns) @ columns - eye)
    if not defect <= slack:
        raise VerificationError(f"{name} must be orthonormal to {slack:.1e}, it is off by {defect:.1e}")
