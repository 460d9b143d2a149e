"""Threshold routing: the answer, the score that it gives up, and the proof."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import Array, as_matrix, like_array, namespace, to_numpy
from infimum.errors import VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.real_arrays import host
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
        certificate, score = certify_thresholds(values, chosen, within, thresholds, level)
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


def certify_thresholds(
    scores: np.ndarray, chosen: np.ndarray, within: Limits, thresholds: np.ndarray, level: float
) -> tuple[Certificate, float]:
    """Return the certificate of a routing, and its score."""
    total = int(chosen.sum())
    free, score = best_entries(scores, total), exact_sum(scores[chosen])
    bound = threshold_dual(scores, total, within, thresholds, level)
    value, least = outward(free - score, max(free - bound, free - free))
    witness = {"thresholds": thresholds, "level": level}
    return Certificate(value, least, "assignment_dual", "exact", witness=witness), float(score)
