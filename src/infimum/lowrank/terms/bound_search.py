"""What proves a choice of terms good: a diagonal and a point for the bound `gram`, as good as a search finds them."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from infimum._linalg import less_diagonal
from infimum.proof.theorems.gram import Gram, Relaxation, definite

ITERATIONS = 300  # of the search for a tangent point
CLIMB = 8  # Newton steps of the search for a diagonal
GAIN = 1e-3  # relative rise of the bound in a step below which that search stops
WHOLE = 500  # terms up to which eigenvalues are computed by LAPACK
SETTLED, SHORT = 1e-5, 1e-9  # residual of those of more terms; they are right to about its square, and kept short of it
INSIDE = 0.95  # part of the way to the boundary of the admissible diagonals that a step may go
STRIP = 256  # rows that are mirrored at once
BARRIER = 0.3  # weight of the barrier beside the bound, at first


def witness(G: Gram, kept: int) -> dict[str, np.ndarray]:
    """Find a good diagonal D, and the point that minimises f: first for multiples of diag(G), then for all diagonals.

    The bound is a concave function of D, with gradient ``norms**2 * (g - g**2)`` at the minimum g of f. An
    interior-point method climbs it: a multiple of ``log det(G - D)``, smaller and smaller, keeps G - D definite.
    """
    unit, dropped = G.unit, len(G.norms) - kept
    diagonal = np.full(len(unit), _smallest(unit))
    best, point = _bound(G, diagonal, dropped)
    found = {"diagonal": diagonal, "point": point}
    diagonal = 0.9 * diagonal - 1e-8  # inside, also where G is singular
    bound, point = _bound(G, diagonal, dropped)
    barrier = 0.0
    for _ in range(CLIMB if dropped else 0):
        before = bound
        try:
            inverse = _inverse(less_diagonal(unit.copy(), diagonal))
            barrier = barrier or BARRIER * float(np.sum(_weights(G) ** 2 * (point - point**2)) / np.trace(inverse))
            if not barrier > 1e-30:  # the minimum is a choice itself: nothing is left to prove
                break
            step = _newton(_weights(G), point, inverse, barrier)
        except np.linalg.LinAlgError:  # so near to the boundary that rounding decides
            break
        diagonal, length = inside(unit, diagonal, step)
        barrier *= 0.5 if length > 0.2 else 1.0
        bound, point = _bound(G, diagonal, dropped)
        if bound > best:
            best, found = bound, {"diagonal": diagonal, "point": point}
        if 0.0 < bound <= before * (1.0 + GAIN):
            break
    return found


def _smallest(unit: np.ndarray) -> float:
    """Smallest eigenvalue, from 0 to 1, a little less: of many terms by Lanczos' method with the inverse."""
    if len(unit) <= WHOLE:
        return min(max(float(scipy.linalg.eigvalsh(unit, subset_by_index=[0, 0], check_finite=False)[0]), 0.0), 1.0)
    try:
        factor = scipy.linalg.cho_factor(unit, check_finite=False)
        inverse = LinearOperator(unit.shape, lambda vector: scipy.linalg.cho_solve(factor, vector, check_finite=False))
        start = np.random.default_rng(0).standard_normal(len(unit))
        largest = eigsh(inverse, 1, which="LA", v0=start, tol=SETTLED, return_eigenvectors=False)[0]
    except (np.linalg.LinAlgError, ArpackError):  # so near to 0 that rounding decides
        return 0.0
    return min((1.0 - SHORT) / float(largest), 1.0)


def _bound(G: Gram, diagonal: np.ndarray, dropped: int) -> tuple[float, np.ndarray]:
    relaxation = Relaxation(G, diagonal)
    point = _minimum(relaxation, dropped)
    return relaxation.bound(point, dropped), point


def _weights(G: Gram) -> np.ndarray:
    return np.asarray(G.norms / (np.linalg.norm(G.norms) or 1.0))


def _newton(weights: np.ndarray, point: np.ndarray, inverse: np.ndarray, barrier: float) -> np.ndarray:
    """Newton step for bound and barrier together; `inverse` is that of G - D with its terms scaled to norm 1."""
    gradient = weights**2 * (point - point**2) - barrier * np.diagonal(inverse)
    # how the minimum of f moves with D: entries at 0 and 1 stay, the others follow the inverse
    moving = np.where((point > 1e-9) & (point < 1.0 - 1e-9), weights * (1.0 - 2.0 * point), 0.0)
    curvature = barrier * inverse**2 + 0.5 * moving[:, None] * inverse * moving
    size = np.sqrt(np.diagonal(curvature))
    scaled = curvature / np.outer(size, size) + 1e-10 * np.eye(size.size)  # definite in spite of rounding
    return np.asarray(
        scipy.linalg.cho_solve(scipy.linalg.cho_factor(scaled, check_finite=False), gradient / size) / size
    )


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Invert a positive definite matrix, by its Cholesky decomposition: a third of the work of an LU decomposition."""
    factor, lower = scipy.linalg.cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
    inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=lower)
    for start in range(0, len(inverse), STRIP):  # the other half is still the factor's
        rows, after = slice(start, start + STRIP), slice(start + STRIP, None)
        block = np.tril(inverse[rows, rows])
        inverse[rows, rows] = block + np.tril(block, -1).T
        inverse[rows, after] = inverse[after, rows].T
    return np.asarray(inverse)


def inside(unit: np.ndarray, diagonal: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, float]:
    """Shorten a step until it stays inside, by more than rounding; entries below -1 would only cost digits."""
    length = 1.0
    while length > 1e-6:
        beyond = np.maximum(diagonal + length / INSIDE * step, -1.0)
        if definite(less_diagonal(unit.copy(), beyond + 1e-10)):
            return np.maximum(diagonal + length * step, -1.0), length
        length *= 0.5
    return diagonal, 0.0


def _minimum(relaxation: Relaxation, dropped: int) -> np.ndarray:
    """Minimise f over ``0 <= g <= 1, sum g = dropped`` by accelerated projected gradients; keep the best tangent."""
    size = len(relaxation.d)
    lipschitz = 2.0 * float(np.max(np.sum(np.abs(relaxation.H), axis=1))) or 1.0
    vector = np.ones(size)
    for _ in range(30):  # the power method needs no precision: too long a step is noticed below
        image = relaxation.H @ vector
        vector = image / (np.linalg.norm(image) or 1.0)
    lipschitz = min(lipschitz, 2.2 * float(np.linalg.norm(relaxation.H @ vector)) or lipschitz)
    point = ahead = _project(np.full(size, dropped / size), dropped)
    best, where, momentum = -1.0, point, 1.0
    for step in range(ITERATIONS):
        after = _project(ahead - relaxation.tangent(ahead) / lipschitz, dropped)
        faster = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        if (ahead - after) @ (after - point) > 0.0:  # overshot: start the momentum anew
            faster = 1.0
        ahead, point, momentum = after + (momentum - 1.0) / faster * (after - point), after, faster
        if step % 10 == 9:
            bound = relaxation.bound(point, dropped)
            if bound <= best * (1.0 + 1e-6):
                break
            best, where = bound, point
    return where


def _project(point: np.ndarray, total: int) -> np.ndarray:
    """Project onto ``0 <= g <= 1, sum g = total``: shift all entries alike, and clip.

    The sum falls with the shift, piecewise linearly: an entry takes part from where it is 1 to where it is 0.
    """
    corners = np.concatenate([point - 1.0, point])
    order = np.argsort(corners, kind="stable")
    corners, moving = corners[order], np.cumsum(np.where(order < point.size, 1.0, -1.0))
    sums = point.size - np.concatenate([[0.0], np.cumsum(moving[:-1] * np.diff(corners))])
    last = int(np.searchsorted(-sums, -float(total), side="right")) - 1
    shift = corners[last] + (sums[last] - total) / max(moving[last], 1.0)
    return np.asarray(np.clip(point - shift, 0.0, 1.0))
