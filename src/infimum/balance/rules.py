"""How the bias of a router is updated during training.

Convention of this room: the bias is *added* to the scores, so an overloaded expert needs a smaller one. F is the share
of the assignments that an expert received, Q the share that it should receive; both sum to 1.
"""

from __future__ import annotations

import math
import numbers
from typing import Literal, TypeAlias, get_args

import array_api_compat

from infimum._arguments import one_of
from infimum._arrays import Array, ArrayLike, as_array, is_array, is_floating, namespace, require_finite, widen
from infimum.errors import DTypeError, OptionError, ShapeError

Rule: TypeAlias = Literal["sign", "rms", "sgd", "relative", "tanh", "budget", "at-most"]
RULES: tuple[Rule, ...] = get_args(Rule)
TANH_SLOPE = 2.0  # tanh(2 e): half of the full step at a relative error of 0.27


def update_bias(
    bias: ArrayLike,
    counts: ArrayLike,
    rule: Rule = "rms",
    rate: float = 1e-3,
    *,
    load: ArrayLike | float | None = None,
    center: bool = True,
) -> Array:
    """One update of the bias that steers a router, from the loads of the batch that it has just routed.

    Every rule is a subgradient step on the dual of balanced routing, which is minimised where the loads meet their
    target. Call it after the optimizer's step on the same batch, never before.

    ============  =================================================================================  ==============
    rule          bias becomes bias -                                                                source
    ============  =================================================================================  ==============
    "sign"        rate * sign(F - Q)                                                                 [1]_, [2]_
    "rms"         rate * (F - Q) / RMS(F - Q)                                                        [2]_
    "sgd"         rate * (F - Q)                                                                     [1]_, [2]_
    "relative"    rate * (F / Q - 1): "sgd" with a rate that suits any number of experts
    "tanh"        rate * tanh(2 (F / Q - 1)), a soft sign; momentum belongs to the caller            [3]_
    "budget"      rate * (sign(F - Q) - mean(sign(F - Q)) + sign(sum of counts - sum of load))       [4]_ eq. 7
    "at-most"     the same, and the last sign only where the budget is exceeded                      [4]_
    ============  =================================================================================  ==============

    Parameters
    ----------
    bias : array (..., n)
        float32 or float64. Leading axes are layers, updated independently.
    counts : array (..., n)
        Tokens that each expert received, of the same shape.
    rule : {"rms", "sign", "sgd", "relative", "tanh", "budget", "at-most"}
        "budget" and "at-most" are for threshold routing, where the number of experts a token is free, and need `load`.
    rate : float
        At least 0. 1e-3 belongs to sigmoid scores with "sign" and "rms"; lower it towards the end of a training.
    load : array (..., n) or float, optional
        Wanted counts, in the unit of `counts`; a number stands for all experts. Default: the mean of the counts.
    center : bool
        Subtract the mean of the step. A common constant changes no top-k choice, but would drift and cost digits. For
        threshold routing the level matters: there ``rule="sign", load=m * k / n, center=False`` is the update of [5]_.

    Returns
    -------
    array (..., n)
        The new bias; the input is not changed. It is equal to the old one where no token was counted.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError
        Among others for a 16-bit bias, in which steps of 1e-3 are rounded away.

    References
    ----------
    .. [1] Wang et al., "Auxiliary-loss-free load balancing strategy for mixture-of-experts", arXiv:2408.15664.
    .. [2] Su Jianlin, Scientific Spaces 10757.
    .. [3] Singh et al., Arcee Trinity Large technical report (2026): soft-clamped momentum expert bias updates.
    .. [4] Su Jianlin, Scientific Spaces 10815.
    .. [5] Su Jianlin, Scientific Spaces 11626.

    Examples
    --------
    >>> import numpy as np
    >>> update_bias(np.zeros(4), np.array([7, 5, 4, 4]), "sign", rate=0.5, center=False)
    array([-0.5,  0. ,  0.5,  0.5])
    """
    one_of("rule", rule, RULES)
    bias, counts = as_array(bias, "bias"), as_array(counts, "counts")
    xp = namespace(bias=bias, counts=counts)
    if bias.ndim == 0 or tuple(bias.shape) != tuple(counts.shape) or bias.shape[-1] == 0:
        raise ShapeError(
            f"bias and counts must have one shape (..., n), got {tuple(bias.shape)} and {tuple(counts.shape)}"
        )
    if not is_floating(bias) or xp.finfo(bias.dtype).bits < 32:
        raise DTypeError(f"bias must be float32 or float64, got {bias.dtype}: a step of 1e-3 would be rounded away")
    require_finite(bias, "bias")
    target = None if load is None else wanted_load(load, counts)
    if target is None and rule in ("budget", "at-most"):
        raise OptionError(f'rule="{rule}" needs load, the wanted number of tokens of each expert')
    if target is not None and rule in ("relative", "tanh") and bool(xp.any(target <= 0)):
        raise OptionError(f'rule="{rule}" measures relative errors: every load must be above 0')
    checked_rate(rate)
    moved = widen(bias) + rate * step(checked_counts(counts), rule, target, center)
    return xp.astype(moved, bias.dtype)


def step(counts: Array, rule: Rule, load: Array | None, center: bool) -> Array:
    """Return the step of a rule at rate 1, to be *added* to the bias; nothing is checked, so nothing awaits a GPU."""
    xp = namespace(counts=counts)
    counts = widen(counts)
    total = xp.sum(counts, axis=-1, keepdims=True)
    target = total / counts.shape[-1] if load is None else load
    target = target + xp.zeros_like(counts)
    wanted = xp.sum(target, axis=-1, keepdims=True)
    seen = total > 0  # no tokens, no information: no step
    error = (counts - target) / xp.where(wanted > 0, wanted, xp.ones_like(wanted))  # F - Q
    if rule in ("budget", "at-most"):
        excess = xp.sign(total - wanted)
        least = -1.0 if rule == "budget" else 0.0
        part = xp.sign(counts / xp.where(seen, total, xp.ones_like(total)) - target / wanted)
        change = part - xp.mean(part, axis=-1, keepdims=True) + xp.clip(excess, least, 1.0)
    else:
        change = _change(error, target, wanted, rule)
        if center:
            change = change - xp.mean(change, axis=-1, keepdims=True)
    return xp.where(seen, -change, xp.zeros_like(change))


def _change(error: Array, target: Array, wanted: Array, rule: Rule) -> Array:
    xp = namespace(error=error)
    if rule == "sgd":
        return error
    if rule == "sign":
        return xp.sign(error)
    if rule == "rms":
        size = xp.sqrt(xp.mean(error * error, axis=-1, keepdims=True))
        return error / xp.where(size > 0, size, xp.ones_like(size))
    relative = error * wanted / xp.where(target > 0, target, xp.ones_like(target))
    return relative if rule == "relative" else xp.tanh(TANH_SLOPE * relative)


def checked_rate(rate: float) -> float:
    """Return a rate that is a finite number, at least 0."""
    if not (isinstance(rate, numbers.Real) and math.isfinite(rate) and rate >= 0):
        raise OptionError(f"rate must be a finite number, at least 0, got {rate!r}")
    return float(rate)


def checked_counts(counts: Array) -> Array:
    """Return counts that are finite and not negative."""
    counts = as_array(counts, "counts")
    xp = namespace(counts=counts)
    if xp.isdtype(counts.dtype, "bool") or not xp.isdtype(counts.dtype, ("integral", "real floating")):
        raise DTypeError(f"counts must be numbers of tokens, got dtype {counts.dtype}")
    require_finite(counts, "counts")
    if bool(xp.any(counts < 0)):
        raise OptionError("counts must not be negative")
    return counts


def wanted_load(load: Array | float, counts: Array) -> Array:
    """Return the wanted counts in working precision, one for each entry of `counts`."""
    xp = namespace(counts=counts)
    array = as_array(load, "load")
    if not is_array(load):  # a number or a sequence: of the counts' library and device
        array = xp.asarray(array, device=array_api_compat.device(counts))
    namespace(load=array, counts=counts)
    try:
        target = widen(array) + xp.zeros_like(widen(counts))
    except (ValueError, RuntimeError, TypeError):
        target = None
    if target is None or tuple(target.shape) != tuple(counts.shape):
        raise ShapeError(f"load must be a number or have the shape of counts {tuple(counts.shape)}, got {array.shape}")
    require_finite(target, "load")
    if bool(xp.any(target < 0)) or not bool(xp.all(xp.sum(target, axis=-1) > 0)):
        raise OptionError("load must not be negative, and its sum must be positive")
    return target
