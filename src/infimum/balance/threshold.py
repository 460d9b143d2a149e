"""Threshold routing: a token takes as many experts as have a score above their threshold, k on average."""

from __future__ import annotations

import numbers

import numpy as np

from infimum._arrays import ArrayLike, as_matrix, like_array
from infimum.balance.search.load_windows import Loads, limits
from infimum.balance.search.thresholds import extra_tokens, separating_thresholds
from infimum.errors import OptionError
from infimum.proof.answers.threshold_routing import ThresholdRouting, certify_thresholds
from infimum.proof.real_arrays import fitted, float64_matrix


def threshold_routing(scores: ArrayLike, k: float, *, load: Loads | None = None) -> ThresholdRouting:
    """Route every token to the experts whose score exceeds their threshold: k experts on average, the loads balanced.

    Minimises the score given up against the m k best entries anywhere, over all choices of m k entries whose loads lie
    within their limits. Tokens do not compete, so every expert takes its best tokens, and the optimum is found by
    sorting.

    Parameters
    ----------
    scores : array (m, n)
        Score of every expert for every token; real, finite.
    k : float
        Experts per token on average, above 0 and at most n; m k is rounded to a whole number.
    load : array (n,), tuple (low, high), or array (2, n), optional
        Tokens of every expert, as in `balanced_topk`; by default m k / n, rounded down or up.

    Returns
    -------
    ThresholdRouting
        `chosen` (m, n), `bias` (n,), `loads` (n,), `score`; library and device of `scores`.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    InfeasibleError
        The loads cannot be met.
    RangeError
        The scores are too large for sums in float64.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10815 (experts for a token as it needs them), https://kexue.fm/archives/10815,
       and 11626 (quantile balancing with thresholds), https://kexue.fm/archives/11626.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> scores = np.array([[0.9, 0.8], [0.7, 0.1], [0.3, 0.2]])
    >>> infimum.balance.threshold_routing(scores, k=4 / 3).chosen
    array([[ True,  True],
           [ True, False],
           [False,  True]])
    """
    scores = as_matrix(scores, "scores")
    values = float64_matrix(scores, "scores")
    tokens, experts = values.shape
    if isinstance(k, bool) or not isinstance(k, numbers.Real) or not 0.0 < float(k) <= experts:
        raise OptionError(f"k must be a number above 0 and at most the number of experts, {experts}, got {k!r}")
    total = round(tokens * float(k))
    within = limits(np.full(experts, tokens), total, load, tokens)
    order = np.argsort(-values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, axis=0)
    counts = within.low + extra_tokens(ranked, within, total - int(within.low.sum()))
    chosen = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(chosen, order, np.arange(tokens)[:, None] < counts, axis=0)
    thresholds, level = separating_thresholds(ranked, counts, within)
    certificate, score = certify_thresholds(values, chosen, within, thresholds, level)
    return ThresholdRouting(
        chosen=like_array(chosen, scores),
        bias=fitted(-thresholds, scores),
        loads=like_array(counts, scores),
        score=score,
        load=like_array(np.stack([within.low, within.high]), scores),
        certificate=certificate,
    )
