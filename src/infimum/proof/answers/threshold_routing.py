"""Threshold routing: the answer, the score that it gives up, and the proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import Array, to_numpy
from infimum.errors import VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import array, number
from infimum.proof.real_arrays import float64_matrix
from infimum.proof.result import Result
from infimum.proof.routing_evidence import limits_of, part, require_loads, require_rounded
from infimum.proof.theorems.assignment_dual import THEOREM, Limits, best_entries, exact_sum, outward, threshold_dual


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
        values = float64_matrix(scores, "scores")
        tokens, experts = values.shape
        chosen = np.asarray(to_numpy(array("chosen", self.chosen, values.shape, "bool")))
        within = limits_of(values.shape, self.load)
        require_loads(chosen.sum(axis=0), self.loads, within, tokens)
        witness = self.certificate.witness
        thresholds, level = part(witness, "thresholds", (experts,)), number("level", witness.get("level"))
        require_rounded("bias", self.bias, -thresholds)
        certificate, score = certify_thresholds(values, chosen, within, thresholds, level)
        if number("score", self.score) != score:
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
    return Certificate(value, least, THEOREM, "exact", witness=witness), float(score)
