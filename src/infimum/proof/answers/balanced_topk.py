"""Balanced routing: the answer, the score that it gives up, and the proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import Array, to_numpy
from infimum.errors import VerificationError
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import flag, number
from infimum.proof.real_arrays import float64_matrix
from infimum.proof.result import Result
from infimum.proof.routing_evidence import bias_of, integers, limits_of, require_loads, require_rounded
from infimum.proof.theorems.assignment_dual import THEOREM, Bias, Limits, dual, exact_sum, outward, unbalanced


@dataclass(frozen=True)
class BalancedAssignment(Result):
    """Experts of every token, within the limits of the loads: the answer of `balanced_topk`.

    Attributes
    ----------
    experts : array (m, k) of int64
        Experts of every token, the one with the highest score first.
    bias : array (n,)
        Added to the scores it makes the experts of an optimal assignment the k best ones, up to ties. In the dtype of
        the scores, float32 for 16-bit scores; `certificate.witness` has every digit.
    loads : array (n,) of int64
        Tokens of every expert.
    score : float
        Sum of the scores of the chosen experts.
    load : array (2, n) of int64
        The smallest and the largest load allowed.
    groups, group_load : array (n,), (2, g) of int64, or None
        Group of every expert, and the smallest and the largest joint load allowed.
    optimal : bool
        True when no assignment within the limits has a higher score: score and bound are the same number exactly.
    certificate : Certificate
        `value` is the score given up against unbalanced top-k, `lower_bound` the part of it that no assignment within
        the limits avoids. Both are computed exactly and only then rounded outwards, so an optimum has a gap of 0 or of
        one unit in the last place: `optimal` tells.
    """

    problem: ClassVar[str] = "balance.balanced_topk"
    inputs: ClassVar[tuple[str, ...]] = ("scores",)
    experts: Array
    bias: Array
    loads: Array
    score: float
    load: Array
    optimal: bool
    groups: Array | None = None
    group_load: Array | None = None

    def recheck(self, scores: Array) -> Certificate:
        """Derive the certificate of an assignment from the scores, the answer and the witness bias alone."""
        values = float64_matrix(scores, "scores", besides=-np.inf)
        tokens, width = values.shape
        experts = integers("experts", self.experts, (tokens, None), below=width)
        if np.any(np.diff(np.sort(experts, axis=1), axis=1) == 0):
            raise VerificationError("experts must be distinct within a token")
        chosen = np.take_along_axis(values, experts, axis=1)
        if not np.all(np.isfinite(chosen)):
            raise VerificationError("experts must be admitted: their scores must not be -inf")
        if np.any(np.diff(chosen, axis=1) > 0.0):
            raise VerificationError("experts must be in the order of their scores, the highest first")
        within = limits_of(values.shape, self.load, self.groups, self.group_load)
        loads = np.bincount(experts.ravel(), minlength=width)
        require_loads(loads, self.loads, within, tokens)
        bias = bias_of(self.certificate.witness, within)
        require_rounded("bias", self.bias, bias.high)
        certificate, score, optimal = certify_routing(values, experts, within, bias)
        if number("score", self.score) != score:
            raise VerificationError(f"score must be {score!r}, got {self.score!r}")
        if flag("optimal", self.optimal) != optimal:
            raise VerificationError(f"optimal must be {optimal}, got {self.optimal}")
        return certificate

    def plot(self, ax: Any = None) -> Any:
        """Draw the loads with their limits, and the bias of every expert."""
        ax = axes(ax)
        loads, bias = to_numpy(self.loads), to_numpy(self.bias).astype(float)
        low, high = to_numpy(self.load)
        index = np.arange(loads.size)
        ax.bar(index, loads, color="C0", alpha=0.6, label="load")
        ax.vlines(index, low, high, color="C1", lw=2, label="limits")
        ax.plot(index, high, "_", color="C1", ms=6)
        ax.plot(index, low, "_", color="C1", ms=6)
        whole_numbers(ax.xaxis)
        certificate = self.certificate
        ax.set(
            xlabel="expert",
            ylabel="tokens",
            ylim=(0.0, 1.3 * max(1, loads.max())),  # room for the legend
            title=wording.error_and_floor(certificate, "score given up", "of which unavoidable"),
        )
        other = ax.twinx()
        other.plot(index, bias, ".", color="C2", label="bias (right)")
        other.set_ylabel("bias")
        other.grid(False)
        handles = [*ax.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
        other.legend(handles=handles, loc="upper center", ncols=3)
        return ax


def certify_routing(
    scores: np.ndarray, experts: np.ndarray, within: Limits, bias: Bias
) -> tuple[Certificate, float, bool]:
    """Return the certificate of an assignment, its score, and whether it is an optimum."""
    k = experts.shape[1]
    found, free = dual(scores, k, within, bias), unbalanced(scores, k)
    score = exact_sum(np.take_along_axis(scores, experts, axis=1))
    value, bound = outward(free - score, max(free - found.bound, free - free))
    witness = {"bias": bias.parts}
    if bias.groups is not None:
        witness["group_bias"] = bias.groups
    # a bound below 0 is no news: without limits nothing is given up
    optimal = score in (found.bound, free)
    return Certificate(value, bound, THEOREM, "exact", witness=witness), float(score), optimal
