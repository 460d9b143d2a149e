"""Threshold routing: a token takes as many experts as have a score above their threshold, k on average."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import Array, as_matrix, like_array, namespace, to_numpy
from infimum.balance.host import float_type, host
from infimum.balance.loads import limits
from infimum.errors import OptionError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from infimum.proof.theorems.assignment_dual import Limits, best_entries, exact_sum, outward, threshold_dual


@dataclass(frozen=True)
class ThresholdRouting(Result):
    """Which token goes to which expert, the answer of `threshold_routing`.

    Attributes
    ----------
    chosen : array (m, n) of bool
        Whether a token goes to an expert; any number of experts per token.
    bias : array (n,)
        Minus the threshold of every expert: ``scores + bias > 0`` where chosen, up to ties. In the dtype of the scores,
        float32 for 16-bit scores.
    loads : array (n,) of int64
        Tokens of every expert.
    score : float
        Sum of the chosen scores.
    load : array (2, n) of int64
        The smallest and the largest load allowed.
    certificate : Certificate
        Of the score given up against the best choice of as many entries without any limits.
    """

    problem: ClassVar[str] = "balance.threshold_routing"
    inputs: ClassVar[tuple[str, ...]] = ("scores",)
    chosen: Array
    bias: Array
    loads: Array
    score: float
    load: Array

    def recheck(self, scores: Array) -> Certificate:
        """Derive the certificate of a routing from the scores, the answer and the witness thresholds alone."""
        xp = namespace(scores=as_matrix(scores, "scores"), chosen=self.chosen)
        values, chosen = host(scores, "scores"), to_numpy(self.chosen)
        if chosen.shape != values.shape or chosen.dtype != np.bool_:
            raise VerificationError(f"chosen must be booleans of shape {values.shape}")
        within = Limits(*to_numpy(self.load))
        if not np.array_equal(chosen.sum(axis=0), to_numpy(self.loads)) or not within.admit(chosen.sum(axis=0)):
            raise VerificationError("loads must be those of chosen, within their limits")
        witness = self.certificate.witness
        thresholds, level = np.asarray(to_numpy(witness["thresholds"]), dtype=float), float(witness["level"])
        if thresholds.shape != (values.shape[1],) or not np.isfinite(thresholds).all() or not math.isfinite(level):
            raise VerificationError("the thresholds of the witness must be finite, one for every expert")
        if not bool(xp.all(xp.astype(like_array(-thresholds, self.bias), self.bias.dtype) == self.bias)):
            raise VerificationError("bias must be minus the thresholds of the witness, rounded")
        certificate, score = certify(values, chosen, within, thresholds, level)
        if score != self.score:
            raise VerificationError(f"score must be {score!r}, got {self.score!r}")
        return certificate

    def plot(self, ax: Any = None) -> Any:
        """Draw how many experts the tokens take."""
        ax = axes(ax)
        counts = np.bincount(to_numpy(self.chosen).sum(axis=1), minlength=2)
        ax.bar(np.arange(counts.size), counts)
        whole_numbers(ax.xaxis)
        mean = float(to_numpy(self.chosen).sum(axis=1).mean())
        ax.set(xlabel="experts of a token", ylabel="tokens", title=f"{mean:.3g} experts per token on average")
        return ax


def threshold_routing(scores: Array, k: float, *, load: Any = None) -> ThresholdRouting:
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
    .. [1] Su Jianlin, Scientific Spaces 10815 and 11626, https://kexue.fm/archives/10815,
       https://kexue.fm/archives/11626.

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
    values = host(scores, "scores")
    tokens, experts = values.shape
    if isinstance(k, bool) or not isinstance(k, numbers.Real) or not 0.0 < float(k) <= experts:
        raise OptionError(f"k must be a number above 0 and at most the number of experts, {experts}, got {k!r}")
    total = round(tokens * float(k))
    within = limits(values.shape, total, load)
    order = np.argsort(-values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, axis=0)
    counts = within.low + _extra(ranked, within, total - int(within.low.sum()))
    chosen = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(chosen, order, np.arange(tokens)[:, None] < counts, axis=0)
    thresholds, level = _thresholds(ranked, counts, within)
    certificate, score = certify(values, chosen, within, thresholds, level)
    xp = namespace(scores=scores)
    return ThresholdRouting(
        chosen=like_array(chosen, scores),
        bias=xp.astype(like_array(-thresholds, scores), float_type(scores)),
        loads=like_array(counts, scores),
        score=score,
        load=like_array(np.stack([within.low, within.high]), scores),
        certificate=certificate,
    )


def _extra(ranked: np.ndarray, within: Limits, rest: int) -> np.ndarray:
    """Share out what is left above the smallest loads: to the best entries, expert by expert in order."""
    place = np.arange(ranked.shape[0])[:, None]
    rank, expert = np.nonzero((place >= within.low) & (place < within.high))  # by rank: ties go to the earlier one
    best = np.argsort(-ranked[rank, expert], kind="stable")[:rest]
    return np.bincount(expert[best], minlength=ranked.shape[1])


def _thresholds(ranked: np.ndarray, counts: np.ndarray, within: Limits) -> tuple[np.ndarray, float]:
    """Return a threshold for every expert between its last token and the next, on the right side of a common level."""
    spread = float(ranked.max() - ranked.min()) or 1.0
    fence = np.concatenate([ranked[:1] + spread, ranked, ranked[-1:] - spread])
    expert = np.arange(counts.size)
    above, below = fence[counts, expert], fence[counts + 1, expert]
    grown, may_grow = counts > within.low, counts < within.high
    last = float(above[grown].min()) if grown.any() else float(ranked.max() + spread)
    best = float(below[may_grow].max()) if may_grow.any() else float(ranked.min() - spread)
    level = (last + best) / 2.0
    below = np.where(grown, np.maximum(below, level), below)
    above = np.where(may_grow, np.minimum(above, level), above)
    return (above + below) / 2.0, level


def certify(
    scores: np.ndarray, chosen: np.ndarray, within: Limits, thresholds: np.ndarray, level: float
) -> tuple[Certificate, float]:
    """Return the certificate of a routing, and its score."""
    total = int(chosen.sum())
    free, score = best_entries(scores, total), exact_sum(scores[chosen])
    bound = threshold_dual(scores, total, within, thresholds, level)
    value, least = outward(free - score, max(free - bound, free - free))
    witness = {"thresholds": thresholds, "level": level}
    return Certificate(value, least, "assignment_dual", "exact", witness=witness), float(score)
