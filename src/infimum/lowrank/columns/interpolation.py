"""The search behind `interpolative`: columns by a strategy, their coefficients, and the certificate of both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from infimum._arrays import Array, like_array, namespace, narrow, times_power_of_two, widen
from infimum._linalg import adjoint, reduced_qr
from infimum._scaling import scale_back
from infimum._spread import with_places
from infimum.errors import ToleranceError
from infimum.lowrank.columns.least_squares import least_squares
from infimum.lowrank.columns.pivoting import bounded, coefficients
from infimum.lowrank.columns.reduction import Reduction, reduction
from infimum.lowrank.columns.strategies import Chooser, strategy_named
from infimum.lowrank.spectra import ritz_claims
from infimum.proof.answers.chosen_columns import FEW, NODES, certify_columns, search_tree
from infimum.proof.answers.factored import bound_of_any_matrix, certify_factors
from infimum.proof.certificate import Certificate
from infimum.proof.operators.operator import Operator
from infimum.proof.rounding import ROOM, energy_allowance
from infimum.proof.theorems import eckart_young, ritz_block
from infimum.proof.theorems.ritz_block import Bound

SPECTRUM = 1000  # up to this smaller side all singular values are computed for the bound
SMALL = 100  # from this one on their squares, which take a third of the time, where rounding does not matter:
CLEAR, DEAR = 1e6, 1e3  # allowances of an energy that the squared bound has to hold; where passes are dear
DELTA = 1e-6  # failure probability of the bound beyond that


@dataclass(frozen=True)
class ThroughColumns:
    """Chosen columns, the coefficients of all columns on them, and the certificate."""

    order: np.ndarray
    skeleton: Array
    coefficients: Array
    certificate: Certificate


@dataclass(frozen=True)
class Search:
    """The choice of columns of one matrix."""

    M: Operator
    max_coefficient: float | None
    rng: np.random.Generator

    def with_rank(self, rank: int, method: str | Chooser) -> ThroughColumns:
        """Choose so many columns by a method."""
        if method == "exact":
            return self._exact(rank)
        reduced = reduction(self.M, rank, self.rng)
        return self._answer(reduced, strategy_named(method)(reduced, rank, self.rng))

    def with_tol(self, tol: float, method: str | Chooser) -> ThroughColumns:
        """Choose as few columns as are found to meet a tolerance."""
        goal = tol * scale_back(math.sqrt(self.M.energy), self.M.exponent, toward=0.0)
        for last in self._growing(tol, method):
            if last.certificate.value <= goal:
                return last if method == "exact" else self._fewer(last, goal, method)
        raise ToleranceError(
            f"no {min(self.M.shape)} columns have a certified error of at most {goal:.3g} (tol = {tol}) in "
            f"{self.M.outer.dtype}; the last choice has {last.certificate.value:.3g}: raise tol or convert the input "
            "to a wider type"
        )

    def _fewer(self, best: ThroughColumns, goal: float, method: str | Chooser) -> ThroughColumns:
        """Choose anew for smaller ranks: what is best for many columns need not begin with the best few."""
        step = 1
        while step < len(best.order):
            answer = self.with_rank(len(best.order) - step, method)
            if answer.certificate.value <= goal:
                best, step = answer, 2 * step
            elif step > 1:
                step = 1
            else:
                break
        return best

    def _growing(self, tol: float, method: str | Chooser) -> Iterator[ThroughColumns]:
        """Yield longer and longer choices, from the one on that meets `tol` by its estimate."""
        limit = min(self.M.shape)
        if method == "exact":
            yield from (self._exact(rank) for rank in range(1, limit + 1))
            return
        strategy, tried, count = strategy_named(method), 0, min(16, limit)
        while tried < limit:
            reduced = reduction(self.M, count, self.rng)
            order = strategy(reduced, count, self.rng)
            errors = reduced.errors(order)
            meets = np.flatnonzero(errors <= tol * errors[0])
            hopeless = not meets.size and count < limit
            for candidate in range(max(1, tried + 1, int(meets[0]) if meets.size else count), count + 1):
                if not hopeless:
                    yield self._answer(reduced, order[:candidate])
                tried = candidate
            count = min(2 * count, limit)

    def _answer(self, reduced: Reduction, order: np.ndarray) -> ThroughColumns:
        """Find the coefficients for the chosen columns, round them, and certify what is returned."""
        M, xp = self.M, self.M.xp
        eps = float(xp.finfo(M.outer.dtype).eps)
        if self.max_coefficient is not None:
            order = bounded(reduced, order, self.max_coefficient)
        skeleton = M.take(order, axis=1)
        if self.max_coefficient is None:
            Q, R = reduced_qr(times_power_of_two(widen(skeleton), -M.exponent))
            Z = least_squares(R, adjoint(M.adjoint_times(Q)), max(M.shape) * eps)
        else:
            Z = like_array(_clipped(coefficients(reduced, order), self.max_coefficient * (1.0 - 2.0 * eps)), M.outer)
        Z = narrow(with_places(_with_identity, Z, order), M.outer, "a coefficient")
        if M.shape[1] <= FEW:
            certificate = certify_columns(M, skeleton, Z, M.shape[1], room=ROOM)
        else:
            theorem, bound = claimed_bound(M, reduced, order.size)
            certificate = certify_factors(M, skeleton, Z, theorem, bound, room=ROOM)
        return ThroughColumns(order, skeleton, Z, certificate)

    def _exact(self, rank: int) -> ThroughColumns:
        """Search the tree of all choices from a good one on, and prove by it what was found."""
        M = self.M
        reduced = reduction(M, rank, self.rng)
        best = self._answer(reduced, strategy_named("auto")(reduced, rank, self.rng))
        reached = math.ldexp(best.certificate.value, -M.exponent)
        found = search_tree(M, rank, NODES, reached).columns
        if found is not None:
            errors = [float(reduced.errors(np.asarray(order))[-1]) for order in (best.order, found)]
            if errors[1] < errors[0] - 1e-14 * math.sqrt(M.energy):  # more than rounding is gained
                best = self._answer(reduced, np.asarray(found))
        certificate = certify_columns(M, best.skeleton, best.coefficients, NODES, room=ROOM)
        return dataclasses.replace(best, certificate=certificate)


def _with_identity(Z: Array, places: range, order: np.ndarray) -> Array:
    """Make a chosen column itself, exactly: least squares would return the identity only up to rounding."""
    xp, chosen = namespace(Z=Z), like_array(order[:, None] == np.asarray(places)[None, :], Z)
    return xp.where(xp.any(chosen, axis=0)[None, :], xp.astype(chosen, Z.dtype), Z)


def _clipped(Z: np.ndarray, largest: float) -> np.ndarray:
    """Take off what rounding, also that to the caller's dtype, may add to coefficients of the largest size."""
    size = np.abs(Z)
    return np.asarray(Z * np.where(size > largest, largest / np.maximum(size, 1.0), 1.0))


def claimed_bound(M: Operator, reduced: Reduction, rank: int) -> tuple[str, Bound]:
    """Choose the theorem for a bound on every matrix of that rank by what it costs, and claim by it."""
    if min(M.shape) <= max(SPECTRUM, M.gram_limit) or reduced.matrix.shape[0] <= rank or not np.any(reduced.outside):
        if min(M.shape) > SMALL:
            bound = bound_of_any_matrix(M, rank, eckart_young.THEOREM, {"gram": True}, room=ROOM)
            clear = DEAR if M.dear else CLEAR
            if bound.value**2 > clear * energy_allowance(M.shape, M.eps, rank, M.energy):
                return eckart_young.THEOREM, bound
        return eckart_young.THEOREM, bound_of_any_matrix(M, rank, eckart_young.THEOREM, {}, room=ROOM)
    basis = like_array(np.ascontiguousarray(reduced.matrix.conj().T), M.like)
    return ritz_block.THEOREM, ritz_claims.claim(M, basis, rank, DELTA)
