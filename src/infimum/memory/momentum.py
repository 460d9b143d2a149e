"""From updates to gradients: momentum spreads every gradient over the updates that follow it."""

from __future__ import annotations

import numbers
from typing import Any, Literal

import numpy as np
import scipy.linalg

from infimum._arrays import ArrayLike, to_numpy
from infimum.errors import InfeasibleError, OptionError
from infimum.proof.profiles import as_target
from infimum.proof.theorems.unrolling import Unrolled

ULP = 2.0**-53


def spread(memory: Unrolled, beta: float, name: str) -> Unrolled:
    """Memory of the gradients: step i hands its weight to gradient j in the part ``(1-b) b**(i-j) / (1 - b**i)``."""
    beta = _momentum_factor(beta, name)
    shared = memory.weights.astype(float) / _bias_corrections(beta, memory.weights.size)
    weights = recursion(np.full(shared.size, beta), shared[::-1])[::-1].copy()
    # all terms have one sign: each passes through two roundings a step, and those of its part before
    error = ULP * (2.0 * shared.size + 8.0 + 8.0 / (1.0 - beta))
    return Unrolled(weights, memory.initial, memory.error + error)


def gradient_target(
    target: Literal["uniform"] | ArrayLike = "uniform", steps: int | None = None, *, beta1: float
) -> np.ndarray:
    """Target for the updates by which, through momentum, the *gradients* are remembered as wanted.

    What `design` gets near is a profile of the updates. For the gradients of an optimizer with momentum to have a
    profile g, the updates need ``(g_j - beta1 * g_{j+1}) * (1 - beta1**j) / (1 - beta1)``. The last update alone
    carries the last gradient, so it is to be ``1 / (1 - beta1)`` times as large: a learning rate that much larger
    there, or smaller ones everywhere else. The gradients are at least as near to g, in total variation, as the updates
    to this target.

    Parameters
    ----------
    target : "uniform" or array (steps,)
        Wanted memory of every gradient, positive, up to a factor.
    steps : int, optional
        Number of optimizer steps; needed for "uniform".
    beta1 : float
        Momentum, 0 <= beta1 < 1, as for `report`.

    Returns
    -------
    array (steps,)
        For `design`.

    Raises
    ------
    OptionError, ShapeError, NonFiniteError, DTypeError, LibraryError
        Each says what was expected, what came, and what to do.
    InfeasibleError
        The target grows by 1 / beta1 or more in one step: momentum forgets no faster.

    Examples
    --------
    >>> from infimum import memory
    >>> wanted = memory.gradient_target("uniform", 200, beta1=0.9)
    >>> schedule = memory.design(wanted, max_lr=0.5, weight_decay=0.1)
    >>> float(memory.report(schedule.lr, 0.1, beta1=0.9).max_over_min) < 1.0 + 1e-9
    True
    """
    beta1 = _momentum_factor(beta1, "beta1")
    wanted = to_numpy(as_target(target, steps)).astype(float)
    updates = (wanted - beta1 * np.append(wanted[1:], 0.0)) * _bias_corrections(beta1, wanted.size)
    if not updates.min() > 0.0:
        step = int(np.argmin(updates)) + 1
        raise InfeasibleError(
            f"the target must grow by less than 1 / beta1 = {1.0 / beta1:.4g} from one step to the next, but it grows "
            f"by {wanted[step] / wanted[step - 1]:.4g} after step {step}: momentum forgets no faster"
        )
    return np.asarray(updates)


def _momentum_factor(beta: Any, name: str) -> float:
    if isinstance(beta, bool) or not isinstance(beta, numbers.Real) or not 0.0 <= float(beta) < 1.0:
        raise OptionError(f"{name} must be at least 0 and below 1, got {beta!r}")
    return float(beta)


def _bias_corrections(beta: float, steps: int) -> np.ndarray:
    """Return ``(1 - b**i) / (1 - b)``: a moving average starts with few gradients, and is corrected for that."""
    return np.asarray((1.0 - beta ** np.arange(1, steps + 1, dtype=float)) / (1.0 - beta))


def recursion(keep: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """``x_j = keep_j x_{j-1} + gain_j`` from ``x_0 = gain_0`` on: forward substitution in a matrix of two diagonals."""
    band = np.zeros((2, keep.size), order="F")
    band[1, :-1] = -keep[1:]
    return np.asarray(scipy.linalg.blas.dtbsv(1, band, gain, lower=1, diag=1))
