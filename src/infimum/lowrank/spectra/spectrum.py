"""Leading singular triples with what certifies their truncations, and the goal that asks for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from infimum._arrays import Array, like_array, namespace, narrow, real_part, times_power_of_two, to_numpy
from infimum._linalg import adjoint, thin_svd
from infimum.errors import ToleranceError
from infimum.proof.operators.operator import Operator
from infimum.proof.theorems.ritz_block import Bound

Triples = tuple[Array, Array, Array]
RESOLVED = 1e-4  # squared singular values, relative to the largest, from which their roots keep nearly all digits
DEFECT = 2e-14  # from orthonormal columns that is left as it is
ROUNDING = 8.0  # spacings of the largest squared singular value, below which a residual is rounding
Truncated = TypeVar("Truncated")


class Goal(NamedTuple):
    """What was asked for: a rank or a tolerance, the relative gap to prove, the doubt that is allowed.

    `residual` is how long ``M* M v - s**2 v`` may be, relative to ``s**2``.
    """

    rank: int | None
    tol: float | None
    gap: float
    delta: float
    residual: float = float("inf")

    def reached(self, errors: np.ndarray) -> int | None:
        """Return the rank asked for, or the least one whose estimated error meets the tolerance, if any does."""
        if self.rank is not None:
            return self.rank if self.rank < errors.size else None
        meets = np.flatnonzero(errors[1:] <= float(self.tol or 0.0) * errors[0])
        return int(meets[0]) + 1 if meets.size else None

    def settled(self, theta: np.ndarray, lengths: np.ndarray, eps: float) -> bool:
        """Tell whether the residuals of leading Ritz pairs are as short as was asked for, or rounding lets them be."""
        rounding = ROUNDING * eps * float(theta[0])
        return bool(np.all(lengths <= np.maximum(self.residual * theta[: lengths.size], rounding)))


@dataclass(frozen=True)
class Spectrum:
    """Leading singular triples of a scaled operator, for every rank, and what certifies their truncations.

    Attributes
    ----------
    M : Operator
        What was decomposed.
    errors : array
        Estimated Frobenius error of each truncation, rank 0 first (scaled).
    triples : callable
        ``triples(rank)`` returns U, s, Vh in working precision (scaled).
    bound : callable
        ``bound(rank)``: lower bound on the error of every matrix of that rank (scaled).
    theorem : str
        As in the certificate.
    """

    M: Operator
    errors: np.ndarray
    triples: Callable[[int], Triples]
    bound: Callable[[int], Bound]
    theorem: str

    def adjoint(self) -> Spectrum:
        """Return the spectrum of the conjugate transpose."""

        def triples(rank: int) -> Triples:
            U, s, Vh = self.triples(rank)
            return adjoint(Vh), s, adjoint(U)

        return dataclasses.replace(self, M=self.M.adjoint(), triples=triples)

    def rounded(self, rank: int) -> Triples:
        """Return U, s, Vh at the original scale, in the dtype of the input."""
        outer = self.M.outer
        U, s, Vh = self.triples(rank)
        s = times_power_of_two(s, self.M.exponent)
        return narrow(U, outer, "U"), narrow(s, real_part(outer), "s"), narrow(Vh, outer, "Vh")


def least(spectrum: Spectrum, goal: Goal, truncate: Callable[[Spectrum, int], Truncated]) -> Truncated:
    """Truncate at the smallest rank whose certified error is at most ``tol * norm(M)``."""
    M, available = spectrum.M, spectrum.errors.size - 1
    limit = float(goal.tol or 0.0) * float(spectrum.errors[0]) * 2.0**M.exponent
    # `errors` are estimates before rounding to the dtype: start there, then trust only measured values
    for rank in range(goal.reached(spectrum.errors) or available, available + 1):
        result: Any = truncate(spectrum, rank)
        if result.certificate.value <= limit:
            return result  # type: ignore[no-any-return]
    raise ToleranceError(
        f"no rank up to {available} has a certified error of at most {limit:.3g} (tol = {goal.tol}) in "
        f"{M.outer.dtype}; the last one has {result.certificate.value:.3g}: raise tol or convert the input to a wider "
        "type"
    )


def from_right(M: Operator, V: Array, image: Array | None = None) -> Triples:
    """Best triples whose right vectors lie in the span of the orthonormal V; ``image = M @ V``."""
    U, s, wh = thin_svd(M.times(V) if image is None else image)
    return U, s, wh @ adjoint(V)


def from_gram(M: Operator, V: Array, squares: Array) -> Triples:
    """Triples whose right vectors V are eigenvectors of ``M* M``, to its eigenvalues `squares`, ascending.

    Where these are well apart from rounding ``M @ V`` is divided by their roots before it is multiplied, not after,
    and what comes out is orthonormal.
    """
    xp = M.xp
    if float(squares[0]) > RESOLVED * float(squares[-1]):
        s, V = xp.flip(xp.sqrt(squares)), xp.flip(V, axis=1)
        U = M.times(V / xp.astype(s, V.dtype)[None, :])
        products = to_numpy(adjoint(U) @ U)
        if np.linalg.norm(products - np.eye(len(products))) <= DEFECT:
            s = s * like_array(np.sqrt(np.diagonal(products).real), s)
            order = np.argsort(-to_numpy(s), kind="stable")
            if np.any(np.diff(order) < 0):  # values that differ by rounding alone
                places = like_array(order, s)
                U, s, V = xp.take(U, places, axis=1), xp.take(s, places), xp.take(V, places, axis=1)
            return U, s, adjoint(V)
        return from_right(M, V, U * xp.astype(s, U.dtype)[None, :])
    return from_right(M, V)


def copied(part: Array) -> Array:
    """Return a part of an array by itself: it shall not keep the whole in memory."""
    return part.copy() if type(part) is np.ndarray else namespace(part=part).asarray(part, copy=True)
