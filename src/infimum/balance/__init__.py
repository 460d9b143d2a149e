"""Balanced routing of tokens to experts: how the bias is updated in training, and how even the loads are."""

from infimum.balance.metrics import (
    BiasPrecision,
    NoiseFloor,
    bias_precision,
    dead_experts,
    load_entropy,
    max_violation,
    sampling_noise,
)
from infimum.balance.rules import aux_loss, initial_threshold_bias, shared_expert_scale, update_bias

__all__ = [
    "BiasPrecision",
    "NoiseFloor",
    "aux_loss",
    "bias_precision",
    "dead_experts",
    "initial_threshold_bias",
    "load_entropy",
    "max_violation",
    "sampling_noise",
    "shared_expert_scale",
    "update_bias",
]
