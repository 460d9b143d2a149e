"""Attention through landmarks: three thin softmaxes and an iterated pseudo-inverse instead of one n x n softmax."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from infimum.errors import OptionError, ShapeError


def iterated_pinv(A: torch.Tensor, steps: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Pseudo-inverses of a batch of square matrices by a Newton-Schulz iteration of third order.

    Products only, so it suits a batch on an accelerator. Where the returned residual r is below 1 the matrix is proved
    to be invertible, and ``norm(X - inv(A)) <= norm(X) * r / (1 - r)`` in the same norm.

    Parameters
    ----------
    A : tensor (..., n, n)
        Real, floating.
    steps : int
        Iterations; the residual is about cubed by each once it is small.

    Returns
    -------
    X, residual : tensor (..., n, n), tensor (...)
        Approximate inverses, and ``norm(A @ X - I)`` (Frobenius) as computed.

    References
    ----------
    .. [1] M. K. Razavi et al., "A new iterative method for finding approximate inverses of complex matrices",
       Abstract and Applied Analysis (2014).
    .. [2] Su Jianlin, Scientific Spaces 8180 (Nyström attention), https://kexue.fm/archives/8180.
    """
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise ShapeError(f"A must be a batch of square matrices, got shape {tuple(A.shape)}")
    sizes = A.abs()
    # the start A' / (norm(A, 1) norm(A, inf)) has its eigenvalues in (0, 1] when A is invertible
    X = A.mT / (sizes.sum(-1).amax(-1) * sizes.sum(-2).amax(-1)).clamp(min=torch.finfo(A.dtype).tiny)[..., None, None]
    eye = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    for _ in range(steps):
        AX = A @ X
        X = 0.25 * X @ (13.0 * eye - AX @ (15.0 * eye - AX @ (7.0 * eye - AX)))
    return X, torch.linalg.matrix_norm(A @ X - eye)


class NystromAttention(torch.nn.Module):
    """Attention with a Nystrom approximation of the softmax matrix (post 8180): linear in the length of the sequence.

    Queries and keys are averaged over `landmarks` segments; with the means Q~ and K~ the output is
    ``softmax(Q K~') pinv(softmax(Q~ K~')) softmax(Q~ K') V``. A drop-in for ``scaled_dot_product_attention`` without a
    causal mask. With at least as many landmarks as positions it is exact.

    Parameters
    ----------
    landmarks : int
        Number of segments.
    steps : int
        Iterations of `iterated_pinv`.

    References
    ----------
    .. [1] Y. Xiong et al., "Nystromformer: a Nystrom-based algorithm for approximating self-attention", AAAI (2021).
    .. [2] Su Jianlin, Scientific Spaces 8180 (Nyström attention), https://kexue.fm/archives/8180.
    """

    def __init__(self, landmarks: int = 64, steps: int = 6) -> None:
        super().__init__()
        if landmarks < 1 or steps < 1:
            raise OptionError(f"landmarks and steps must be at least 1, got {landmarks} and {steps}")
        self.landmarks, self.steps = landmarks, steps

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Attend.

        Parameters
        ----------
        query, key, value : tensor (..., n, d)
            As in ``torch.nn.functional.scaled_dot_product_attention``; equal lengths n.
        mask : tensor (..., n) of bool, optional
            True where a position is real, False where it is padding. Padding is neither attended to nor averaged.

        Returns
        -------
        tensor (..., n, d)
            Zero at positions that are padding.
        """
        if query.shape[-2] != key.shape[-2] or key.shape[-2] != value.shape[-2]:
            lengths = query.shape[-2], key.shape[-2], value.shape[-2]
            raise ShapeError(f"query, key and value must have equal lengths, got {lengths}")
        if mask is not None and mask.shape[-1] != key.shape[-2]:
            raise ShapeError(f"mask must have the length {key.shape[-2]}, got shape {tuple(mask.shape)}")
        n = key.shape[-2]
        if n <= self.landmarks:
            allowed = None if mask is None else mask[..., None, :]
            return _zero_padding(functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed), mask)
        scale = 1.0 / math.sqrt(query.shape[-1])
        weights, empty = self._segments(n, mask, query)
        queries, keys = weights @ query, weights @ key
        hidden = None if mask is None else ~mask[..., None, :]
        middle = _softmax(scale * queries @ keys.mT, empty[..., None, :])
        # an empty segment, of padding only, stands for itself, so that the middle matrix stays invertible
        identity = torch.eye(self.landmarks, dtype=middle.dtype, device=middle.device)
        middle = torch.where(empty[..., :, None], identity, middle)
        inverse, _ = iterated_pinv(middle, self.steps)
        left = _softmax(scale * query @ keys.mT, empty[..., None, :])
        right = _softmax(scale * queries @ key.mT, hidden)
        return _zero_padding(left @ (inverse @ (right @ value)), mask)

    def _segments(self, n: int, mask: torch.Tensor | None, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the (..., landmarks, n) matrix that averages segments of real positions, and which are empty."""
        real = torch.ones(n, dtype=torch.bool, device=like.device) if mask is None else mask
        # real positions are spread evenly over the segments, however much padding there is
        place = real.cumsum(-1) - 1
        count = real.sum(-1, keepdim=True).clamp(min=1)
        segment = torch.div(place * self.landmarks, count, rounding_mode="floor")
        members = segment[..., None, :] == torch.arange(self.landmarks, device=like.device)[:, None]
        weights = (members & real[..., None, :]).to(like.dtype)
        sizes = weights.sum(-1, keepdim=True)
        return weights / sizes.clamp(min=1.0), sizes[..., 0] == 0.0

    def extra_repr(self) -> str:
        """Describe the module inside its parent's repr."""
        return f"landmarks={self.landmarks}, steps={self.steps}"


def _softmax(scores: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor:
    if hidden is not None:
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
    return scores.softmax(-1)


def _zero_padding(output: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return output if mask is None else output.masked_fill(~mask[..., None], 0.0)
