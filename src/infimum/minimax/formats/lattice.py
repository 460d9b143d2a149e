"""Search for machine numbers as coefficients: the least largest error over a grid of points.

The error ``max |F - A c|`` is convex in c, and c must lie on the grid of a machine format in every coordinate. Starts
come from rounding and from a reduced basis of the lattice, exchanges with neighbours improve them, and a depth-first
search with linear programs as bounds goes through everything that might still be better, as long as its budget lasts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import scipy.optimize

from infimum.proof.enclosure.machine_formats import Format

LOVASZ = 0.75
MOST_SWEEPS = 200
MOST_REDUCED = 12  # coefficients; beyond, powers of x are too dependent for floating-point reduction
SMALL = 4  # coefficients, up to which the search is given the time to end
BUDGET, SMALL_BUDGET = 150, 3000  # linear programs


@dataclass
class Search:
    """A problem, in units of the error without rounding, and the best coefficients so far."""

    A: np.ndarray
    F: np.ndarray
    formats: Sequence[Format]
    best: np.ndarray = field(default_factory=lambda: np.zeros(0))
    error: float = np.inf
    programs: int = 0
    complete: bool = False

    def consider(self, c: np.ndarray) -> bool:
        """Keep coefficients that are better."""
        error = float(np.max(np.abs(self.F - self.A @ c)))
        if not error < self.error:
            return False
        self.best, self.error = c.copy(), error
        return True

    def rounded(self, c: np.ndarray) -> np.ndarray:
        """Round every coefficient to its format."""
        pairs = zip(self.formats, c.tolist(), strict=True)
        return np.array([float(form.round(Fraction(value))) for form, value in pairs])

    def spacings(self, c: np.ndarray) -> np.ndarray:
        """Distance of neighbouring machine numbers at every coefficient."""
        pairs = zip(self.formats, c.tolist(), strict=True)
        return np.array([float(form.spacing(Fraction(value))) for form, value in pairs])


def nearest(A: np.ndarray, F: np.ndarray, start: np.ndarray, formats: Sequence[Format]) -> Search:
    """Find machine numbers c with a small ``max |F - A c|``; `start` are the best real ones."""
    search = Search(A, F, formats)
    search.consider(search.rounded(start))
    basis = _reduced(A * search.spacings(start))
    search.consider(_nearest_plane(search, start, basis))
    _exchange_columns(search, basis)
    budget = SMALL_BUDGET if start.size <= SMALL else BUDGET
    order = np.argsort(-search.spacings(start) * np.max(np.abs(A), axis=0))
    search.complete = _descend(search, order.tolist(), start.copy(), budget)
    _exchange_columns(search, basis)
    return search


# ------------------------------------------------------------------ lattice


def _reduced(columns: np.ndarray) -> np.ndarray:
    """Lenstra, Lenstra and Lovász: whole combinations of the columns that are short and nearly orthogonal."""
    size = columns.shape[1]
    basis = np.eye(size, dtype=np.int64)
    if size > MOST_REDUCED:
        return basis
    k = 1
    for _ in range(200 * size):
        if k >= size:
            break
        r = np.asarray(np.linalg.qr(columns @ basis, mode="r"))
        for j in range(k - 1, -1, -1):
            whole = round(float(r[j, k] / r[j, j])) if r[j, j] else 0
            if whole:
                basis[:, k] -= whole * basis[:, j]
                r[:, k] -= whole * r[:, j]
        if r[k, k] ** 2 + r[k - 1, k] ** 2 >= LOVASZ * r[k - 1, k - 1] ** 2:
            k += 1
        else:
            basis[:, [k - 1, k]] = basis[:, [k, k - 1]]
            k = max(k - 1, 1)
    return basis


def _nearest_plane(search: Search, start: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Babai's nearest plane: round one coordinate in the reduced basis after the other, the last first."""
    units = search.spacings(start)
    base = search.rounded(start)
    q, r = np.linalg.qr((search.A * units) @ basis)
    rest = q.T @ (search.F - search.A @ base)
    whole = np.zeros(start.size)
    for k in range(start.size - 1, -1, -1):
        whole[k] = np.round(rest[k] / r[k, k]) if r[k, k] else 0.0
        rest -= whole[k] * r[:, k]
    return search.rounded(base + units * (basis @ whole))


def _exchange_columns(search: Search, basis: np.ndarray) -> None:
    """Move by one or two vectors of the reduced basis, or single units, as long as that is better."""
    size = basis.shape[0]
    vectors = np.unique(np.concatenate([basis, np.eye(size, dtype=np.int64)], axis=1), axis=1)
    chosen = itertools.combinations(vectors.T, 2)
    pairs = [first + sign * second for first, second in chosen for sign in (1, -1)]
    moves = np.concatenate([vectors, np.array(pairs).reshape(-1, size).T], axis=1)
    moves = np.concatenate([moves, -moves], axis=1)
    for _ in range(MOST_SWEEPS):
        units = search.spacings(search.best)
        change = (search.A * units) @ moves
        errors = np.max(np.abs((search.F - search.A @ search.best)[:, None] - change), axis=0)
        if not search.consider(search.rounded(search.best + units * moves[:, int(np.argmin(errors))])):
            return


# ------------------------------------------------------------------ depth first


def _descend(search: Search, free: list[int], c: np.ndarray, budget: int) -> bool:
    """Fix one coefficient after the other, nearest values first; return whether nothing was left out.

    With the others free the least error is a convex function of the fixed one, so that a value whose bound is no better
    than the best known ends its direction.
    """
    fixed = np.setdiff1d(np.arange(c.size), free)
    rest = search.F - search.A[:, fixed] @ c[fixed]
    index = free[0]
    if len(free) == 1:
        centre = _best_single(search.A[:, index], rest)
    else:
        bound, found = _program(search, rest, free)
        if bound >= search.error:
            return True
        centre = float(found[0])
    if len(free) == 1:  # convex: the neighbours of the real optimum are the best
        for values in (_upwards, _downwards):
            c[index] = next(values(centre, search.formats[index]))
            search.consider(c)
        return True
    complete = True
    for value, close in _outwards(centre, search.formats[index]):
        if search.programs >= budget:
            return False
        bound, _ = _program(search, rest - search.A[:, index] * value, free[1:])
        if bound >= search.error:
            close()
            continue
        c[index] = value
        complete &= _descend(search, free[1:], c, budget)
    return complete


def _outwards(centre: float, machine: Format) -> Iterator[tuple[float, Callable[[], None]]]:
    """Machine numbers by their distance from a real number, each with a function that closes its direction."""
    sides = {True: _upwards(centre, machine), False: _downwards(centre, machine)}
    ahead = {side: next(values) for side, values in sides.items()}
    while ahead:
        side = min(ahead, key=lambda known: abs(ahead[known] - centre))
        yield ahead[side], lambda closed=side: ahead.pop(closed, None)  # type: ignore[misc]
        if side in ahead:
            ahead[side] = next(sides[side])


def _program(search: Search, rest: np.ndarray, free: list[int]) -> tuple[float, np.ndarray]:
    """Least ``max |rest - A[:, free] z|`` over real z, by linear programming in scaled variables."""
    search.programs += 1
    scales = np.max(np.abs(search.A[:, free]), axis=0)
    columns = search.A[:, free] / scales
    ones = np.ones((rest.size, 1))
    found = scipy.optimize.linprog(
        [*[0.0] * len(free), 1.0],
        A_ub=np.block([[columns, -ones], [-columns, -ones]]),
        b_ub=np.concatenate([rest, -rest]),
        bounds=[(None, None)] * len(free) + [(0.0, None)],
        method="highs",
    )
    if found.x is None:
        return 0.0, np.zeros(len(free))
    return float(found.fun), found.x[:-1] / scales


def _best_single(column: np.ndarray, rest: np.ndarray) -> float:
    """Return the real z with the least ``max |rest - column z|``: where its slope changes sign."""
    used = np.abs(column) > 0.0
    quotients = rest[used] / column[used]
    low, high = float(quotients.min()), float(quotients.max())
    for _ in range(80):
        z = (low + high) / 2.0
        errors = rest - column * z
        worst = int(np.argmax(np.abs(errors)))
        if errors[worst] * column[worst] > 0.0:
            low = z
        else:
            high = z
    return (low + high) / 2.0


def _upwards(centre: float, machine: Format) -> Iterator[float]:
    """Machine numbers from a real number upwards."""
    step = machine.spacing(Fraction(centre))
    value = -((-Fraction(centre)) // step) * step
    while True:
        yield float(value)
        # the spacing above a negative power of two is that of the binade nearer to 0
        value += machine.spacing(value + machine.spacing(value) / 4)


def _downwards(centre: float, machine: Format) -> Iterator[float]:
    """Machine numbers below a real number, downwards."""
    for value in _upwards(float(np.nextafter(-centre, np.inf)), machine):
        yield -value
