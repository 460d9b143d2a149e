"""PyTorch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infimum._arguments import optional
from infimum._lazy import attach

if TYPE_CHECKING:
    from infimum.nn.activation import MinimaxActivation
    from infimum.nn.converted_gates import convert_router
    from infimum.nn.linear import LowRankLinear, PivotLinear, QuantizedLinear, QuantizedLowRankLinear
    from infimum.nn.losses import balance_loss, z_loss
    from infimum.nn.moe import MoE
    from infimum.nn.nystrom_attention import NystromAttention, iterated_pinv
    from infimum.nn.packed import QuantizedEmbedding
    from infimum.nn.product_embedding import ProductEmbedding
    from infimum.nn.product_vq import BalancedProductVQ
    from infimum.nn.router import BalancedRouter, Routing
    from infimum.nn.vq import BalancedVQ, Quantized

optional("torch", "torch")

__all__ = [
    "BalancedProductVQ",
    "BalancedRouter",
    "BalancedVQ",
    "LowRankLinear",
    "MinimaxActivation",
    "MoE",
    "NystromAttention",
    "PivotLinear",
    "ProductEmbedding",
    "Quantized",
    "QuantizedEmbedding",
    "QuantizedLinear",
    "QuantizedLowRankLinear",
    "Routing",
    "balance_loss",
    "convert_router",
    "iterated_pinv",
    "z_loss",
]

_HOMES = {
    "BalancedProductVQ": "infimum.nn.product_vq",
    "BalancedRouter": "infimum.nn.router",
    "BalancedVQ": "infimum.nn.vq",
    "LowRankLinear": "infimum.nn.linear",
    "MinimaxActivation": "infimum.nn.activation",
    "MoE": "infimum.nn.moe",
    "NystromAttention": "infimum.nn.nystrom_attention",
    "PivotLinear": "infimum.nn.linear",
    "ProductEmbedding": "infimum.nn.product_embedding",
    "Quantized": "infimum.nn.vq",
    "QuantizedEmbedding": "infimum.nn.packed",
    "QuantizedLinear": "infimum.nn.linear",
    "QuantizedLowRankLinear": "infimum.nn.linear",
    "Routing": "infimum.nn.router",
    "balance_loss": "infimum.nn.losses",
    "convert_router": "infimum.nn.converted_gates",
    "iterated_pinv": "infimum.nn.nystrom_attention",
    "z_loss": "infimum.nn.losses",
}
if not TYPE_CHECKING:  # a type checker would take any name for one that may load
    __getattr__, __dir__ = attach(__name__, _HOMES)  # so that a layer loads no room that it does not ask
