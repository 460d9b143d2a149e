"""Values to start a router with: the scale of its gates beside shared experts, the bias of threshold routing."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal, TypeAlias, get_args

import numpy as np

from infimum._arguments import RNGLike, one_of, whole_number
from infimum.errors import OptionError

Score: TypeAlias = Literal["sigmoid", "softmax"]  # activation of a router's scores


def shared_expert_scale(
    routed: int,
    active: int,
    shared: int,
    *,
    score: Score = "sigmoid",
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
    one_of("score", score, get_args(Score))
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


def initial_threshold_bias(n: int, k: float, *, std: float = 1.0, score: Score = "sigmoid") -> float:
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
    one_of("score", score, get_args(Score))
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
