"""PyTorch modules."""

from infimum._arguments import optional

optional("torch", "torch")

from infimum.nn.linear import LowRankLinear, PivotLinear  # noqa: E402  (after the check for torch)

__all__ = ["LowRankLinear", "PivotLinear"]
