"""PyTorch modules."""

from infimum._arguments import optional

optional("torch", "torch")

from infimum.nn.activation import MinimaxActivation  # noqa: E402  (after the check for torch)
from infimum.nn.linear import LowRankLinear, PivotLinear  # noqa: E402
from infimum.nn.moe import MoE  # noqa: E402
from infimum.nn.nystrom_attention import NystromAttention, iterated_pinv  # noqa: E402
from infimum.nn.product_embedding import ProductEmbedding  # noqa: E402
from infimum.nn.router import BalancedRouter, Routing  # noqa: E402
from infimum.nn.vq import BalancedVQ, Quantized  # noqa: E402

__all__ = [
    "BalancedRouter",
    "BalancedVQ",
    "LowRankLinear",
    "MinimaxActivation",
    "MoE",
    "NystromAttention",
    "PivotLinear",
    "ProductEmbedding",
    "Quantized",
    "Routing",
    "iterated_pinv",
]


def __dir__() -> list[str]:
    return __all__
