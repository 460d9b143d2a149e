"""From a memory of the gradients to one of the updates, over which momentum spreads them."""

from __future__ import annotations

import numbers
from typing import Any, Literal

import numpy as np

from infimum._arrays import ArrayLike, to_numpy
from infimum.errors import InfeasibleError, OptionError
from infimum.proof.momentum import bias_corrections
from infimum.proof.profiles import as_target


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
    beta1 = momentum_factor(beta1, "beta1")
    wanted = to_numpy(as_target(target, steps)).astype(float)
    updates = (wanted - beta1 * np.append(wanted[1:], 0.0)) * bias_corrections(beta1, wanted.size)
    if not updates.min() > 0.0:
        step = int(np.argmin(updates)) + 1
        raise InfeasibleError(
            f"the target must grow by less than 1 / beta1 = {1.0 / beta1:.4g} from one step to the next, but it grows "
            f"by {wanted[step] / wanted[step - 1]:.4g} after step {step}: momentum forgets no faster"
        )
    return np.asarray(updates)


def momentum_factor(beta: Any, name: str) -> float:
    """Return a factor of momentum, or raise `OptionError`."""
    if isinstance(beta, bool) or not isinstance(beta, numbers.Real) or not 0.0 <= float(beta) < 1.0:
        raise OptionError(f"{name} must be at least 0 and below 1, got {beta!r}")
    return float(beta)
