"""Auxiliary losses that draw a router towards balance through its gradient."""

from __future__ import annotations

import importlib
import math
from typing import Literal, TypeAlias, get_args

import array_api_compat

from infimum._arguments import one_of
from infimum._arrays import Array, ArrayLike, as_array, is_array, namespace, widen
from infimum.balance.rules import wanted_load
from infimum.errors import OptionError, ShapeError

Form: TypeAlias = Literal["ste", "product", "switch", "entropy"]
FORMS: tuple[Form, ...] = get_args(Form)


def aux_loss(
    probs: ArrayLike, counts: ArrayLike, form: Form = "ste", *, load: ArrayLike | float | None = None
) -> Array:
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
    given: Array = probs if is_array(probs) else as_array(probs, "probs")  # as_array would cut the gradient
    counts = as_array(counts, "counts")
    xp = namespace(probs=given, counts=counts)
    n = given.shape[-1] if given.ndim else 0
    if given.ndim < 2 or tuple(counts.shape) != (*given.shape[:-2], n) or 0 in given.shape:
        raise ShapeError(
            f"probs (..., m, n) and counts (..., n) expected, got {tuple(given.shape)} and {tuple(counts.shape)}"
        )
    if load is not None and form not in ("ste", "entropy"):
        raise OptionError(f'form="{form}" knows only the even load; take "ste" or "entropy"')
    dtype = given.dtype if xp.finfo(given.dtype).bits >= 32 else xp.float32
    P = xp.mean(xp.astype(given, dtype), axis=-2)
    F = xp.astype(_shares_of_tokens(widen(counts)), dtype)
    if form in ("product", "switch"):
        return xp.mean(xp.sum(F * P, axis=-1)) * (n if form == "switch" else 1)
    Q = xp.ones_like(F) / n if load is None else xp.astype(_shares_of_tokens(wanted_load(load, counts)), dtype)
    if form == "ste":
        value, slope = xp.sum((F - Q) ** 2, axis=-1) / 2, F - Q
    else:
        half = 0.5 / xp.clip(xp.sum(xp.astype(counts, dtype), axis=-1, keepdims=True), 1.0, math.inf)
        ratio = xp.log(xp.where(F > 0, F, half + xp.zeros_like(F)) / Q)
        value, slope = xp.sum(F * ratio, axis=-1), 1.0 + ratio
    gradient = xp.sum(slope * P, axis=-1)
    return xp.mean(value + (gradient - _stop_gradient(gradient)))


def _shares_of_tokens(counts: Array) -> Array:
    xp = namespace(counts=counts)
    total = xp.sum(counts, axis=-1, keepdims=True)
    return counts / xp.where(total > 0, total, xp.ones_like(total))


def _stop_gradient(array: Array) -> Array:
    if array_api_compat.is_torch_array(array):
        return array.detach()
    if array_api_compat.is_jax_array(array):
        return importlib.import_module("jax").lax.stop_gradient(array)
    return array
