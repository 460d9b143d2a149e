"""Maxima of functions, many at once, by parabolas through three places each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

CLOSEST = 1e-3  # of their width: how near to the middle of three places another is taken
BESIDE = np.array([[-1], [0], [1]])


@np.errstate(divide="ignore", invalid="ignore")  # places may coincide at last
def largest_by_parabolas(
    s: np.ndarray, e: np.ndarray, function: Callable[[np.ndarray], np.ndarray], steps: int
) -> np.ndarray:
    """Return places of maxima near three each (rows, with the values there): the largest stays in the middle."""
    for _ in range(steps):
        (a, m, b), (ea, em, eb) = s, e
        left, right = (em - ea) / (m - a), (eb - em) / (b - m)
        bend = (right - left) / (b - a)
        vertex = np.where(bend < 0.0, (a + m) / 2.0 - left / (2.0 * np.where(bend < 0.0, bend, -1.0)), a)
        usable = (vertex > a) & (vertex < b) & (np.abs(vertex - m) > CLOSEST * (b - a))
        new = np.where(usable, vertex, np.where(m - a > b - m, (a + m) / 2.0, (m + b) / 2.0))
        s, e = np.vstack([s, new]), np.vstack([e, function(new)])
        order = np.argsort(s, axis=0)
        s, e = np.take_along_axis(s, order, 0), np.take_along_axis(e, order, 0)
        kept = np.clip(np.argmax(e, axis=0), 1, 2) + BESIDE
        s, e = np.take_along_axis(s, kept, 0), np.take_along_axis(e, kept, 0)
    return np.asarray(np.take_along_axis(s, np.argmax(e, axis=0)[None], 0)[0])
