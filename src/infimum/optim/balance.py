"""The controller that updates the biases of all routers of a model, once for each step of the optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from infimum._arguments import Numbers, one_of, optional, whole_number

optional("torch", "torch")

import torch  # noqa: E402  (after the check for torch)
from torch import distributed  # noqa: E402

from infimum.balance import dead_experts, load_entropy, max_violation  # noqa: E402
from infimum.balance.rules import RULES, Rule, checked_rate, step  # noqa: E402
from infimum.errors import InfeasibleError, OptionError, ShapeError  # noqa: E402
from infimum.optim.quantiles import quantile_bias  # noqa: E402

Groups: TypeAlias = distributed.ProcessGroup | Sequence[distributed.ProcessGroup] | None
Quantile: TypeAlias = Literal["quantile", "midpoint"]
QUANTILES: tuple[Quantile, ...] = get_args(Quantile)
TOGETHER = 2**26  # scores of routers of equal size that are looked at together
SOFTMAX = 10.0  # of the default rate over n: measured on drifting tokens, see the page on routing


class BalanceController:
    """Keep the experts of a model's routers evenly loaded, by their biases.

    After each step of the optimizer the loads that the routers counted are summed over the processes, one all-reduce
    for all layers, and every bias moves by the same rule. Attach it, or call `step` after ``optimizer.step()``.

    - *Gradient accumulation*: the loads of all micro-batches of a step count together.
    - *GradScaler*: a skipped step updates no bias; its counts wait for the next one.
    - *DDP, FSDP2*: give nothing; the default group holds every process. *Expert, tensor, context, pipeline
      parallelism*: give the groups whose processes have different tokens (data, context, and the expert groups that
      split them), never those that repeat the same tokens. Every process must call the optimizer's step alike.

    Parameters
    ----------
    model : torch.nn.Module
        Holds one or more `infimum.nn.BalancedRouter`.
    rule : str
        One of `infimum.balance.update_bias`; or "quantile", one sweep of quantile balancing as published; or
        "midpoint", the same with the middle of the optimal intervals. These two record the scores of a step (float32,
        tokens x experts a layer), find the quantiles over all processes exactly, and break the graph of torch.compile.
    rate : float or callable, optional
        Step length, or a function from the number of updates done to it; at 0 the bias rests. Default 1e-3, for softmax
        scores, of which each is about 1/n, ``1e-2 / n``; for the quantile rules 1.0, and a smaller rate is a moving
        average of the biases.
    load : sequence of n numbers, optional
        Proportions of the wanted loads; default: even.
    group : ProcessGroup, sequence of ProcessGroup, or None
        Where to sum. None: the default group if torch.distributed is initialised. Empty sequence: this process alone.
    every : int
        Update after every so many steps of the optimizer, from the loads of all of them.
    momentum : float
        From 0 up to 1: the steps are averaged, ``v = momentum * v + (1 - momentum) * step``. Not for quantile rules.

    Attributes
    ----------
    loads : list of tensors
        Tokens of each expert at the last update, over all processes, a tensor (n,) for each router.
    updates : int
        Number of updates done.

    Raises
    ------
    OptionError, ShapeError, InfeasibleError
        No router in the model, unknown rule, bad numbers, a share above 1/k.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10757 (the order: the model first, then the bias), 11619 and 11626 (quantiles).

    Examples
    --------
    >>> import torch
    >>> from infimum import nn, optim
    >>> router = nn.BalancedRouter(16, 8, 2)
    >>> optimizer = torch.optim.AdamW(router.parameters())
    >>> controller = optim.BalanceController(router, rule="sign").attach(optimizer)
    >>> router(torch.randn(64, 16)).weights.square().sum().backward()
    >>> optimizer.step()
    >>> controller.updates, int(controller.loads[0].sum()), int(router.tokens_per_expert.sum())
    (1, 128, 0)
    """

    def __init__(
        self,
        model: torch.nn.Module,
        rule: Rule | Quantile = "rms",
        rate: float | Callable[[int], float] | None = None,
        *,
        load: Numbers | torch.Tensor | None = None,
        group: Groups = None,
        every: int = 1,
        momentum: float = 0.0,
    ) -> None:
        one_of("rule", rule, (*RULES, *QUANTILES))
        # recognised by what they offer: optim knows no module of nn
        found = {n: m for n, m in model.named_modules() if hasattr(m, "expert_bias") and hasattr(m, "tally")}
        self.names, self.routers = list(found), list[Any](found.values())
        if not self.routers:
            raise OptionError("the model holds no infimum.nn.BalancedRouter")
        if rule in ("budget", "at-most") and any(router.mode == "topk" for router in self.routers):
            raise OptionError(f'rule="{rule}" is for routers with mode="threshold"')
        if not 0.0 <= momentum < 1.0 or (momentum and rule in QUANTILES):
            raise OptionError(
                f"momentum must be from 0 up to 1, and 0 for a quantile rule (lower its rate), got {momentum}"
            )
        self.rule, self.momentum, self.every = rule, momentum, whole_number("every", every, 1)
        self.rate = (1.0 if rule in QUANTILES else 1e-3) if rate is None else rate
        own = rate is None and rule not in QUANTILES
        self.units = [SOFTMAX / m.n_experts if own and m.score == "softmax" else 1.0 for m in self.routers]
        self._rate(0)
        self.group, self.frozen = group, False
        self.calls = self.updates = 0
        self.proportions = [_proportions(load, router) for router in self.routers]
        self.velocity = [torch.zeros_like(router.expert_bias, dtype=torch.float64) for router in self.routers]
        self.loads = [torch.zeros_like(router.tokens_per_expert) for router in self.routers]
        for router in self.routers:
            router.recorded = [] if rule in QUANTILES else None

    def attach(self, optimizer: torch.optim.Optimizer) -> BalanceController:
        """Call `step` after every step that `optimizer` takes; with several optimizers, attach to the last."""

        def after(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            found_inf = getattr(optimizer, "found_inf", None)  # fused optimizers skip inside their step
            if found_inf is None or not bool(found_inf):
                self.step()

        optimizer.register_step_post_hook(after)
        return self

    def freeze(self, frozen: bool = True) -> None:
        """Let the biases rest (or move again); loads are still measured."""
        self.frozen = frozen

    def max_violation(self) -> float:
        """MaxVio of the last update's loads, averaged over the layers."""
        return sum(max_violation(load) for load in self.loads) / len(self.loads)

    def metrics(self) -> dict[str, float]:
        """Return what to log of every router, by the loads of the last update: names and numbers for any logger.

        For a router called NAME: ``NAME/max_violation``, ``NAME/load_entropy`` (1: even), ``NAME/dead_experts`` and
        ``NAME/bias_range``, the largest bias less the smallest; and ``max_violation``, the mean over the routers.
        """
        found = {"max_violation": self.max_violation()}
        for name, router, load in zip(self.names, self.routers, self.loads, strict=True):
            figures = {
                "max_violation": max_violation(load),
                "load_entropy": load_entropy(load),
                "dead_experts": float(dead_experts(load)),
                "bias_range": float(router.expert_bias.max() - router.expert_bias.min()),
            }
            found.update({f"{name}/{figure}".lstrip("/"): value for figure, value in figures.items()})
        return found

    @torch.no_grad()
    def step(self) -> None:
        """Sum the loads over the processes, update every bias, and start counting anew."""
        self.calls += 1
        if self.calls % self.every:
            return
        groups = _groups(self.group)
        rate = 0.0 if self.frozen else self._rate(self.updates)
        tallies = self._reduce(groups)
        self.loads = [tally[:-1] for tally in tallies]
        if rate:
            targets = [self._target(index, tally) for index, tally in enumerate(tallies)]
            if self.rule in QUANTILES:
                self._sweep(targets, [int(tally[-1]) for tally in tallies], rate, groups)
            else:
                self._move(targets, rate)
        for router in self.routers:
            router.tally.zero_()
            if router.recorded is not None:
                router.recorded.clear()
        self.updates += 1

    def _target(self, index: int, tally: torch.Tensor) -> torch.Tensor:
        """Return the wanted loads of a router, exact where m k / n is whole."""
        weights, k = self.proportions[index].to(tally.device), int(self.routers[index].k)
        return weights * (k * tally[-1]) / weights.sum()

    def _move(self, targets: Sequence[torch.Tensor], rate: float) -> None:
        """Take a step by the loads."""
        for index, (router, target) in enumerate(zip(self.routers, targets, strict=True)):
            change = step(self.loads[index], self.rule, target, center=router.mode == "topk")  # type: ignore[arg-type]
            velocity = self.velocity[index] = self.velocity[index].to(change.device)
            change = velocity.mul_(self.momentum).add_(change, alpha=1.0 - self.momentum)
            router.expert_bias.copy_(router.expert_bias.double() + rate * self.units[index] * change)

    def _sweep(self, targets: Sequence[torch.Tensor], rows: Sequence[int], rate: float, groups: Sequence[Any]) -> None:
        """Take a step by the scores, for routers of equal size in the same operations on every process."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for index, router in enumerate(self.routers):
            if rows[index] and router.k < router.n_experts:
                size = (router.n_experts, router.k, router.mode, rows[index], router.expert_bias.device)
                alike.setdefault(size, []).append(index)
        for (experts, k, mode, count, _), found in alike.items():
            together = max(1, TOGETHER // (experts * count))
            for start in range(0, len(found), together):
                part = found[start : start + together]
                bias = torch.stack([self.routers[index].expert_bias for index in part])
                wanted = quantile_bias(
                    [_recorded(self.routers[index]) for index in part],
                    bias,
                    k,
                    torch.stack([targets[index] for index in part]),
                    count,
                    midpoint=self.rule == "midpoint",
                    threshold=mode != "topk",
                    groups=groups,
                ).double()
                if mode == "topk":
                    wanted -= wanted.mean(1, keepdim=True)
                bias = bias.double()
                for index, moved in zip(part, bias + rate * (wanted - bias), strict=True):
                    self.routers[index].expert_bias.copy_(moved)

    def _reduce(self, groups: Sequence[Any]) -> Sequence[torch.Tensor]:
        device = self.routers[0].tally.device
        flat = torch.cat([router.tally.to(device) for router in self.routers])
        for group in groups:
            distributed.all_reduce(flat, group=group)
        parts = torch.split(flat, [len(router.tally) for router in self.routers])
        return [part.to(router.tally.device) for part, router in zip(parts, self.routers, strict=True)]

    def _rate(self, updates: int) -> float:
        return checked_rate(self.rate(updates) if callable(self.rate) else self.rate)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed besides the model (which holds the biases) to go on bit for bit.

        Counts and scores between two updates are those of this process: save right after an update, where they are
        empty, or on every process.
        """
        return {
            "calls": self.calls,
            "updates": self.updates,
            "frozen": self.frozen,
            "velocity": [item.clone() for item in self.velocity],
            "tally": [router.tally.clone() for router in self.routers],
            "recorded": [list(router.recorded or ()) for router in self.routers],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if len(state["tally"]) != len(self.routers):
            raise ShapeError(f"a state of {len(self.routers)} routers expected, got one of {len(state['tally'])}")
        self.calls, self.updates, self.frozen = state["calls"], state["updates"], state["frozen"]
        for index, router in enumerate(self.routers):
            self.velocity[index].copy_(state["velocity"][index])
            router.tally.copy_(state["tally"][index])
            if router.recorded is not None:
                router.recorded[:] = [part.to(router.tally.device) for part in state["recorded"][index]]


def _recorded(router: Any) -> torch.Tensor:
    """Return all scores that a router recorded, as one matrix."""
    scores = [part.reshape(-1, router.n_experts).float() for part in router.recorded]
    return scores[0] if len(scores) == 1 else torch.cat([*scores, router.expert_bias.new_zeros(0, router.n_experts)])


def _groups(group: Groups) -> Sequence[Any]:
    if group is None:
        ready = distributed.is_available() and distributed.is_initialized()
        groups: Sequence[Any] = (distributed.group.WORLD,) if ready else ()
    else:
        groups = tuple(group) if isinstance(group, Sequence) else (group,)
    return [part for part in groups if distributed.get_world_size(part) > 1]


def _proportions(load: Numbers | torch.Tensor | None, router: Any) -> torch.Tensor:
    n, device = router.n_experts, router.expert_bias.device
    if load is None:
        return torch.ones(n, dtype=torch.float64, device=device)
    weights = torch.as_tensor(load, dtype=torch.float64, device=device)
    if weights.shape != (n,) or not bool(torch.isfinite(weights).all()):
        raise ShapeError(f"load must be {n} finite numbers, one for each expert, got shape {tuple(weights.shape)}")
    if bool((weights < 0).any()) or not bool(weights.sum() > 0):
        raise OptionError("load must not be negative, and its sum must be positive")
    if router.mode == "topk" and bool((weights * router.k > weights.sum() * (1.0 + 1e-12)).any()):
        raise InfeasibleError(f"no expert can have a share above 1/k = 1/{router.k}: a token uses each at most once")
    return weights
