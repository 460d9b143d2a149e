"""The picture of a plan: what any other budget would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infimum.compress.write.answer import Answer

POINTS = 60
DENOMINATORS = {"linear": "the linear weights", "all": "all weights", "bytes": "all bytes"}


def draw_curve(plan: Answer, curve: Sequence[tuple[float, float, float]], axes: Any) -> Any:
    """Draw the least error against the fraction removed, and the price of one more number at the budget."""
    removed, value = plan.settings.remove, plan.certificate.value
    limit = min(1.0, 2.0 * removed) or 0.5
    points = [point for point in curve if point[0] <= limit + 0.05]
    x = [100 * point[0] for point in points]
    axes.plot(x, [point[1] for point in points], "-", label="error of the best plan found")
    axes.plot(x, [point[2] for point in points], "--", label="lower bound for every plan")
    slope = plan.multiplier * plan.denominator / 100
    reach = (0.6 * removed * 100, 1.4 * removed * 100)
    axes.plot(reach, [value + slope * (end - 100 * removed) for end in reach], ":", label="slope λ* at the budget")
    axes.plot([100 * removed], [value], "o", label="this plan")
    axes.set(
        xlabel=f"removed, per cent of {DENOMINATORS[plan.settings.of]}",
        ylabel="total error",
        xlim=(0, 100 * limit),
        ylim=(0, 1.05 * max(point[1] for point in points if point[0] <= limit)),
    )
    axes.legend()
    return axes
