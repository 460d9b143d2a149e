"""How a router is pushed towards balance during training: updates of the bias, auxiliary losses, starting values.

Convention of this room: the bias is *added* to the scores, so an overloaded expert needs a smaller one. F is the share
of the assignments that an expert received, Q the share that it should receive; both sum to 1.
"""

from __future__ import annotations

import importlib
import math
import numbers
from statistics import NormalDist
from typing import Literal, TypeAlias

import array_api_compat
import numpy as np

from infimum._arguments import RNGLike, one_of, whole_number
from infimum._arrays import Array, as_array, is_array, is_floating, namespace, require_finite, widen
from infimum.errors import DTypeError, OptionError, ShapeError

Rule: TypeAlias = Literal["sign", "rms", "sgd", "relative", "tanh", "budget", "at-most"]
RULES = ("sign", "rms", "sgd", "relative", "tanh", "budget", "at-most")
TANH_SLOPE = 2.0  # tanh(2 e): half of the full step at a relative error of 0.27

Form: TypeAlias = Literal["ste", "product", "switch", "entropy"]
FORMS = ("ste", "product", "switch", "entropy")


def update_bias(
    bias: Array,
    counts: Array,
    rule: Rule = "rms",
    rate: float = 1e-3,
    *,
    load: Array | float | None = None,
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
    "relative"    rate * (F / Q - 1), "sgd" in a scale that does not depend on the number of experts
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


def aux_loss(probs: Array, counts: Array, form: Form = "ste", *, load: Array | float | None = None) -> Array:
    """Auxiliary loss that draws a router towards balance through its gradient.

    With P the mean of `probs` over the tokens and sg "no gradient from here":

    =========  =============================  ==========================  ===========================================
    form       value                          gradient                    note
    =========  =============================  ==========================  ===========================================
    "ste"      1/2 sum (F - Q)^2              sum (F - Q) dP              of 1/2 norm(P + sg[F - P] - Q)^2; 0 at balance
    "entropy"  sum F log(F / Q)               sum (1 + log(F / Q)) dP     0 at balance
    "product"  sum F P                        sum F dP                    [1]_; that of "ste" if P sums to 1, Q = 1/n
    "switch"   n sum F P                      n sum F dP                  1 at balance; a common loss weight is 0.01
    =========  =============================  ==========================  ===========================================

    Conventions differ by constants. Here F sums to 1. The loss of Switch [2]_ is "switch" for top-1; code that divides
    the counts by the number of tokens only (OLMoE and Mixtral in transformers) has k times "switch", and GShard's
    mean [3]_ that divided by n^2. "product" and "switch" are not smallest at balance: only their gradients have a
    meaning.

    Parameters
    ----------
    probs : array (..., m, n)
        Gating scores of m tokens. For "product" and "switch" their rows should sum to 1: divide sigmoid scores first.
    counts : array (..., n)
        Tokens that each expert received. Leading axes (sequences, layers) are balanced separately and averaged.
    form : {"ste", "entropy", "product", "switch"}
        See above. In "entropy" an expert without a token counts as one with half a token.
    load : array (..., n) or float, optional
        Wanted counts, for "ste" and "entropy"; only their proportions matter.

    Returns
    -------
    array ()
        A scalar of the library of `probs`; gradients flow in PyTorch and JAX.

    Raises
    ------
    ShapeError, OptionError
        `counts` does not fit, or `load` is given where the form has none.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10735.
    .. [2] Fedus, Zoph, Shazeer, "Switch transformers", arXiv:2101.03961.
    .. [3] Lepikhin et al., "GShard", arXiv:2006.16668.

    Examples
    --------
    >>> import numpy as np
    >>> float(aux_loss(np.full((6, 3), 1 / 3), np.array([2, 2, 2]), "switch"))
    1.0
    """
    one_of("form", form, FORMS)
    probs = probs if is_array(probs) else as_array(probs, "probs")  # as_array would cut the gradient
    counts = as_array(counts, "counts")
    xp = namespace(probs=probs, counts=counts)
    n = probs.shape[-1] if probs.ndim else 0
    if probs.ndim < 2 or tuple(counts.shape) != (*probs.shape[:-2], n) or 0 in probs.shape:
        raise ShapeError(
            f"probs (..., m, n) and counts (..., n) expected, got {tuple(probs.shape)} and {tuple(counts.shape)}"
        )
    if load is not None and form not in ("ste", "entropy"):
        raise OptionError(f'form="{form}" knows only the even load; take "ste" or "entropy"')
    dtype = probs.dtype if xp.finfo(probs.dtype).bits >= 32 else xp.float32
    P = xp.mean(xp.astype(probs, dtype), axis=-2)
    F = xp.astype(_shares(widen(counts)), dtype)
    if form in ("product", "switch"):
        return xp.mean(xp.sum(F * P, axis=-1)) * (n if form == "switch" else 1)
    Q = xp.ones_like(F) / n if load is None else xp.astype(_shares(wanted_load(load, counts)), dtype)
    if form == "ste":
        value, slope = xp.sum((F - Q) ** 2, axis=-1) / 2, F - Q
    else:
        half = 0.5 / xp.clip(xp.sum(xp.astype(counts, dtype), axis=-1, keepdims=True), 1.0, math.inf)
        ratio = xp.log(xp.where(F > 0, F, half + xp.zeros_like(F)) / Q)
        value, slope = xp.sum(F * ratio, axis=-1), 1.0 + ratio
    gradient = xp.sum(slope * P, axis=-1)
    return xp.mean(value + (gradient - _stop_gradient(gradient)))


def shared_expert_scale(
    routed: int,
    active: int,
    shared: int,
    *,
    score: Literal["softmax", "sigmoid"] = "sigmoid",
    normalize: bool = True,
    samples: int = 20_000,
    rng: RNGLike = 0,
) -> float:
    """Scale of the routed experts' gates that gives their sum the size of the shared experts' sum at the start.

    With outputs of equal size and independent directions, s shared experts add up to sqrt(s), the routed ones to the
    Euclidean norm of their gates. The mean of sqrt(s) / norm over standard normal logits is estimated by sampling.

    Parameters
    ----------
    routed, active, shared : int
        Number of routed experts, how many of them a token uses, and number of shared experts.
    score : {"sigmoid", "softmax"}
        The gate's activation.
    normalize : bool
        Whether the active gates are divided by their sum.
    samples : int
        Tokens drawn.
    rng : int, numpy.random.Generator or None
        Source of the draws; the default gives the same answer each time.

    Returns
    -------
    float
        The scale, with a relative standard error of a few thousandths at most.

    Raises
    ------
    OptionError, DTypeError
        The numbers are not whole, below 1, or `active` exceeds `routed`.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10945. There n = routed + shared and k = active + shared.

    Examples
    --------
    >>> round(shared_expert_scale(160, 6, 2, score="softmax", normalize=False))  # DeepSeek-V2 uses 16
    16
    """
    one_of("score", score, ("softmax", "sigmoid"))
    routed, shared = whole_number("routed", routed, 1), whole_number("shared", shared, 1)
    active = whole_number("active", active, 1)
    if active > routed:
        raise OptionError(f"active must be at most the {routed} routed experts, got {active}")
    logits = np.random.default_rng(rng).standard_normal((whole_number("samples", samples, 1), routed))
    gates = np.exp(logits) if score == "softmax" else 1.0 / (1.0 + np.exp(-logits))
    if score == "softmax":
        gates /= gates.sum(axis=1, keepdims=True)
    top = np.partition(gates, routed - active, axis=1)[:, routed - active :]
    if normalize:
        top /= top.sum(axis=1, keepdims=True)
    return float(np.mean(math.sqrt(shared) / np.linalg.norm(top, axis=1)))


def initial_threshold_bias(
    n: int, k: float, *, std: float = 1.0, score: Literal["sigmoid", "softmax"] = "sigmoid"
) -> float:
    """Find a starting bias for threshold routing: with normal logits, ``score + bias > 0`` for k experts on average.

    Parameters
    ----------
    n : int
        Number of experts.
    k : float
        Wanted mean number of active experts, between 0 and n.
    std : float
        Standard deviation of the logits: that of the router's weights times the norm of its input.
    score : {"sigmoid", "softmax"}
        Activation of the scores; for softmax the normalising sum is that of n evenly spaced quantiles.

    Returns
    -------
    float
        The bias of every expert.

    Raises
    ------
    OptionError, DTypeError
        k is not between 0 and n, or std not positive.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 11626.
    """
    one_of("score", score, ("sigmoid", "softmax"))
    n = whole_number("n", n, 1)
    if not 0 < k < n:
        raise OptionError(f"k must be between 0 and n = {n}, got {k!r}")
    if not (math.isfinite(std) and std > 0):
        raise OptionError(f"std must be a positive number, got {std!r}")
    quantile = NormalDist().inv_cdf
    logit = std * quantile(1.0 - k / n)
    if score == "sigmoid":
        return -1.0 / (1.0 + math.exp(-logit))
    return -math.exp(logit) / math.fsum(math.exp(std * quantile(1.0 - i / (n + 1))) for i in range(1, n + 1))


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


def _shares(counts: Array) -> Array:
    xp = namespace(counts=counts)
    total = xp.sum(counts, axis=-1, keepdims=True)
    return counts / xp.where(total > 0, total, xp.ones_like(total))


def _stop_gradient(array: Array) -> Array:
    if array_api_compat.is_torch_array(array):
        return array.detach()
    if array_api_compat.is_jax_array(array):
        return importlib.import_module("jax").lax.stop_gradient(array)
    return array
