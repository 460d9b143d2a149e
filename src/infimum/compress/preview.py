"""Plans before they are built: what a budget would make of every layer, at what error."""

from __future__ import annotations

from dataclasses import dataclass

from infimum._display import Shown
from infimum.proof.checkpoint import LayerPlan, total


@dataclass(frozen=True)
class Preview(Shown):
    """What a plan would be, before anything of it is built: an entry of `infimum.compress.Plan.previews`.

    Attributes
    ----------
    remove : float
        Fraction that is removed, of the plan's denominator.
    budget : int
        Numbers that the replaceable layers may store.
    lower_bound : float
        No choice within the budget has a smaller total error: the bound of the plan that `with_budget` makes.
    table : tuple of LayerPlan
        One row per linear layer. Errors are those of integers as they were made, and of the best matrices of lower rank
        before rounding; lower bounds are those of what is built, and 0 here.
    """

    remove: float
    budget: int
    lower_bound: float
    table: tuple[LayerPlan, ...]

    @property
    def value(self) -> float:
        """The total error."""
        return total([row.error for row in self.table])
