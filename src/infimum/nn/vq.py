"""Vector quantisation whose codes are all used: the assignment of a batch is balanced, and optimal."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import distributed
from torch.nn import functional

from infimum._arguments import one_of, whole_number
from infimum._display import facts_of, notebook, words
from infimum.balance import balanced_codebook, balanced_topk
from infimum.errors import NonFiniteError, OptionError, ShapeError
from infimum.nn.float32 import Float32Buffers
from infimum.proof.certificate import Certificate

Gradient: TypeAlias = Literal["ste", "rotation"]  # straight through, or turned with the point
Metric: TypeAlias = Literal["euclidean", "cosine"]
Start: TypeAlias = Literal["random", "kmeans"]
ROUNDS = 5  # of k-means


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
    tol : float
        An assignment whose squared distances are at most `tol` times the sum of all nearest ones above the best
        possible is good enough (see `infimum.balance.balanced_topk`); 0: the best one.
    commitment, codebook_weight : float
        Weights of the two losses.
    gradient : {"ste", "rotation"}
        How the gradient passes: as if nothing had happened (straight-through), or turned and scaled by the map that
        takes the input to its code (rotation trick).
    simvq : bool
        Keep random codes fixed and learn one linear map of them instead, so that all codes move together.
    metric : {"euclidean", "cosine"}
        "cosine": vectors and codes are divided by their lengths first, and codes of length 1 are returned.
    start : {"random", "kmeans"}
        "kmeans": the first batch in training, of at least `n_codes` vectors, is clustered into clusters of equal size,
        whose means become the codes. The buffer `started` says that it was done.
    ema : float, optional
        From 0 up to 1: codes have no gradient and follow their vectors, ``ema * code + (1 - ema) * mean``, the mean
        over all processes of torch.distributed where it is initialised; `codebook_weight` means nothing then.
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
    started: torch.Tensor
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
        tol: float = 0.0,
        metric: Metric = "euclidean",
        start: Start = "random",
        ema: float | None = None,
        decay: float = 0.9,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        one_of("gradient", gradient, get_args(Gradient))
        one_of("metric", metric, get_args(Metric))
        one_of("start", start, get_args(Start))
        if not 0.0 <= slack < float("inf") or not 0.0 <= decay < 1.0:
            raise OptionError(f"slack must be at least 0 and decay from 0 up to 1, got slack={slack}, decay={decay}")
        self.dim, self.n_codes = whole_number("dim", dim, 1), whole_number("n_codes", n_codes, 1)
        if not 0.0 <= tol < float("inf"):
            raise OptionError(f"tol must be a number of at least 0, got {tol!r}")
        if ema is not None and (simvq or not 0.0 <= ema < 1.0):
            raise OptionError(f"ema must be from 0 up to 1, and not given with simvq, got {ema!r}")
        self.slack, self.decay, self.gradient, self.tol = slack, decay, gradient, tol
        self.metric, self.start, self.ema = metric, start, ema
        self.commitment, self.codebook_weight = commitment, codebook_weight
        self.codebook = torch.nn.Parameter(
            torch.empty(n_codes, dim, dtype=dtype, device=device), requires_grad=not simvq and ema is None
        )
        self.turn = torch.nn.Linear(dim, dim, bias=False, dtype=dtype, device=device) if simvq else None
        self.register_buffer("code_bias", torch.zeros(n_codes, dtype=torch.float32, device=device))
        if start == "kmeans":
            self.register_buffer("started", torch.zeros((), dtype=torch.bool, device=device))
        self.certificate: Certificate | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw codes of about unit length; the linear map of simvq starts as the identity."""
        torch.nn.init.normal_(self.codebook, std=self.dim**-0.5)
        self.code_bias.zero_()
        if self.start == "kmeans":
            self.started.zero_()
        if self.turn is not None:
            torch.nn.init.eye_(self.turn.weight)

    @property
    def codes(self) -> torch.Tensor:
        """The vectors of the codes, (n_codes, dim)."""
        return self.codebook if self.turn is None else functional.linear(self.codebook, self.turn.weight)

    def forward(self, z: torch.Tensor, padding_mask: torch.Tensor | None = None) -> Quantized:
        """Quantise vectors (..., dim).

        Where `padding_mask` (...) is True vectors get the code that evaluation gives them, and count neither for the
        loads nor for the loss.
        """
        if z.shape[-1] != self.dim:
            raise ShapeError(f"z must have {self.dim} features in its last axis, got shape {tuple(z.shape)}")
        if padding_mask is not None and padding_mask.shape != z.shape[:-1]:
            raise ShapeError(f"padding_mask must have shape {tuple(z.shape[:-1])}, got {tuple(padding_mask.shape)}")
        flat = z.reshape(-1, self.dim)
        if self.metric == "cosine":
            flat = functional.normalize(flat, dim=-1)
        real = None if padding_mask is None else ~padding_mask.reshape(-1).bool()
        index = self._choose(flat.detach(), real)
        chosen = self._vectors()[index].to(z.dtype)
        if self.ema is not None and self.training:
            self._follow(flat.detach(), index, torch.ones_like(index, dtype=torch.bool) if real is None else real)
        loss = self.commitment * _mean_square(flat - chosen.detach(), real)
        if self.ema is None:
            loss = loss + self.codebook_weight * _mean_square(chosen - flat.detach(), real)
        moved = _rotated(flat, chosen) if self.gradient == "rotation" else flat
        passed = chosen.detach() + (moved - moved.detach())  # exactly the code in value
        return Quantized(passed.reshape(z.shape), index.reshape(z.shape[:-1]), loss)

    def _vectors(self) -> torch.Tensor:
        return functional.normalize(self.codes, dim=-1) if self.metric == "cosine" else self.codes

    @torch.no_grad()
    def _choose(self, flat: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
        """Return the code of every vector; in training that moves bias and codes, on the host."""
        with torch.autocast(flat.device.type, enabled=False):
            if not self.training or not len(flat):
                return (self.code_bias - _squared_distances(flat, self._vectors())).argmax(-1)
            if torch.compiler.is_compiling():
                from infimum.nn.uncompiled import uncompiled  # imports the compiler: only when it runs

                index: torch.Tensor = uncompiled(self._learn, flat, real)
                return index
            return self._learn(flat, real)

    def _learn(self, flat: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
        counted = flat if real is None else flat[real]
        if self.start == "kmeans" and not bool(self.started) and len(counted) >= self.n_codes:
            self.codebook.copy_(balanced_codebook(counted.float(), self.n_codes, steps=ROUNDS, rng=0).codes)
            self.started.fill_(True)
        scores = -_squared_distances(flat, self._vectors())
        if real is None:
            return self._assign(scores)
        index = (scores + self.code_bias).argmax(-1)
        return index.masked_scatter(real, self._assign(scores[real])) if len(counted) else index

    @torch.no_grad()
    def _follow(self, flat: torch.Tensor, index: torch.Tensor, real: torch.Tensor) -> None:
        """Move codes towards the means of their vectors; those without any stay."""
        wide = torch.promote_types(flat.dtype, torch.float32)
        counted = functional.pad(flat.to(wide), (0, 1), value=1.0) * real[:, None]
        sums = counted.new_zeros(self.n_codes, self.dim + 1).index_add_(0, index, counted)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(sums)
        count = sums[:, -1:]
        followed = self.codebook.to(wide).lerp(sums[:, :-1] / count.clamp_min(1.0), 1.0 - float(self.ema or 0.0))
        self.codebook.copy_(torch.where(count > 0.0, followed, self.codebook.to(wide)))

    def _assign(self, scores: torch.Tensor) -> torch.Tensor:
        if not (bool(torch.isfinite(scores.sum())) or bool(torch.isfinite(scores).all())):
            raise NonFiniteError("z and the codes must be finite in training, but a distance is NaN or infinite")
        mean = scores.shape[0] / self.n_codes
        low, high = max(0.0, 1.0 - self.slack) * mean, (1.0 + self.slack) * mean
        load = (math.floor(low), math.ceil(high)) if self.slack else None
        answer = balanced_topk(scores, 1, load=load, bias=self.code_bias, tol=self.tol)
        self.certificate = answer.certificate
        index: torch.Tensor = answer.experts[:, 0]
        self.code_bias.lerp_(answer.bias.float() - answer.bias.float().mean(), 1.0 - self.decay)
        return index

    def extra_repr(self) -> str:
        """Describe the layer inside its parent's repr."""
        return f"{self.dim}, {self.n_codes} codes, gradient={self.gradient!r}"


def _mean_square(difference: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """Return the mean over the entries of the rows that are real."""
    if real is None:
        return difference.square().mean()
    return (difference.square() * real[:, None]).sum() / (real.sum() * difference.shape[1]).clamp_min(1)


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
