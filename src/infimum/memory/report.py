"""Measure the memory of a schedule: what every batch, and the initialisation, contributes to the final weights."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from infimum._arguments import axes, one_of
from infimum._arrays import Array, ArrayLike, to_numpy
from infimum._display import Shown
from infimum.errors import OptionError, ShapeError
from infimum.memory.decay import rates_of
from infimum.memory.momentum import momentum_factor
from infimum.memory.targets import as_batch_ids
from infimum.proof.momentum import recursion
from infimum.proof.profiles import as_target, as_vector
from infimum.proof.schedule_limits import host, positive, rounded
from infimum.proof.theorems.unrolling import WIDE, of_gradients, unroll, variation

Convention: TypeAlias = Literal["coupled", "independent", "corrected"]
POINTS = 2000  # of a curve
# relative half-spacing just below a power of two: a smaller decay is rounded away at every step, whatever the weight
ROUNDED_AWAY = {"bfloat16": 2.0**-9, "float16": 2.0**-12, "float32": 2.0**-25}


@dataclass(frozen=True)
class MemoryReport(Shown):
    """What the final weights remember, the answer of `report`. It says nothing about the training loss.

    Attributes
    ----------
    lr, weight_decay, decay : array (steps,)
        The schedule as given, and the fraction of the weights lost at each step.
    weights : array (steps,)
        Memory w of every step: the final weights are ``initial_share * theta_0 - sum(weights * update)``.
    gradient_weights : array (steps,) or None
        Memory of every step's gradient, which momentum `beta1` spreads over later updates. Where they are there, they
        are what all figures and pictures are about: a batch enters the weights by its gradient.
    square_weights : array (steps,) or None
        Part of every step's squared gradient in the denominators (Adam's second moment, factor `beta2`) of the updates,
        each counted with its weight.
    target : array (steps,)
        The wanted profile, up to a factor.
    initial_share : float
        Share of the initialisation. With coupled decay ``initial_share + sum(weight_decay * weights)`` is 1.
    sample_weights : array or None
        Sum of the gradients' or updates' weights over the visits of each sample (with `batch_ids`).
    rms : array (steps,)
        Predicted root mean square of the weights after every step, for updates of root mean square `update_rms` that
        are orthogonal to the weights.
    warnings : tuple of str
        What is wrong with the schedule, or will be at low precision.
    total_variation, max_over_min : float
        Distance of the gradients' or updates' weights from the target, each scaled to sum 1, rounded upwards; and the
        largest quotient of weight and target divided by the smallest. Infinite where `decay` beyond 1 gives weights of
        either sign.
    """

    lr: Array
    weight_decay: Array
    decay: Array
    weights: Array
    gradient_weights: Array | None
    target: Array
    initial_share: float
    sample_weights: Array | None
    rms: Array
    warnings: tuple[str, ...]
    total_variation: float
    max_over_min: float
    square_weights: Array | None = None

    @property
    def batch_weights(self) -> Array:
        """Memory of every batch: that of its gradient where `beta1` was given, else of its update."""
        return self.weights if self.gradient_weights is None else self.gradient_weights

    @property
    def steps(self) -> int:
        """Number of optimizer steps."""
        return int(self.weights.shape[0])

    @property
    def effective_batches(self) -> float:
        """Kish's effective number of batches, ``sum(w)**2 / sum(w**2)``: `steps` when all weights are equal."""
        weights = host(self.batch_weights)
        return float(weights.sum() ** 2 / (weights**2).sum())

    @property
    def decay_total(self) -> float:
        """Sum of `decay`: how often the memory is turned over."""
        return float(host(self.decay).sum())

    def period(self, threshold: float = 0.1) -> int:
        """Memory period: number of steps whose weight is at least `threshold` times the largest."""
        if not 0.0 < threshold <= 1.0:
            raise OptionError(f"threshold must be above 0 and at most 1, got {threshold!r}")
        weights = to_numpy(self.batch_weights)
        return int(np.sum(weights >= threshold * weights.max()))

    def summary(self) -> dict[str, float]:
        """Return the figures of the report by name."""
        figures = {
            "steps": self.steps,
            "decay total": self.decay_total,
            "initial share": self.initial_share,
            "effective batches": self.effective_batches,
            "effective batches / steps": self.effective_batches / self.steps,
            "memory period (10 % of the largest)": self.period(),
            "total variation from the target": self.total_variation,
            "max/min against the target": self.max_over_min,
            "predicted final RMS": float(to_numpy(self.rms)[-1]),
        }
        if self.sample_weights is not None:
            sums = to_numpy(self.sample_weights)
            figures["max/min over samples"] = float(sums.max() / sums.min()) if sums.min() > 0.0 else math.inf
        return figures

    def to_json(self) -> str:
        """Return the figures and the warnings as JSON text; a figure that is not finite is null."""
        figures = {name: value if math.isfinite(value) else None for name, value in self.summary().items()}
        return json.dumps({"figures": figures, "warnings": self.warnings}, allow_nan=False)

    def plot(self, ax: Any = None) -> Any:
        """Draw the memory of every batch against the target, both with mean 1."""
        ax = axes(ax)
        memory = "memory" if self.gradient_weights is None else "memory of the gradients"
        for values, style, label in ((self.batch_weights, "-", memory), (self.target, "--", "target")):
            wide = host(values)
            _draw(ax, wide / wide.mean(), style, label=label)
        title = f"{self.effective_batches / self.steps:.0%} of the batches in effect, initialisation keeps "
        ax.set(xlabel="step", ylabel="relative to the mean", title=f"{title}{self.initial_share:.2%}", ylim=(0.0, None))
        ax.legend()
        return ax

    def plot_cumulative(self, ax: Any = None) -> Any:
        """Draw how the memory fills up: the initialisation as the first block, then the batches in order."""
        ax = axes(ax)
        later = np.cumprod((1.0 - host(self.decay))[::-1])[::-1]
        _draw(ax, np.append(later[1:], 1.0), label="batches")
        ax.axhspan(0.0, self.initial_share, color="C7", alpha=0.5, label=f"initialisation {self.initial_share:.2%}")
        ax.set(xlabel="up to step", ylabel="share of the final weights", title="cumulative memory", ylim=(0.0, 1.02))
        ax.legend()
        return ax

    def plot_schedule(self, ax: Any = None) -> Any:
        """Draw learning rate and weight decay, each relative to its largest value."""
        ax = axes(ax)
        for values, style, label in ((self.lr, "-", "learning rate"), (self.weight_decay, "--", "weight decay")):
            wide = host(values)
            _draw(ax, wide / (wide.max() or 1.0), style, label=f"{label} / {float(wide.max()):.3g}")
        ax.set(xlabel="step", ylabel="relative to the largest", title="schedule", ylim=(0.0, 1.05))
        ax.legend()
        return ax

    def plot_rms(self, ax: Any = None) -> Any:
        """Draw the predicted root mean square of the weights."""
        ax = axes(ax)
        _draw(ax, host(self.rms))
        ax.set(xlabel="step", ylabel="RMS of the weights", title="predicted weight RMS", ylim=(0.0, None))
        return ax


def _draw(ax: Any, values: np.ndarray, *style: str, **options: Any) -> None:
    """Draw against the steps, no more points than a picture can show."""
    shown = np.unique(np.linspace(0, values.size - 1, min(values.size, POINTS)).astype(int))
    ax.plot(shown + 1, values[shown].astype(float), *style, **options)


def report(
    lr: ArrayLike,
    weight_decay: float | ArrayLike,
    *,
    convention: Convention = "coupled",
    beta1: float | None = None,
    beta2: float | None = None,
    target: Literal["uniform"] | ArrayLike = "uniform",
    batch_ids: ArrayLike | None = None,
    initial_rms: float | None = None,
    update_rms: float = 1.0,
) -> MemoryReport:
    """Measure what the final weights remember of every batch and of the initialisation.

    Nothing is minimised here; `design` does that. The weights are exact for every optimizer with decoupled weight
    decay (AdamW, Muon, SGD with decoupled decay; see `infimum.optim.verify_memory`): unrolled, the final weights are
    ``initial_share * theta_0 - sum(weights * update)``. The report is about this profile, not about the training loss.

    Parameters
    ----------
    lr : array (steps,)
        Learning rate of every step, at least 0.
    weight_decay : float or array (steps,)
        Weight decay of every step, at least 0.
    convention : {"coupled", "independent", "corrected"}
        How much a step loses: ``lr * weight_decay`` (AdamW and Muon in PyTorch and optax), ``weight_decay`` itself,
        or ``weight_decay * lr**2 / max(lr)`` (AdamC).
    beta1 : float, optional
        Momentum, 0 <= beta1 < 1, as a bias-corrected moving average of the gradients: exact for SGD with such
        momentum; for Adam and Muon the numerator only (mean field). All figures are then those of the gradients.
    beta2 : float, optional
        Factor of Adam's second moment, 0 <= beta2 < 1, for `square_weights`.
    target : "uniform" or array (steps,)
        Wanted profile, positive, up to a factor: of the gradients where `beta1` is given, else of the updates.
    batch_ids : array (steps,) of int, optional
        Which sample or batch each step visits, for sums over epochs.
    initial_rms : float, optional
        Root mean square of the initialisation; 0 by default: the prediction is then for the updates' part alone.
    update_rms : float
        Root mean square of the optimizer's updates before the learning rate.

    Returns
    -------
    MemoryReport
        Arrays have the library, dtype and device of `lr`.

    Raises
    ------
    OptionError, ShapeError, NonFiniteError, DTypeError, LibraryError
        Each says what was expected, what came, and what to do.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 11459 (weight decay and learning rate as a moving average), https://kexue.fm/archives/11459.
    .. [2] Bergsma et al., "Straight to Zero", arXiv:2502.15938.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> measured = infimum.memory.report(np.full(1000, 1e-2), 0.1)
    >>> round(measured.initial_share, 4), round(measured.effective_batches)
    (0.3677, 924)
    """
    one_of("convention", convention, get_args(Convention))
    rate = as_vector(lr, "lr")
    wide = host(rate)
    if not np.all(wide >= 0.0) or not wide.max() > 0.0:
        raise OptionError(f"lr must be at least 0, and above 0 somewhere, got values from {float(wide.min()):g}")
    wanted = as_target(target, wide.size)
    written = rates_of(weight_decay, rate)
    decay = host(written) * {"coupled": wide, "independent": WIDE(1.0), "corrected": wide**2 / wide.max()}[convention]
    memory = unroll(wide, decay, beyond=True)
    gradients = None if beta1 is None else of_gradients(memory, momentum_factor(beta1, "beta1"))
    squares = None if beta2 is None else of_gradients(memory, momentum_factor(beta2, "beta2")).weights
    batches = memory if gradients is None else gradients
    relative = batches.weights / host(wanted)
    return MemoryReport(
        lr=rate,
        weight_decay=written,
        decay=rounded(decay, rate, "lr * weight_decay"),
        weights=rounded(memory.weights, rate, "a memory weight"),
        gradient_weights=None if gradients is None else rounded(gradients.weights, rate, "a weight"),
        square_weights=None if squares is None else rounded(squares, rate, "a weight"),
        target=rounded(host(wanted), rate, "target"),
        initial_share=float(memory.initial),
        sample_weights=None if batch_ids is None else rounded(_by_sample(batches.weights, batch_ids), rate, "a sum"),
        rms=rounded(_rms(wide, decay, initial_rms, update_rms), rate, "the RMS"),
        warnings=_warnings(decay),
        total_variation=variation(batches, host(wanted)) if decay.max() <= 1.0 else math.inf,
        max_over_min=float(relative.max() / relative.min()) if relative.min() > 0.0 else math.inf,
    )


def _by_sample(weights: np.ndarray, batch_ids: Any) -> np.ndarray:
    ids = as_batch_ids(batch_ids)
    if ids.size != weights.size:
        raise ShapeError(f"batch_ids must have an entry for each of the {weights.size} steps, got {ids.size}")
    return np.bincount(ids, weights=weights.astype(float))


def _rms(lr: np.ndarray, decay: np.ndarray, initial_rms: float | None, update_rms: float) -> np.ndarray:
    """``rms**2 <- (1 - a)**2 rms**2 + (lr * update_rms)**2``, from the initialisation on."""
    first = 0.0 if initial_rms is None else positive(initial_rms, "initial_rms") ** 2
    keep = ((1.0 - decay) ** 2).astype(float)
    gain = ((lr * positive(update_rms, "update_rms")) ** 2).astype(float)
    gain[0] += keep[0] * first
    return np.asarray(np.sqrt(recursion(keep, gain)))


def _warnings(decay: np.ndarray) -> tuple[str, ...]:
    found = []
    beyond = int(np.sum(decay >= 1.0))
    if beyond:
        step = int(np.argmax(decay >= 1.0)) + 1
        found.append(
            f"lr * weight_decay reaches 1 at {beyond} steps (first: step {step}): all that was learned before is "
            "erased or changes its sign"
        )
    lost = {dtype: int(np.sum((decay > 0.0) & (decay < least))) for dtype, least in ROUNDED_AWAY.items()}
    for count in sorted({*lost.values()} - {0}, reverse=True):
        dtypes = [dtype for dtype, steps in lost.items() if steps == count]
        limits = " or ".join(f"{ROUNDED_AWAY[dtype]:.3g}" for dtype in dtypes)
        found.append(
            f"parameters kept in {' or '.join(dtypes)} do not decay at {count} of {decay.size} steps: "
            f"lr * weight_decay is below {limits} there, and the change is rounded away; keep them in a wider type"
        )
    return tuple(found)
