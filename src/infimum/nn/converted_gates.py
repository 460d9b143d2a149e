"""Routers of models of transformers, balanced by a bias: subclasses of the stock gates, which stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch

from infimum.errors import LibraryError, OptionError
from infimum.nn.counting import count, moved_tally
from infimum.nn.float32 import Float32Buffers


class Routed(NamedTuple):
    """What a gate answers, and the scores to which the bias was added."""

    logits: torch.Tensor
    weights: torch.Tensor
    experts: torch.Tensor
    scores: torch.Tensor


class BalancedGate(Float32Buffers):
    """Abstract base of converted gates: it counts the tokens of every expert, for `infimum.optim.BalanceController`.

    It stands before a stock gate of transformers, which routes.
    """

    mode: Literal["topk"] = "topk"
    score: ClassVar[str] = "sigmoid"  # what the bias is added to: the default rate depends on it
    expert_bias: torch.Tensor
    tally: torch.Tensor
    recorded: list[torch.Tensor] | None
    top_k: int
    num_experts: int
    weight: torch.Tensor

    @property
    def k(self) -> int:
        """Experts per token."""
        return self.top_k

    @property
    def n_experts(self) -> int:
        """Number of experts."""
        return self.num_experts

    @property
    def tokens_per_expert(self) -> torch.Tensor:
        """Tokens that each expert received since the last update, (n,) int64, on this process."""
        return self.tally[:-1]

    def _begin(self) -> None:
        self.tally = torch.zeros(self.num_experts + 1, dtype=torch.int64, device=self.weight.device)
        self.recorded = None

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self.tally = moved_tally(self.tally, self.weight.device)
        return self

    def _route(self, stock: tuple[torch.Tensor, ...]) -> Routed:
        raise NotImplementedError

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Route as the stock gate does, with the bias; returns logits, weights and experts as it does."""
        logits, weights, experts, scores = self._route(super().forward(hidden_states))
        if not self.training:
            return logits, weights, experts
        if self.tally.device != experts.device:
            self.tally = moved_tally(self.tally, experts.device)
        if torch.is_grad_enabled() and not weights.requires_grad:  # frozen gate: its experts may be trained
            weights = weights.detach().requires_grad_()
        tokens = torch.isfinite(logits.detach()).all(-1)
        weights = count(weights, experts, torch.ones_like(experts, dtype=torch.bool), tokens, self.tally)
        if self.recorded is not None:
            from infimum.nn.recording import record  # imports the compiler: only when asked for

            weights = record(weights, scores.detach(), tokens, self.recorded)
        return logits, weights, experts


class _OfItsOwn(BalancedGate):
    """The stock gate has a bias that chooses, and which nobody updates."""

    float32_buffers = ("e_score_correction_bias",)
    e_score_correction_bias: torch.Tensor
    num_group: int
    topk_group: int

    @property
    def expert_bias(self) -> torch.Tensor:  # type: ignore[override]
        """The stock bias: checkpoints and the stock class see every update."""
        return self.e_score_correction_bias

    def _route(self, stock: tuple[torch.Tensor, ...]) -> Routed:
        if self.recorded is not None and self.topk_group < self.num_group:
            raise OptionError(
                'rules "quantile" and "midpoint" need scores of all experts, but this gate admits '
                f'{self.topk_group} of {self.num_group} groups; take the rule "rms" or "sign"'
            )
        logits, weights, experts = stock
        return Routed(logits, weights, experts, logits.sigmoid())


class _Added(BalancedGate):
    """The stock gate has no bias that chooses: it becomes a buffer, and one more name in checkpoints."""

    float32_buffers = ("expert_bias",)

    def _begin(self) -> None:
        super()._begin()
        # zeros, and not what an empty buffer would hold after a model on meta was filled by assign=True
        device = "cpu" if self.weight.is_meta else self.weight.device
        self.register_buffer("expert_bias", torch.zeros(self.num_experts, dtype=torch.float32, device=device))

    def _chosen(self, scores: torch.Tensor) -> torch.Tensor:
        return torch.topk(scores.detach() + self.expert_bias, self.top_k, dim=-1).indices


class _OfSoftmax(_Added):
    score = "softmax"

    def _route(self, stock: tuple[torch.Tensor, ...]) -> Routed:
        logits, weights, _ = stock
        scores = torch.softmax(logits.float(), dim=-1)
        experts = self._chosen(scores)
        chosen = scores.gather(-1, experts)
        if getattr(self, "norm_topk_prob", True):
            chosen = chosen / chosen.sum(dim=-1, keepdim=True)
        return Routed(logits, chosen.to(weights.dtype), experts, scores)


class _OfLogits(_Added):
    score = "logits"

    def _route(self, stock: tuple[torch.Tensor, ...]) -> Routed:
        logits, weights, _ = stock
        scores = logits.float()
        experts = self._chosen(scores)
        chosen = logits.gather(-1, experts)
        return Routed(logits, torch.softmax(chosen, dim=-1, dtype=weights.dtype), experts, scores)


GATES: dict[str, type[BalancedGate]] = {
    "DeepseekV3TopkRouter": _OfItsOwn,
    "Glm4MoeTopkRouter": _OfItsOwn,
    "Qwen3MoeTopKRouter": _OfSoftmax,
    "MixtralTopKRouter": _OfSoftmax,
    "OlmoeTopKRouter": _OfSoftmax,
    "GptOssTopKRouter": _OfLogits,
}


def convert_router(model: torch.nn.Module) -> list[str]:
    """Let the gates of a model of transformers be balanced by a bias; the model is changed in place.

    Every gate becomes a subclass of its stock class, so that its weights, their names, `save_pretrained` and recorded
    router logits stay. It chooses by ``score + expert_bias`` and counts; `infimum.optim.BalanceController` updates the
    bias. Until the first update the model answers bit for bit what it did.

    DeepSeek-V3 and GLM-4-MoE have such a bias, which is updated where it is: a checkpoint gives the stock class all of
    it. Qwen3-MoE, Mixtral, OLMoE (softmax scores) and gpt-oss (logits) have none: `expert_bias` is one more entry of
    the checkpoint, which the stock class leaves out, and then routes without it.

    Softmax scores sum to 1 over the experts, so steps of 1e-3, which suit sigmoid scores, may be too large for them,
    above all with many experts; the rule "midpoint" with rate 0.1 has no step to tune. Padding is counted, since a gate
    is not told of it.

    Parameters
    ----------
    model : torch.nn.Module
        Holds gates of DeepSeek-V3, GLM-4-MoE, Qwen3-MoE, Mixtral, OLMoE or gpt-oss. May lie on the meta device.

    Returns
    -------
    list of str
        Names of the gates, converted now or before.

    Raises
    ------
    LibraryError
        The model is none.
    OptionError
        No gate in it is known.

    Examples
    --------
    >>> import torch, transformers
    >>> from infimum import nn, optim
    >>> config = transformers.MixtralConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, vocab_size=32,
    ...     num_attention_heads=2, num_key_value_heads=1, num_local_experts=4)
    >>> model = transformers.MixtralForCausalLM(config)
    >>> nn.convert_router(model)
    ['model.layers.0.mlp.gate']
    >>> controller = optim.BalanceController(model, rule="midpoint", rate=0.1)
    """
    if not isinstance(model, torch.nn.Module):
        raise LibraryError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    names = []
    for name, module in model.named_modules():
        if isinstance(module, BalancedGate):
            names.append(name)
        elif type(module).__name__ in GATES:
            _convert(module)
            names.append(name)
    if not names:
        raise OptionError(f"the model holds none of the gates {', '.join(GATES)}; use infimum.nn.BalancedRouter in it")
    return names


SUBCLASSES: dict[type, type] = {}  # one for each stock class, made when it is first met


def _convert(gate: Any) -> None:
    stock = type(gate)
    if stock not in SUBCLASSES:
        SUBCLASSES[stock] = type(f"Balanced{stock.__name__}", (GATES[stock.__name__], stock), {})
    gate.__class__ = SUBCLASSES[stock]
    gate._begin()
