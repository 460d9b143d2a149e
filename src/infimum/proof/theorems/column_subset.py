"""Column subset: no choice of k columns has a smaller error than the least bound left in a tree of partial choices.

If S contains D, then ``norm(M - P_S M) >= tail of the singular values of M - P_D M beyond the first k - len(D)``.
Statement and proof: docs/theorems/column_subset.md.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import NamedTuple

import numpy as np

from infimum._arrays import Array, times_power_of_two, to_numpy, widen
from infimum.proof.operators.product import Terms
from infimum.proof.rounding import REDUCTION, rounding_allowance, tails

THEOREM = "column_subset"
# Householder QR of s unit columns of length p: the computed span is that of columns off by less than
# STEPS * p * (s + 3) * eps, and the projection of any other column is off by as much of its length. The theorem has a
# small constant that nobody states; 4 unit roundoffs are taken for it, and far less was observed (see the page).
STEPS = 2.0
GRID = 2.0**-30  # bounds that differ by less, relative to the norm, count as equal where the tree chooses its way
DOUBTFUL = 1e-3  # columns so nearly dependent that their span is known no better than this are not projected out


class Proof(NamedTuple):
    """A lower bound on the error of every choice, and the best whole choice that was met on the way."""

    bound: float
    columns: tuple[int, ...] | None


def search(
    M: Array,
    count: int,
    *,
    exponent: int,
    nodes: int,
    at_most: float = math.inf,
    rows: int | None = None,
    room: float = 1.0,
) -> Proof:
    """Bound ``norm(M - P_S M, "fro")`` from below over all sets S of `count` columns, in units of ``2**exponent``.

    The tree is searched best first, until nothing below `at_most` is left or `nodes` partial choices were bounded; as
    many nodes as there are columns give the bound of one level. More nodes never weaken the bound. `rows` says how many
    a matrix has of which M is the triangular factor. So many allowances for rounding as `room` says are taken off.

    Every order of the candidates, and of the nodes, gives a valid bound. Bounds that rounding may have made different
    count as equal, so that another machine takes the same way.
    """
    return _best_first(_Columns.of(M, count, exponent, rows or M.shape[0], room), nodes, at_most)


def search_terms(parts: Terms, count: int, *, nodes: int, at_most: float = math.inf, room: float = 1.0) -> Proof:
    """Bound ``norm(T - X[:, S] @ W @ Y[S, :], "fro")`` from below over all S of `count` terms of T = X Y, and all W.

    The best W leaves what the projections on both sides do not reach. A partial choice is bounded by either side alone.
    """
    sides, errors = [], []
    for side in (to_numpy(parts.left), to_numpy(parts.right).conj().T):
        tall = side.shape[0] > side.shape[1]
        sides.append(np.asarray(np.linalg.qr(side)[1]) if tall else side)
        errors.append(REDUCTION * side.shape[0] ** 0.5 * _spacing(side) if tall else 0.0)
    target = (sides[0] * np.ldexp(1.0, parts.shift)) @ sides[1].conj().T
    candidates = np.flatnonzero(np.any(sides[0] != 0.0, axis=0) | np.any(sides[1] != 0.0, axis=0)).tolist()
    left = _Columns(sides[0], target, candidates, count, errors[0], room)
    right = _Columns(sides[1], target.conj().T, candidates, count, errors[1], room)
    proof = _best_first(_Terms(left, right), nodes, at_most)
    rounding = (2.0 * sum(errors) + (parts.norms.size + 6) * parts.eps) * float(np.sum(parts.norms)) + parts.smallest
    return proof._replace(bound=max(0.0, proof.bound - room * rounding))


def _best_first(matrix: _Columns | _Terms, nodes: int, at_most: float) -> Proof:
    """Search the tree of choices."""
    count, candidates = matrix.count, matrix.candidates
    if len(candidates) <= count:
        return Proof(0.0, None)
    tie = itertools.count()  # what a heap compares when bounds are equal
    first = matrix.bound_of_all
    heap: list[tuple[int, int, float, tuple[int, ...], int, list[int]]] = [
        (matrix.cell(first), next(tie), first, (), 0, candidates)
    ]
    reached, best = at_most, None
    while heap and nodes > 0:
        _, _, bound, projected, size, candidates = heapq.heappop(heap)
        if bound >= reached:
            continue
        nodes -= len(candidates)
        bounds, clear = matrix.bounds(projected, candidates, at_least=bound)
        # a choice is counted once, at its candidate of the largest bound, which is a bound on the choice
        order = sorted(range(len(bounds)), key=lambda index: -matrix.cell(bounds[index]))
        for place, index in enumerate(order[: len(order) - (count - size - 1)]):
            if bounds[index] >= reached:
                continue
            known = (*projected, candidates[index]) if clear[index] else projected
            if size + 1 == count:
                reached, best = bounds[index], known
            else:
                rest = [candidates[other] for other in order[place + 1 :]]
                heapq.heappush(heap, (matrix.cell(bounds[index]), next(tie), bounds[index], known, size + 1, rest))
    least = min([reached, *(node[2] for node in heap)])
    return Proof(float(least), best if best is not None and len(best) == count else None)


class _Columns:
    """Columns among which a choice is made, and the matrix that they are to stand for, with allowances for rounding.

    `units` are the columns, each on a scale of its own: so one that is tiny beside the others keeps its direction.
    `array` is the matrix on one scale; of tall ones both are in the coordinates of a QR, which is off by `backward`.
    """

    def __init__(
        self, units: np.ndarray, array: np.ndarray, candidates: list[int], count: int, backward: float, room: float
    ) -> None:
        self.units, self.array, self.candidates, self.count = units, array, candidates, count
        self.backward, self.room, self.eps = backward, room, _spacing(array)
        self.norm = float(np.linalg.norm(array))
        values = np.linalg.svd(array, compute_uv=False)
        self.bound_of_all = self.less_rounding(float(tails(values)[min(count, values.size)]), backward)

    @classmethod
    def of(cls, M: Array, count: int, exponent: int, rows: int, room: float) -> _Columns:
        """Return the columns of a matrix, which are to stand for itself, on the host."""
        wide = to_numpy(widen(M))
        largest = np.maximum(np.max(np.abs(wide.real), axis=0), np.max(np.abs(wide.imag), axis=0))
        exponents = np.frexp(largest)[1]
        units = np.stack([times_power_of_two(c, -int(e)) for c, e in zip(wide.T, exponents, strict=True)], axis=1)
        candidates = _distinct(units)
        # Householder QR is backward stable column by column: what each of them is scaled by does not matter
        backward = REDUCTION * rows**0.5 * _spacing(wide) if rows > wide.shape[1] else 0.0
        units = np.linalg.qr(units)[1] if wide.shape[0] > wide.shape[1] else units
        array = np.ldexp(units.real, exponents - exponent) + (
            1j * np.ldexp(units.imag, exponents - exponent) if np.iscomplexobj(units) else 0.0
        )
        return cls(units, array, candidates, count, backward, room)

    def spans(self, sets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return an orthonormal basis for each set of columns, the doubt about its span, and whether it is clear."""
        size = sets.shape[1]
        units = np.moveaxis(self.units[:, sets], 1, 0)
        lengths = np.linalg.norm(units, axis=1, keepdims=True)
        Q, R = np.linalg.qr(units / np.where(lengths > 0.0, lengths, 1.0))
        smallest = np.linalg.svd(R, compute_uv=False)[:, -1]
        steps = STEPS * self.units.shape[0] * (size + 3) * self.eps + self.backward
        # spans of unit columns off by `steps` each differ by sqrt(size) * steps / smallest at most; twice for safety
        with np.errstate(over="ignore"):
            doubt = 2.0 * steps * (1.0 + size**0.5 / np.maximum(smallest, np.finfo(float).tiny))
        return Q, doubt, (doubt < DOUBTFUL) & (size <= self.units.shape[0])

    def bounds(
        self, projected: tuple[int, ...], candidates: list[int], at_least: float
    ) -> tuple[list[float], list[bool]]:
        """Bound the choices that contain `projected` and a candidate, for each candidate, and tell which are clear."""
        sets = np.array([(*projected, candidate) for candidate in candidates])
        Q, doubt, clear = self.spans(sets)
        residual = self.array - Q @ (np.conj(np.swapaxes(Q, 1, 2)) @ self.array)
        free = self.count - sets.shape[1]
        if free:
            values = np.linalg.svd(residual, compute_uv=False)
            found = np.array([tails(row)[min(free, row.size)] for row in values])
        else:
            found = np.linalg.norm(residual, axis=(1, 2))
        pairs = zip(found.tolist(), doubt.tolist(), clear.tolist(), strict=True)
        return [max(at_least, self.less_rounding(f, d)) if c else at_least for f, d, c in pairs], clear.tolist()

    def less_rounding(self, value: float, doubt: float) -> float:
        """Take the allowances off a computed norm of a residual."""
        allowance = rounding_allowance(self.array.shape, self.eps, self.norm) + doubt * self.norm
        return max(0.0, value - self.room * allowance)

    def cell(self, bound: float) -> int:
        """Return the number of the cell of the grid in which a bound lies."""
        return int(bound / (GRID * self.norm)) if self.norm else 0


class _Terms:
    """Terms among which a choice is made: columns on the left and rows on the right of their sum."""

    def __init__(self, left: _Columns, right: _Columns) -> None:
        self.left, self.right, self.cell = left, right, left.cell
        self.count, self.candidates = left.count, left.candidates
        self.bound_of_all = max(left.bound_of_all, right.bound_of_all)

    def bounds(
        self, projected: tuple[int, ...], candidates: list[int], at_least: float
    ) -> tuple[list[float], list[bool]]:
        """Bound the choices that contain `projected` and a candidate: by either side, a whole choice by both."""
        if len(projected) + 1 < self.count:
            ours, clear = self.left.bounds(projected, candidates, at_least)
            theirs, others = self.right.bounds(projected, candidates, at_least)
            return list(map(max, ours, theirs)), [one and other for one, other in zip(clear, others, strict=True)]
        sets = np.array([(*projected, candidate) for candidate in candidates])
        (P, doubt, sure), (Q, more, certain) = self.left.spans(sets), self.right.spans(sets)
        both, array = sure & certain, self.left.array
        core = np.conj(np.swapaxes(P, 1, 2)) @ array @ Q
        found = np.linalg.norm(array - P @ core @ np.conj(np.swapaxes(Q, 1, 2)), axis=(1, 2))
        pairs = zip(found.tolist(), (doubt + more).tolist(), both.tolist(), strict=True)
        return [max(at_least, self.left.less_rounding(f, d)) if c else at_least for f, d, c in pairs], both.tolist()


def _spacing(array: np.ndarray) -> float:
    return float(np.finfo(array.dtype).eps) * (2 if np.iscomplexobj(array) else 1)


def _distinct(units: np.ndarray) -> list[int]:
    """Return the columns that are neither zero nor an earlier one times a sign: others add nothing to any span."""
    firsts: dict[bytes, int] = {}
    for index, column in enumerate(units.T):
        entry = column[np.flatnonzero(column)[:1]]
        if entry.size:
            negative = entry[0].real < 0 or (entry[0].real == 0 and entry[0].imag < 0)
            key = (-column if negative else column) + 0.0  # no negative zeros
            firsts.setdefault(key.tobytes(), index)
    return list(firsts.values())
