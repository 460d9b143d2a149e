"""A router for mixtures of experts whose balance is kept by a bias instead of a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Self, TypeAlias, get_args

import torch
from torch.nn import functional

from infimum._arguments import one_of, whole_number
from infimum._display import facts_of, notebook, words
from infimum.balance import initial_threshold_bias
from infimum.balance.initialization import Score
from infimum.errors import OptionError, ShapeError
from infimum.nn.counting import count, moved_tally
from infimum.nn.float32 import Float32Buffers

Mode: TypeAlias = Literal["topk", "threshold"]
Activation: TypeAlias = Score | Callable[[torch.Tensor], torch.Tensor]

# layout: name of the weight, name of the bias, sign of the bias there
LAYOUTS: dict[str, tuple[str, str, float]] = {
    "infimum": ("weight", "expert_bias", 1.0),
    "deepseek": ("weight", "e_score_correction_bias", 1.0),
    "megatron": ("weight", "expert_bias", 1.0),
    "megatron-quantile": ("weight", "qb_beta", -1.0),
    "torchtitan": ("router.gate.weight", "expert_bias_E", 1.0),
    "torchtitan-2025": ("router.gate.weight", "expert_bias", 1.0),
}


class Routing(NamedTuple):
    """Where the tokens go. In threshold mode the last axis lists all n experts, otherwise the k chosen ones.

    Attributes
    ----------
    weights : tensor (..., k)
        Gates, in the dtype of the input; 0 where not active. Gradients flow through them and never through the bias.
    experts : tensor (..., k)
        Experts of each token, int64.
    active : tensor (..., k)
        Whether the expert is to be used: False for padding, and below the threshold.
    scores : tensor (..., n)
        Scores before the bias, at least float32, with gradient: for an auxiliary loss or a certificate.
    logits : tensor (..., n)
        What the scores are of, at least float32, with gradient.
    """

    weights: torch.Tensor
    experts: torch.Tensor
    active: torch.Tensor
    scores: torch.Tensor
    logits: torch.Tensor

    def __repr__(self) -> str:
        return words(self, facts_of(self))

    def _repr_html_(self) -> str:
        return notebook(self, facts_of(self))


class BalancedRouter(Float32Buffers):
    """Send each token to the k experts with the largest ``score + expert_bias``; the bias never enters the gate.

    The module only routes and counts. `infimum.optim.BalanceController` updates `expert_bias` after each step of the
    optimizer, or `infimum.balance.update_bias` does with your own loop.

    - Logits, scores and bias are float32 at least, also under autocast; the bias stays float32 in ``.to(bfloat16)``.
    - Tokens are counted in the backward pass, in int64: once for each training step through the layer, whether it is
      recomputed by activation checkpointing or not, and never in evaluation. Tokens with logits that are not finite
      are not counted, and nothing is under torch.func.
    - The counts are neither parameters nor buffers, so that DistributedDataParallel does not overwrite them.

    Parameters
    ----------
    dim, n_experts, k : int
        Features of a token, number of experts n, experts per token (in threshold mode the wanted mean).
    score : {"sigmoid", "softmax"} or callable
        Activation of the logits for the selection. Rates such as 1e-3 belong to "sigmoid".
    gate : {"sigmoid", "softmax"} or callable, optional
        Activation for the gate, any monotone non-negative function of the logits; default: that of the score.
    normalize : bool
        Divide the gates of a token by their sum.
    scale : float
        Factor of the gates; see `infimum.balance.shared_expert_scale`.
    n_groups, top_groups : int
        Only the experts of the best `top_groups` of `n_groups` groups are admitted (groups are consecutive experts).
    group_score : int
        A group is worth the sum of its so many best biased scores: 2 in DeepSeek-V3, 1 in DeepSeek-V2.
    mode : {"topk", "threshold"}
        "threshold" takes the experts with ``score + expert_bias > 0``, as many as there are.
    dtype, device
        Of the weight.

    Raises
    ------
    OptionError, DTypeError, ShapeError
        Numbers that do not fit together, or an input without `dim` features.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10757 and 10815.
    .. [2] DeepSeek-AI, "DeepSeek-V3 technical report", arXiv:2412.19437.

    Examples
    --------
    >>> import torch
    >>> from infimum import nn
    >>> router = nn.BalancedRouter(16, 8, 2)
    >>> routing = router(torch.randn(5, 16))
    >>> routing.experts.shape, routing.weights.sum(-1).round(decimals=3).tolist()
    (torch.Size([5, 2]), [1.0, 1.0, 1.0, 1.0, 1.0])
    >>> routing.weights.square().sum().backward()
    >>> int(router.tokens_per_expert.sum())
    10
    """

    expert_bias: torch.Tensor
    float32_buffers = ("expert_bias",)  # a 16-bit bias would lose its steps

    def __init__(
        self,
        dim: int,
        n_experts: int,
        k: int,
        *,
        score: Activation = "sigmoid",
        gate: Activation | None = None,
        normalize: bool = True,
        scale: float = 1.0,
        n_groups: int = 1,
        top_groups: int | None = None,
        group_score: int = 2,
        mode: Mode = "topk",
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.dim, self.n_experts = whole_number("dim", dim, 1), whole_number("n_experts", n_experts, 1)
        self.k = whole_number("k", k, 1)
        self.score, self.gate = _activation("score", score), None if gate is None else _activation("gate", gate)
        self.normalize, self.scale, self.mode = normalize, float(scale), mode
        self.n_groups = whole_number("n_groups", n_groups, 1)
        self.top_groups = self.n_groups if top_groups is None else whole_number("top_groups", top_groups, 1)
        self.group_score = whole_number("group_score", group_score, 1)
        one_of("mode", mode, get_args(Mode))
        self._check_sizes()
        self.weight = torch.nn.Parameter(torch.empty(n_experts, dim, dtype=dtype, device=device))
        self.register_buffer("expert_bias", torch.zeros(n_experts, dtype=torch.float32, device=device))
        # tokens of each expert, then all tokens: a plain attribute, since DDP broadcasts buffers at every forward
        self.tally = torch.zeros(n_experts + 1, dtype=torch.int64, device=device)
        self.recorded: list[torch.Tensor] | None = None  # scores, if a controller asks for them
        self.reset_parameters()

    def _check_sizes(self) -> None:
        if self.k > self.n_experts:
            raise OptionError(f"k must be at most n_experts = {self.n_experts}, got {self.k}")
        if self.n_experts % self.n_groups or self.top_groups > self.n_groups:
            raise OptionError(
                f"n_groups must divide n_experts = {self.n_experts} and be at least top_groups, "
                f"got n_groups={self.n_groups}, top_groups={self.top_groups}"
            )
        size = self.n_experts // self.n_groups
        if self.top_groups * size < self.k:
            raise OptionError(f"top_groups={self.top_groups} groups of {size} experts admit fewer than k = {self.k}")
        if self.top_groups < self.n_groups and (self.mode == "threshold" or self.group_score > size):
            raise OptionError(f'group limits need mode="topk" and group_score of at most {size}')
        if self.mode == "threshold" and (self.k == self.n_experts or not isinstance(self.score, str)):
            raise OptionError('mode="threshold" needs k below n_experts and score="sigmoid" or "softmax"')

    def reset_parameters(self) -> None:
        """Draw the weight as torch.nn.Linear does; bias and counts start again (the bias at the wanted mean k)."""
        bound = self.dim**-0.5
        torch.nn.init.uniform_(self.weight, -bound, bound)
        self.expert_bias.zero_()
        self.tally.zero_()
        if self.mode == "threshold":
            std = 3.0**-0.5  # of the logits, for features of unit mean square
            start = initial_threshold_bias(self.n_experts, self.k, std=std, score=self.score)  # type: ignore[arg-type]
            self.expert_bias.fill_(start)

    @property
    def tokens_per_expert(self) -> torch.Tensor:
        """Tokens that each expert received since the last update, (n,) int64, on this process."""
        return self.tally[:-1]

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        device = self.expert_bias.device
        self.tally = moved_tally(self.tally, device)
        return self

    def forward(self, x: torch.Tensor, padding_mask: torch.Tensor | None = None) -> Routing:
        """Route tokens.

        Parameters
        ----------
        x : tensor (..., dim)
            Tokens.
        padding_mask : tensor (...), optional
            True for padding, which is neither routed nor counted.

        Returns
        -------
        Routing
            `weights`, `experts`, `active`, `scores`, `logits`.
        """
        if x.shape[-1] != self.dim:
            raise ShapeError(f"x must have {self.dim} features in its last axis, got shape {tuple(x.shape)}")
        if padding_mask is not None and padding_mask.shape != x.shape[:-1]:
            raise ShapeError(f"padding_mask must have shape {tuple(x.shape[:-1])}, got {tuple(padding_mask.shape)}")
        with torch.autocast(x.device.type, enabled=False):
            precise = torch.promote_types(x.dtype, torch.float32)
            logits = functional.linear(x.to(precise), self.weight.to(precise))
            scores = _activate(self.score, logits)
            gates = scores if self.gate is None else _activate(self.gate, logits)
            experts, active, masked = self._select(scores.detach())
            if padding_mask is not None:
                active = active & ~padding_mask.bool()[..., None]
            weights = torch.where(active, gates.gather(-1, experts), 0.0)
            if self.normalize:
                weights = weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(precise).tiny)
            weights = weights * self.scale
        if self.training:
            if self.tally.device != experts.device:
                self.tally = moved_tally(self.tally, experts.device)
            if torch.is_grad_enabled() and not weights.requires_grad:  # frozen router: its experts may be trained
                weights = weights.detach().requires_grad_()
            tokens = torch.isfinite(logits.detach()).all(-1)
            if padding_mask is not None:
                tokens = tokens & ~padding_mask.bool()
            weights = count(weights, experts, active, tokens, self.tally)
            if self.recorded is not None:
                from infimum.nn.recording import record  # imports the compiler: only when asked for

                weights = record(weights, masked, tokens, self.recorded)
        return Routing(weights.to(x.dtype), experts, active, scores, logits)

    def _select(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return experts, whether they are active, and the scores with those outside the admitted groups at -inf."""
        biased = scores + self.expert_bias
        if self.mode == "threshold":
            experts = torch.arange(self.n_experts, device=scores.device).expand(scores.shape)
            return experts, biased > 0, scores
        if self.top_groups < self.n_groups:
            grouped = biased.reshape(*biased.shape[:-1], self.n_groups, -1)
            worth = grouped.topk(self.group_score, dim=-1).values.sum(-1)
            admitted = torch.zeros_like(worth, dtype=torch.bool)
            admitted = admitted.scatter(-1, worth.topk(self.top_groups, dim=-1).indices, True)
            outside = ~admitted.repeat_interleave(self.n_experts // self.n_groups, dim=-1)
            # biased scores may be negative, so 0 would not keep an expert out
            biased, scores = biased.masked_fill(outside, -torch.inf), scores.masked_fill(outside, -torch.inf)
        experts = biased.topk(self.k, dim=-1).indices
        return experts, torch.ones_like(experts, dtype=torch.bool), scores

    def export_state(self, layout: str, prefix: str = "") -> dict[str, torch.Tensor]:
        """Return weight and bias under the names, and with the sign, of another code base.

        Parameters
        ----------
        layout : {"deepseek", "megatron", "megatron-quantile", "torchtitan", "torchtitan-2025", "infimum"}
            "deepseek" is also that of transformers. "megatron-quantile" subtracts its bias from the scores.
        prefix : str
            Put before the names: "model.layers.3.mlp.gate." (deepseek), "decoder.layers.3.mlp.router." (megatron),
            "layers.3.moe." (torchtitan).
        """
        one_of("layout", layout, tuple(LAYOUTS))
        weight, bias, sign = LAYOUTS[layout]
        return {prefix + weight: self.weight.detach().clone(), prefix + bias: sign * self.expert_bias}

    def import_state(self, state: Mapping[str, torch.Tensor], layout: str, prefix: str = "") -> None:
        """Load weight and bias from a state dict of another code base (see `export_state`); other keys are ignored."""
        one_of("layout", layout, tuple(LAYOUTS))
        weight, bias, sign = LAYOUTS[layout]
        if missing := [name for name in (prefix + weight, prefix + bias) if name not in state]:
            raise OptionError(f"the state dict has no {' and no '.join(missing)}; check layout and prefix")
        found = {"weight": state[prefix + weight], "expert_bias": sign * state[prefix + bias].float()}
        self.load_state_dict(found)

    def extra_repr(self) -> str:
        """Describe the layer inside its parent's repr."""
        groups = f", top {self.top_groups} of {self.n_groups} groups" if self.top_groups < self.n_groups else ""
        return f"{self.dim}, {self.n_experts} experts, k={self.k}, mode={self.mode!r}{groups}"


def _activation(name: str, value: Activation) -> Activation:
    if not callable(value):
        one_of(name, value, get_args(Score))
    return value


def _activate(activation: Activation, logits: torch.Tensor) -> torch.Tensor:
    if activation == "sigmoid":
        return torch.sigmoid(logits)
    if activation == "softmax":
        return torch.softmax(logits, dim=-1)
    return activation(logits)
