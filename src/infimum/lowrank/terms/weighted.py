"""Terms with weights: which to keep, and what proves the choice good."""

from __future__ import annotations

import numpy as np

from infimum.lowrank.terms.bound_search import inside
from infimum.proof.theorems.weighted_terms import Fit, Relaxed

TURNS = ((100, 40), (400, 20), (1000, 10))  # up to so many terms, so many turns of shares and weights; above, FEWEST
FEWEST = 5
CLIMBED = 600  # terms up to which the diagonal is improved
CLIMB = 6  # Newton steps for a better diagonal
BARRIER = 0.3  # weight of the barrier beside the bound, at first


def greedy(fit: Fit, kept: int) -> np.ndarray:
    """Take the term that lowers the loss most when all weights are set anew, again and again."""
    size, gains = len(fit.unit), fit.products.copy()
    rest, left = np.diagonal(fit.unit).real.copy(), np.ones(len(fit.unit), dtype=bool)
    rows = np.zeros((kept, size), dtype=fit.unit.dtype)
    chosen: list[int] = []
    for step in range(kept):
        scores = np.where(left & (rest > 1e-12), np.abs(gains) ** 2 / np.maximum(rest, 1e-12), -1.0)
        pick = int(np.argmax(np.where(left, scores, -2.0)))
        chosen.append(pick)
        left[pick] = False
        if rest[pick] <= 1e-12:  # it lies in the span of those taken
            continue
        row = (fit.unit[pick] - rows[:step, pick].conj() @ rows[:step]) / np.sqrt(rest[pick])
        gains = gains - row.conj() * (gains[pick] / np.sqrt(rest[pick]))
        rows[step], rest = row, rest - np.abs(row) ** 2
    return np.asarray(chosen)


def loss(fit: Fit, kept: np.ndarray) -> float:
    """Estimate the squared loss of these terms with their best weights."""
    part = fit.part(kept)
    return fit.energy - float((part.products.conj() @ np.linalg.lstsq(part.unit, part.products, rcond=1e-13)[0]).real)


def witness(fit: Fit, kept: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Find a good diagonal and a good point; return both, and the shares of the terms in the relaxed optimum.

    The bound is a concave function of the diagonal; its gradient holds the squares of the weights over their shares,
    less themselves. An interior-point method climbs it from inside the largest multiple of the identity.
    """
    size = len(fit.unit)
    least = min(max(float(np.linalg.eigvalsh(fit.unit)[0]), 0.0), 1.0)
    diagonal = np.full(size, least)
    best, point, share = _relaxed(fit, diagonal, kept)
    found, shares, barrier = {"diagonal": diagonal, "point": point}, share, 0.0
    diagonal = 0.9 * diagonal
    for _ in range(CLIMB if size <= CLIMBED and 0 < kept < size and least > 1e-10 else 0):
        gradient = np.abs(point) ** 2 * (1.0 / np.maximum(share, 1e-6) - 1.0)
        inverse = np.linalg.inv(fit.unit - np.diag(diagonal))
        slope = np.diagonal(inverse).real
        barrier = barrier or BARRIER * float(np.sum(gradient) / np.sum(slope))
        if not barrier > 1e-30 * fit.energy:
            break
        curvature = barrier * np.abs(inverse) ** 2 + 1e-12 * barrier * np.diag(slope**2)
        step = np.linalg.solve(curvature, gradient - barrier * slope)
        step = np.maximum(step, -0.9 * diagonal)  # the diagonal stays positive
        diagonal, length = inside(fit.unit, diagonal, step)
        barrier *= 0.5 if length > 0.2 else 1.0
        bound, point, share = _relaxed(fit, diagonal, kept)
        if bound > best:
            best, found, shares = bound, {"diagonal": diagonal, "point": point}, share
    return found, shares


def _relaxed(fit: Fit, diagonal: np.ndarray, kept: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Minimise the relaxed loss over weights and shares in turns; return the best bound, its weights and shares."""
    relaxed, size = Relaxed(fit, diagonal), len(fit.unit)
    share = np.full(size, kept / size)
    best, where, shares = -1.0, np.zeros_like(fit.products), share
    for turn in range(next((turns for most, turns in TURNS if size <= most), FEWEST)):
        point = relaxed.point(share)
        bound = relaxed.bound(point, kept)
        if bound > best:
            enough = turn > 2 and bound <= best * (1.0 + 1e-5)
            best, where, shares = bound, point, share
            if enough:
                break
        share = relaxed.shares(point, kept)
    return best, where, shares
