"""Balanced routing of tokens to experts: optimal assignments with a proof, rules for training, measures of balance."""

from infimum.balance.assignment import linear_assignment
from infimum.balance.codebook import balanced_codebook
from infimum.balance.comparison import RuleComparison, RuleOutcome, compare_rules
from infimum.balance.initialization import initial_threshold_bias, shared_expert_scale
from infimum.balance.losses import aux_loss
from infimum.balance.metrics import (
    BiasPrecision,
    NoiseFloor,
    bias_precision,
    dead_experts,
    load_entropy,
    max_violation,
    sampling_noise,
)
from infimum.balance.routing import RoutingCertificate, balanced_topk, routing_certificate
from infimum.balance.rules import update_bias
from infimum.balance.threshold import threshold_routing
from infimum.proof.answers.balanced_codebook import BalancedCodebook
from infimum.proof.answers.balanced_topk import BalancedAssignment
from infimum.proof.answers.linear_assignment import LinearAssignment
from infimum.proof.answers.threshold_routing import ThresholdRouting

__all__ = [
    "BalancedAssignment",
    "BalancedCodebook",
    "BiasPrecision",
    "LinearAssignment",
    "NoiseFloor",
    "RoutingCertificate",
    "RuleComparison",
    "RuleOutcome",
    "ThresholdRouting",
    "aux_loss",
    "balanced_codebook",
    "balanced_topk",
    "bias_precision",
    "compare_rules",
    "dead_experts",
    "initial_threshold_bias",
    "linear_assignment",
    "load_entropy",
    "max_violation",
    "routing_certificate",
    "sampling_noise",
    "shared_expert_scale",
    "threshold_routing",
    "update_bias",
]


def __dir__() -> list[str]:
    return __all__
