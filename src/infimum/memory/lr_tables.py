"""Learning-rate schedules that people use, as tables: to be measured, and to be compared with."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from infimum._arguments import one_of, whole_number
from infimum.errors import OptionError
from infimum.proof.schedule_limits import positive

Shape: TypeAlias = Literal["constant", "cosine", "linear", "wsd"]
SHAPES: tuple[Shape, ...] = get_args(Shape)
FINAL = {"constant": 1.0, "cosine": 0.1, "linear": 0.0, "wsd": 0.0}
COOLDOWN = 0.2  # the part of the run in which "wsd" falls


def lr_table(
    shape: Shape, steps: int, *, peak: float, warmup: int = 0, final: float | None = None, cooldown: float = COOLDOWN
) -> np.ndarray:
    """Learning rate of every step: a linear warm-up to `peak`, then a common shape.

    Parameters
    ----------
    shape : {"constant", "cosine", "linear", "wsd"}
        What follows the warm-up; "wsd" stays at the peak and falls linearly at the end.
    steps : int
        Number of optimizer steps, warm-up included.
    peak : float
        Learning rate after the warm-up.
    warmup : int
        Steps of warm-up; the last of them has the peak.
    final : float, optional
        What the shape falls to, as a fraction of the peak: 0.1 for "cosine", else 0, by default.
    cooldown : float
        Fraction of the run in which "wsd" falls.

    Returns
    -------
    array (steps,)
        float64.

    Raises
    ------
    OptionError
        An option is out of range.
    """
    one_of("shape", shape, SHAPES)
    steps = whole_number("steps", steps, 1)
    if not 0 <= warmup <= steps:
        raise OptionError(f"warmup must be from 0 to the {steps} steps of the run, got {warmup}")
    low = FINAL[shape] if final is None else final
    if not 0.0 <= low <= 1.0 or not 0.0 < cooldown <= 1.0:
        raise OptionError(
            f"final (a fraction of the peak) and cooldown must be from 0 to 1, got {low!r} and {cooldown!r}"
        )
    step = np.arange(steps)
    passed = np.clip((step - max(warmup - 1, 0)) / max(steps - max(warmup - 1, 0), 1), 0.0, 1.0)
    if shape == "cosine":
        fall = (1.0 + np.cos(np.pi * passed)) / 2.0
    elif shape == "wsd":
        # it falls at the end of the run, and after the warm-up: the last step of that has the peak
        fall = np.minimum(1.0, (steps - step) / max(min(cooldown * steps, steps - max(warmup - 1, 0)), 1.0))
    else:
        fall = 1.0 - passed if shape == "linear" else np.ones(steps)
    ramp = np.minimum(1.0, (step + 1) / max(warmup, 1))
    return np.asarray(positive(peak, "peak") * ramp * (low + (1.0 - low) * fall))


class PublishedRun(NamedTuple):
    """A training run whose configuration is public."""

    name: str
    source: str
    shape: Shape
    steps: int
    peak: float
    final: float
    warmup: int
    weight_decay: float

    def lr(self) -> np.ndarray:
        """Learning rate of every step."""
        return lr_table(self.shape, self.steps, peak=self.peak, warmup=self.warmup, final=self.final)


PUBLISHED = (
    PublishedRun(
        "Pythia-410M",
        "github.com/EleutherAI/pythia, models/410M/pythia-410m.yml",
        shape="cosine",
        steps=143_000,
        peak=3e-4,
        final=0.1,
        warmup=1430,
        weight_decay=0.1,
    ),
    PublishedRun(
        "nanoGPT, Shakespeare by characters",
        "github.com/karpathy/nanoGPT, config/train_shakespeare_char.py",
        shape="cosine",
        steps=5000,
        peak=1e-3,
        final=0.1,
        warmup=100,
        weight_decay=0.1,
    ),
)
