"""Largest errors between the points of a reference: samples, the polynomials through them, and parabolas."""

from __future__ import annotations

import numpy as np

from infimum.minimax.remez.levelled_error import ErrorFunction
from infimum.proof.enclosure.domain import Intervals
from infimum.proof.parabolas import BESIDE, largest_by_parabolas

SAMPLES = 24  # of the error on each piece between points of the reference
TERMS, TURNS = 7, 3  # of Taylor polynomials about samples, and steps on them towards a maximum
RESOLVED = 1e-10  # of the largest error: the polynomial through the samples is the error
PARABOLAS = 9  # where it is not
NEAR = np.pi / SAMPLES  # in [-1, 1]: a maximum lies no farther from the largest sample
NODES = np.cos(np.pi * np.arange(SAMPLES - 1, -1, -1) / (SAMPLES - 1))


@np.errstate(all="ignore")  # next to a pole errors are infinite
def extrema(
    error: ErrorFunction,
    intervals: Intervals,
    breakpoints: tuple[float, ...],
    reference: np.ndarray,
    noise: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Largest error of each sign on every piece between points of the reference, breakpoints and ends, in order.

    Differences as small as `noise` do not matter.
    """
    left, right = _pieces(intervals, np.union1d(reference, np.asarray(breakpoints)))
    x = (left / 2 + right / 2)[:, None] + (right / 2 - left / 2)[:, None] * NODES
    x[:, 0], x[:, -1] = left, right
    e = error(x.ravel()).reshape(x.shape)
    # one row for each piece and sign: the largest error of that sign
    sign = np.repeat([1.0, -1.0], left.size)
    signed = np.concatenate([e, -e])
    rows, best = np.arange(sign.size), np.argmax(signed, axis=1)
    values, points = signed[rows, best], np.concatenate([x, x])[rows, best]
    low, high = np.tile(left, 2), np.tile(right, 2)

    def at(s: np.ndarray, rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        a, b = low[rows], high[rows]
        place = np.clip((a / 2 + b / 2) + (b / 2 - a / 2) * s, a, b)
        return place, sign[rows] * error(place.ravel()).reshape(place.shape)

    s, expected = _refined(signed, best)
    refined, found = at(s)
    known = np.abs(found - expected) <= max(RESOLVED * np.max(np.abs(e)), noise)
    doubtful = np.flatnonzero(~known & (values > 0.0))
    if doubtful.size:  # the error is no such polynomial there
        about = np.clip(best[doubtful], 1, SAMPLES - 2) + BESIDE
        s = largest_by_parabolas(NODES[about], signed[doubtful, about], lambda s: at(s, doubtful)[1], PARABOLAS)
        refined[doubtful], found[doubtful] = at(s, doubtful)
    better = found > values
    points[better], values[better] = refined[better], found[better]
    order = np.argsort(points, kind="stable")
    order = order[values[order] > 0.0]
    return (points[order], (sign * values)[order]) if order.size else (reference, np.zeros_like(reference))


def _pieces(intervals: Intervals, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    left: list[float] = []
    right: list[float] = []
    for low, high in intervals:
        ends = np.unique(np.concatenate([[low, high], cuts[(cuts > low) & (cuts < high)]]))
        left += ends[:-1].tolist()
        right += ends[1:].tolist()
    return np.array(left), np.array(right)


def _taylor() -> np.ndarray:
    """Matrices, one a node, that take values at the nodes to Taylor coefficients, about it, of their polynomial."""
    derivatives = np.zeros((SAMPLES, SAMPLES))
    signs = (-1.0) ** np.arange(SAMPLES)
    weights = np.concatenate([[0.5], signs[1:-1], [signs[-1] / 2.0]])
    for i in range(SAMPLES):
        others = np.arange(SAMPLES) != i
        derivatives[i, others] = weights[others] / weights[i] / (NODES[i] - NODES[others])
        derivatives[i, i] = -np.sum(derivatives[i, others])
    powers = [np.eye(SAMPLES)]
    for k in range(1, TERMS):
        powers.append(derivatives @ powers[-1] / k)
    return np.stack(powers, axis=1)


TAYLOR = _taylor()


def _refined(e: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the maximum of the interpolating polynomial of each row near a node, by Newton's method; and its value."""
    c = np.einsum("ikj,ij->ki", TAYLOR[index], e)
    slopes = c[1:] * np.arange(1, TERMS)[:, None]
    bends = slopes[1:] * np.arange(1, TERMS - 1)[:, None]
    step = np.zeros(index.size)
    for _ in range(TURNS):
        slope, bend = _horner(slopes, step), _horner(bends, step)
        step = np.where(bend < 0.0, np.clip(step - slope / np.where(bend < 0.0, bend, -1.0), -NEAR, NEAR), step)
    s = np.clip(NODES[index] + step, -1.0, 1.0)
    return s, _horner(c, s - NODES[index])


def _horner(c: np.ndarray, x: np.ndarray) -> np.ndarray:
    value: np.ndarray = c[-1]
    for row in c[-2::-1]:
        value = value * x + row
    return value
