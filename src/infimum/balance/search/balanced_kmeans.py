"""Balanced k-means: optimal assignments to the codes and means of the points, in turns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from infimum.balance.search.exact_paths import exact_routing
from infimum.balance.search.subsampled_sweeps import nearly_balancing_bias
from infimum.balance.search.sweeps import aim
from infimum.proof.answers.balanced_codebook import common_exponent, squares
from infimum.proof.theorems.assignment_dual import Bias, Limits


def alternate(
    points: np.ndarray, codes: np.ndarray, within: Limits, rounded: Callable[[np.ndarray], np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray, Bias]:
    """Assign and average in turns until no label changes; the labels returned are optimal for the codes returned."""
    goal, bias, labels = aim(within, points.shape[0]), np.zeros(codes.shape[0]), np.zeros(0, dtype=np.int64)
    codes = rounded(codes)
    for remaining in range(steps, -1, -1):
        exponent = common_exponent(points, codes)
        scores = -squares(points, codes, exponent)
        routing = exact_routing(
            scores, 1, within, nearly_balancing_bias(scores, 1, goal, np.ldexp(bias, -2 * exponent))
        )
        found = Bias(np.ldexp(routing.bias.parts, 2 * exponent))
        before, labels, bias = labels, routing.member.argmax(axis=1), found.high
        if not remaining or np.array_equal(before, labels):
            break
        loads = np.bincount(labels, minlength=codes.shape[0])
        sums = np.stack([np.bincount(labels, weights=axis, minlength=loads.size) for axis in points.T], axis=1)
        codes = rounded(np.where(loads[:, None] > 0, sums / np.maximum(loads, 1)[:, None], codes))
    return codes, labels, found
