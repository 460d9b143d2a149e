"""The choices that a plan is made with."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from infimum._arguments import one_of
from infimum.compress.menu.ranks import Damping, Form, Objective
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.layer import Layer
from infimum.errors import InfimumError, OptionError, VerificationError
from infimum.proof.checkpoint import listed, mapping, text
from infimum.proof.evidence import flag, number, shown

Of: TypeAlias = Literal["linear", "all", "bytes"]
AllocationRule: TypeAlias = Literal["global", "uniform"]
Kind: TypeAlias = Literal["bits", "ranks", "widths"]
Format: TypeAlias = Literal["infimum", "compressed-tensors", "gguf"]

MOST_DAMPING = 1000.0  # of a moment little but its diagonal is left
MOST_SCALE = 1e6  # of a norm: half of a short text may hardly see what the other makes
WIDTHS = tuple(range(16, 3, -1))
ROUNDED_WIDTHS = (16, 14, 12, 10, 8, 6)  # each of them is rounded anew


@dataclass(frozen=True)
class Settings:
    """The choices of a plan; see `plan` for their meaning."""

    remove: float
    of: Of
    objective: Objective
    allocation: AllocationRule
    menu: tuple[Kind, ...]
    form: Form
    damping: float | Mapping[str, Damping]  # on the left of every layer, or of each by its name
    plain: bool
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    format: Format = "infimum"

    def __post_init__(self) -> None:
        if not 0.0 <= self.remove < 1.0:
            raise OptionError(f"remove must be a fraction of at least 0 and below 1, got {self.remove}")
        one_of("of", self.of, get_args(Of))
        if self.plain and self.of == "bytes":
            raise OptionError("plain output has as many bytes as the original; give of='linear' or of='all'")
        one_of("objective", self.objective, get_args(Objective))
        one_of("allocation", self.allocation, get_args(AllocationRule))
        for kind in self.menu:
            one_of("menu", kind, get_args(Kind))
        if not self.menu or len(set(self.menu)) < len(self.menu):
            raise OptionError(f"menu must be one or more of {', '.join(get_args(Kind))}, each once, got {self.menu}")
        one_of("form", self.form, get_args(Form))
        if self.rounds and (self.plain or self.allocation == "uniform"):
            raise OptionError(
                "few bits are for plain=False and allocation='global': they have one form and one budget; "
                "leave 'bits' out of the menu"
            )
        one_of("format", self.format, get_args(Format))
        if self.format != "infimum" and (self.menu != ("bits",) or self.plain):
            raise OptionError(f"format={self.format!r} holds few bits only; give menu=('bits',), and plain=False")
        numbers = self.damping.values() if isinstance(self.damping, Mapping) else (Damping(self.damping, self.damping),)
        for right, left, scale in numbers:
            for each, most in ((right, MOST_DAMPING), (left, MOST_DAMPING), (scale, MOST_SCALE)):
                if not 0.0 < each <= most:
                    raise OptionError(f"damping must be above 0 and at most {most:g}, got {each}")

    def takes(self, name: str) -> bool:
        """Tell whether a layer of this name may be replaced."""
        kept, chosen = (any(fnmatch.fnmatchcase(name, pattern) for pattern in part) for part in (self.keep, self.only))
        return not kept and (chosen or not self.only)

    def layers_of(self, checkpoint: Checkpoint) -> tuple[Layer, ...]:
        """Return what a plan has a row for: the linear layers, and where they count embeddings and output head, too.

        These become integers of few bits or stay as they are.
        """
        fitting = self.objective == "two-sided" and self.format != "compressed-tensors"
        counted = self.rounds and self.of != "linear" and fitting
        return checkpoint.layers + (checkpoint.vocabulary if counted else ())

    def damping_of(self, name: str) -> Damping:
        """Return how much the moments of a layer are damped."""
        return self.damping[name] if isinstance(self.damping, Mapping) else Damping(0.0, self.damping)

    @property
    def narrows(self) -> bool:
        """Whether channels may be removed."""
        return "widths" in self.menu

    @property
    def widths(self) -> tuple[int, ...]:
        """Sixteenths of the channels that may be kept, all of them first."""
        return ROUNDED_WIDTHS if self.rounds else WIDTHS

    @property
    def rounds(self) -> bool:
        """Whether layers become integers of few bits; their cost is counted in as many numbers as take their bytes."""
        return "bits" in self.menu

    @property
    def low_rank(self) -> Form | None:
        """The form in which layers of lower rank are stored; None where they keep their rank."""
        return self.form if "ranks" in self.menu else None

    @classmethod
    def read(cls, claimed: Mapping[str, Any]) -> Settings:
        """Read the settings of a description: every part of its kind and in its range."""
        mapping("'settings'", claimed, [field.name for field in dataclasses.fields(cls)])
        parts: dict[str, Any] = {"remove": number("settings: remove", claimed["remove"])}
        damping = claimed["damping"]
        if isinstance(damping, Mapping):
            parts["damping"] = {name: _damping(name, each) for name, each in damping.items()}
        else:
            parts["damping"] = number("settings: damping", damping)
        for name in ("menu", "keep", "only"):
            parts[name] = tuple(text(f"settings: {name}", each) for each in listed(f"settings: {name}", claimed[name]))
        flag("settings: plain", claimed["plain"])
        try:
            return cls(**{**claimed, **parts})
        except InfimumError as error:
            raise VerificationError(f"settings: {error}") from error


def _damping(name: str, item: Any) -> Damping:
    if not isinstance(item, list) or len(item) != len(Damping._fields):
        raise VerificationError(
            f"settings: damping of {name} must be {len(Damping._fields)} numbers, got {shown(item)}"
        )
    return Damping(*(number(f"settings: damping of {name}", each) for each in item))
