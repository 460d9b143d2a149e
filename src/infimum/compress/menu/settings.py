"""The choices that a plan is made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from infimum._arguments import one_of
from infimum.compress.menu.ranks import Form, Objective
from infimum.compress.model.checkpoint import Goal
from infimum.errors import BudgetError, OptionError

Of: TypeAlias = Literal["linear", "all", "bytes"]
AllocationRule: TypeAlias = Literal["global", "uniform"]
Forms: TypeAlias = Literal["auto", "mixed", "pivot", "factors", "channels", "bits"]

# what "auto" and no damping mean, by what the gradients are of: the best of those tried
FORMS: dict[Goal, Forms] = {"embedding": "pivot", "loss": "mixed"}
DAMPING: dict[Goal, float] = {"embedding": 0.01, "loss": 0.03}


@dataclass(frozen=True)
class Settings:
    """The choices of a plan; see `plan` for their meaning."""

    remove: float
    of: Of
    objective: Objective
    allocation: AllocationRule
    form: Forms
    damping: float
    plain: bool

    def __post_init__(self) -> None:
        if not 0.0 <= self.remove < 1.0:
            raise BudgetError(f"remove must be a fraction of at least 0 and below 1, got {self.remove}")
        one_of("of", self.of, get_args(Of))
        if self.plain and self.of == "bytes":
            raise OptionError("plain output has as many bytes as the original; give of='linear' or of='all'")
        one_of("objective", self.objective, get_args(Objective))
        one_of("allocation", self.allocation, get_args(AllocationRule))
        one_of("form", self.form, tuple(form for form in get_args(Forms) if form != "auto"))
        if self.form == "bits" and (self.plain or self.allocation == "uniform"):
            raise OptionError(
                "form='bits' is for plain=False and allocation='global': few bits have one form and one budget"
            )
        if not 0.0 < self.damping <= 1.0:
            raise OptionError(f"damping must be above 0 and at most 1, got {self.damping}")

    @property
    def narrows(self) -> bool:
        """Whether channels may be removed."""
        return self.form in ("mixed", "channels")

    @property
    def rounds(self) -> bool:
        """Whether layers become integers of few bits; their cost is counted in as many numbers as take their bytes."""
        return self.form == "bits"

    @property
    def low_rank(self) -> Form | None:
        """The form in which layers of lower rank are stored; None where they keep their rank."""
        forms: dict[str, Form | None] = {"mixed": "pivot", "pivot": "pivot", "factors": "factors"}
        return forms.get(self.form)
