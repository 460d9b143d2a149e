"""The picture of a plan: what any other budget would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infimum.compress.write.answer import Answer

POINTS = 60
DENOMINATORS = {"linear": "the linear weights", "all": "all weights", "bytes": "all bytes"}


def neighbours(removed: float) -> tuple[float, float]:
    """Return the range of budgets that are drawn: as far from this one as nothing removed, or half of it left."""
    reach = min(removed or 0.5, (1.0 - removed) / 2)
    return max(0.0, removed - reach), removed + reach


def draw_curve(plan: Answer, curve: Sequence[tuple[float, float, float]], axes: Any) -> Any:
    """Draw the least error against the fraction removed, and the price of one more number at the budget."""
    removed, value = plan.settings.remove, plan.certificate.value
    x = [100 * point[0] for point in curve]
    axes.plot(x, [point[1] for point in curve], "-", label="error of the best plan found")
    axes.plot(x, [point[2] for point in curve], "--", label="lower bound for every plan")
    slope = plan.multiplier * plan.denominator / 100
    first, last = (100 * end for end in neighbours(removed))
    reach = (100 * removed - 0.4 * (last - first), 100 * removed + 0.4 * (last - first))
    axes.plot(reach, [value + slope * (end - 100 * removed) for end in reach], ":", label="slope λ* at the budget")
    axes.plot([100 * removed], [value], "o", label="this plan")
    axes.set(
        xlabel=f"removed, per cent of {DENOMINATORS[plan.settings.of]}",
        ylabel="total error",
        xlim=(first, last),
        ylim=(0, 1.05 * max(value, *(point[1] for point in curve)) or None),
    )
    axes.legend()
    return axes
