"""Product quantisation with balanced codes: a codebook for each part of the features."""

from __future__ import annotations

from typing import Any

import torch

from infimum._arguments import whole_number
from infimum.errors import OptionError
from infimum.nn.vq import BalancedVQ, Quantized


class BalancedProductVQ(torch.nn.Module):
    """Several codebooks, each for a part of the features: a vector becomes as many codes.

    Parameters
    ----------
    dim, n_codes : int
        Length of a vector, a multiple of `heads`, and number of codes of each part.
    heads : int
        Number of parts, of ``dim / heads`` features each.
    **options
        Of `BalancedVQ`.

    Attributes
    ----------
    parts : torch.nn.ModuleList
        A `BalancedVQ` for each part, with its certificate.

    Raises
    ------
    OptionError, ShapeError
        `heads` does not divide `dim`; as `BalancedVQ`.

    References
    ----------
    .. [1] H. Jégou, M. Douze, C. Schmid, "Product quantization for nearest neighbor search", IEEE Trans. Pattern Anal.
       Mach. Intell. 33 (2011), 117-128.

    Examples
    --------
    >>> import torch
    >>> from infimum import nn
    >>> found = nn.BalancedProductVQ(6, n_codes=8, heads=3)(torch.randn(2, 16, 6))
    >>> found.vectors.shape, found.codes.shape
    (torch.Size([2, 16, 6]), torch.Size([2, 16, 3]))
    """

    def __init__(self, dim: int, n_codes: int, heads: int, **options: Any) -> None:
        super().__init__()
        if whole_number("dim", dim, 1) % whole_number("heads", heads, 1):
            raise OptionError(f"heads must divide dim = {dim}, got {heads}")
        self.parts = torch.nn.ModuleList([BalancedVQ(dim // heads, n_codes, **options) for _ in range(heads)])

    def forward(self, z: torch.Tensor, padding_mask: torch.Tensor | None = None) -> Quantized:
        """Quantise vectors (..., dim); codes are (..., heads), the loss is the mean of those of the parts."""
        parts = z.tensor_split(len(self.parts), dim=-1)
        found = [vq(part, padding_mask) for vq, part in zip(self.parts, parts, strict=True)]
        vectors, codes, losses = zip(*found, strict=True)
        return Quantized(torch.cat(vectors, dim=-1), torch.stack(codes, dim=-1), torch.stack(losses).mean())
