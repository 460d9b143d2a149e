"""Vector quantisation whose codes are all used: the assignment of a batch is balanced, and optimal."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch.nn import functional

from infimum._arguments import one_of, whole_number
from infimum._display import facts_of, notebook, words
from infimum.balance import balanced_topk
from infimum.errors import NonFiniteError, OptionError, ShapeError
from infimum.nn.float32 import Float32Buffers
from infimum.proof.certificate import Certificate

Gradient: TypeAlias = Literal["ste", "rotation"]  # straight through, or turned with the point


class Quantized(NamedTuple):
    """What `BalancedVQ` returns.

    Attributes
    ----------
    vectors : tensor (..., dim)
        The codes' vectors, with a gradient for the input.
    codes : tensor (...)
        Indices of the codes, int64.
    loss : tensor ()
        ``codebook_weight * mean (q - sg z)^2 + commitment * mean (sg q - z)^2``; add it to the loss of the model.
    """

    vectors: torch.Tensor
    codes: torch.Tensor
    loss: torch.Tensor

    def __repr__(self) -> str:
        return words(self, facts_of(self))

    def _repr_html_(self) -> str:
        return notebook(self, facts_of(self))


class BalancedVQ(Float32Buffers):
    """Replace vectors by codes, in training with equal use of all codes, so that no code dies.

    In training the codes of a batch are the optimum of a transport problem: the least sum of squared distances when
    every code is used equally often (`infimum.balance.balanced_topk` with k = 1; its certificate is kept). What comes
    with it is one bias for each code, the Kantorovich potential; its moving average decides in evaluation, where a
    vector gets the code with the smallest ``squared distance - bias``.

    Parameters
    ----------
    dim, n_codes : int
        Length of a vector and number of codes.
    slack : float
        From 0 up: loads may be anything between (1 - slack) and (1 + slack) times the mean.
    commitment, codebook_weight : float
        Weights of the two losses.
    gradient : {"ste", "rotation"}
        How the gradient passes: as if nothing had happened (straight-through), or turned and scaled by the map that
        takes the input to its code (rotation trick).
    simvq : bool
        Keep random codes fixed and learn one linear map of them instead, so that all codes move together.
    decay : float
        Weight of the old bias in the moving average, from 0 up to 1.
    dtype, device
        Of the codes.

    Attributes
    ----------
    certificate : Certificate or None
        Of the last batch in training: squared distance above that of the nearest codes, and how much of it no balanced
        assignment could have avoided.

    Raises
    ------
    OptionError, DTypeError, ShapeError, NonFiniteError
        Bad numbers; an input without `dim` features, or, in training, with NaN.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10489 and 10519 (rotation trick and SimVQ), 10757 (balance against collapse).
    .. [2] Fifty et al., "Restructuring vector quantization with the rotation trick", arXiv:2410.06424.
    .. [3] Zhu et al., "Addressing representation collapse in vector quantized models with one linear layer",
       arXiv:2411.02038.

    Examples
    --------
    >>> import torch
    >>> from infimum import nn
    >>> layer = nn.BalancedVQ(4, n_codes=8)
    >>> found = layer(torch.randn(64, 4))
    >>> found.codes.bincount().tolist()
    [8, 8, 8, 8, 8, 8, 8, 8]
    """

    code_bias: torch.Tensor
    float32_buffers = ("code_bias",)

    def __init__(
        self,
        dim: int,
        n_codes: int,
        *,
        slack: float = 0.0,
        commitment: float = 0.25,
        codebook_weight: float = 1.0,
        gradient: Gradient = "ste",
        simvq: bool = False,
        decay: float = 0.9,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        one_of("gradient", gradient, get_args(Gradient))
        if not 0.0 <= slack < float("inf") or not 0.0 <= decay < 1.0:
            raise OptionError(f"slack must be at least 0 and decay from 0 up to 1, got slack={slack}, decay={decay}")
        self.dim, self.n_codes = whole_number("dim", dim, 1), whole_number("n_codes", n_codes, 1)
        self.slack, self.decay, self.gradient = slack, decay, gradient
        self.commitment, self.codebook_weight = commitment, codebook_weight
        self.codebook = torch.nn.Parameter(
            torch.empty(n_codes, dim, dtype=dtype, device=device), requires_grad=not simvq
        )
        self.turn = torch.nn.Linear(dim, dim, bias=False, dtype=dtype, device=device) if simvq else None
        self.register_buffer("code_bias", torch.zeros(n_codes, dtype=torch.float32, device=device))
        self.certificate: Certificate | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw codes of about unit length; the linear map of simvq starts as the identity."""
        torch.nn.init.normal_(self.codebook, std=self.dim**-0.5)
        self.code_bias.zero_()
        if self.turn is not None:
            torch.nn.init.eye_(self.turn.weight)

    @property
    def codes(self) -> torch.Tensor:
        """The vectors of the codes, (n_codes, dim)."""
        return self.codebook if self.turn is None else functional.linear(self.codebook, self.turn.weight)

    def forward(self, z: torch.Tensor) -> Quantized:
        """Quantise vectors (..., dim)."""
        if z.shape[-1] != self.dim:
            raise ShapeError(f"z must have {self.dim} features in its last axis, got shape {tuple(z.shape)}")
        flat, codes = z.reshape(-1, self.dim), self.codes
        with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
            scores = -_squared_distances(flat.detach(), codes.detach())
            index = self._assign(scores) if self.training and len(flat) else (scores + self.code_bias).argmax(-1)
        chosen = codes[index].to(z.dtype)
        loss = self.codebook_weight * functional.mse_loss(chosen, flat.detach())
        loss = loss + self.commitment * functional.mse_loss(flat, chosen.detach())
        moved = _rotated(flat, chosen) if self.gradient == "rotation" else flat
        passed = chosen.detach() + (moved - moved.detach())  # exactly the code in value
        return Quantized(passed.reshape(z.shape), index.reshape(z.shape[:-1]), loss)

    def _assign(self, scores: torch.Tensor) -> torch.Tensor:
        if not bool(torch.isfinite(scores).all()):
            raise NonFiniteError("z and the codes must be finite in training, but a distance is NaN or infinite")
        mean = scores.shape[0] / self.n_codes
        low, high = max(0.0, 1.0 - self.slack) * mean, (1.0 + self.slack) * mean
        load = (math.floor(low), math.ceil(high)) if self.slack else None
        answer = balanced_topk(scores, 1, load=load, bias=self.code_bias)
        self.certificate = answer.certificate
        index: torch.Tensor = answer.experts[:, 0]
        self.code_bias.lerp_(answer.bias.float() - answer.bias.float().mean(), 1.0 - self.decay)
        return index

    def extra_repr(self) -> str:
        """Describe the layer inside its parent's repr."""
        return f"{self.dim}, {self.n_codes} codes, gradient={self.gradient!r}"


def _squared_distances(z: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    precise = torch.promote_types(torch.promote_types(z.dtype, codes.dtype), torch.float32)
    return torch.cdist(z.to(precise), codes.to(precise)).square()


def _rotated(z: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Map z to q by a rotation and a scaling that count as constants: R = I + 2 q~ z~' - 2 u u', u ~ q~ + z~."""
    with torch.no_grad():
        tiny = torch.finfo(z.dtype).tiny
        size_z, size_q = (v.norm(dim=-1, keepdim=True) for v in (z, q))
        unit_z, unit_q = z / size_z.clamp_min(tiny), q / size_q.clamp_min(tiny)
        middle = functional.normalize(unit_z + unit_q, dim=-1)
        scale = size_q / size_z.clamp_min(tiny)

    def along(direction: torch.Tensor) -> torch.Tensor:
        return (direction * z).sum(-1, keepdim=True)

    turned: torch.Tensor = scale * (z + 2.0 * unit_q * along(unit_z) - 2.0 * middle * along(middle))
    return turned
