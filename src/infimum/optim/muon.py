"""Muon with a table of coefficients for every step of its orthogonalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

from infimum._arguments import one_of, optional, whole_number

optional("torch", "torch")

import torch  # noqa: E402  (after the check for torch)
from torch.optim import Optimizer  # noqa: E402

from infimum.errors import DTypeError, OptionError, ShapeError  # noqa: E402
from infimum.optim.matrices import (  # noqa: E402
    Layout,
    Split,
    assembled,
    check_layout,
    gathered,
    matrices,
    orthogonal_factors,
)
from infimum.optim.newton_schulz import EPS, Table, as_rows, default_schedule  # noqa: E402

Adjustment: TypeAlias = Literal["original", "match_rms_adamw"]  # how the step follows the shape, as in PyTorch

JORDAN = (3.4445, -4.7750, 2.0315)  # the default of torch.optim.Muon
MOST_STEPS = 100  # as in torch.optim.Muon
OURS = ("schedule", "layout", "split", "foreach")  # options that torch.optim.Muon does not have


class Muon(Optimizer):
    """MomentUm Orthogonalised by Newton-Schulz, for the matrices of hidden layers, with one table row for each step.

    `torch.optim.Muon` applies the same coefficients (a, b, c) in all steps; a `schedule` has a row for each and reaches
    an error many times smaller in the same number of products. With ``schedule=None`` every bit is that of
    `torch.optim.Muon`. Arguments and state have its names: a checkpoint of either can be loaded by the other.
    Weight decay is decoupled, so that `MemoryLR` and `verify_memory` apply. Sharded parameters (DTensor) are gathered
    once for each update. `split_parameters` sorts the parameters of a model, `MuonAdamW` trains all of them.

    Parameters
    ----------
    params : iterable
        Parameters, or groups of them: matrices, stacks of matrices (such as experts), or with ``layout="convolution"``
        kernels. Embeddings, biases and the like go to AdamW.
    lr : float or Tensor
        Learning rate.
    weight_decay : float
        Decoupled decay: a step multiplies the weights by ``1 - lr * weight_decay``.
    momentum : float
        Factor of the moving average of gradients, at least 0.
    nesterov : bool
        Look ahead by one step of momentum.
    ns_coefficients : tuple of 3 floats
        Coefficients of all steps where there is no schedule.
    eps : float
        The Frobenius norm of an update is taken to be at least this.
    ns_steps : int
        Number of steps where there is no schedule.
    adjust_lr_fn : {None, "original", "match_rms_adamw"}
        How the shape (m, n) of a parameter scales its learning rate: by ``sqrt(max(1, m / n))`` (None, "original"), or
        by ``0.2 * sqrt(max(m, n))``, for which the update is as large as that of AdamW.
    schedule : {"certified"}, Composition, sequence of tuples, or None
        Coefficients of every step: what `infimum.minimax.msign_schedule` returned, or any table. May differ between
        parameter groups. "certified" is `default_schedule` with `ns_steps` steps, unless other `ns_coefficients` are
        given; None stands for these. It is kept when a checkpoint without one (of `torch.optim.Muon`) is loaded.
    layout : {"stack", "convolution"}
        What the axes of the parameters are: the last two are a matrix, and those before count matrices; or the first
        one counts the rows of one matrix, and all others together its columns.
    split : Split, optional
        Parts of every matrix that are orthogonalised by themselves: fused queries, keys and values, or gate and up.
    foreach : bool
        Matrices of equal shape go through one iteration together: faster where there are many small ones, on a GPU
        above all; equal up to the rounding of batched products.

    Raises
    ------
    OptionError, ShapeError, DTypeError, NonFiniteError
        Each says what was expected, what came, and what to do.

    References
    ----------
    .. [1] K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024),
       https://kellerjordan.github.io/posts/muon/.
    .. [2] J. Liu et al., "Muon is scalable for LLM training", arXiv:2502.16982.

    Examples
    --------
    >>> import torch
    >>> from infimum import minimax, optim
    >>> layer = torch.nn.Linear(8, 4, bias=False)
    >>> schedule = minimax.msign_schedule(1e-3, 5, cushion=0.024, safety=1.01)
    >>> optimizer = optim.Muon(layer.parameters(), lr=0.02, schedule=schedule)
    >>> layer(torch.ones(1, 8)).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Any,
        lr: float | torch.Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = JORDAN,
        eps: float = EPS,
        ns_steps: int = 5,
        adjust_lr_fn: Adjustment | None = None,
        *,
        schedule: Table | Literal["certified"] | None = "certified",
        layout: Layout = "stack",
        split: Split | None = None,
        foreach: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
            "schedule": schedule,
            "layout": layout,
            "split": split,
            "foreach": foreach,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group after checking its options and that all its parameters are real matrices."""
        super().add_param_group(param_group)
        try:
            self._check(self.param_groups[-1])
        except Exception:
            self.param_groups.pop()
            raise

    def _check(self, group: dict[str, Any]) -> None:
        check_group(group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a checkpoint of this optimizer or of `torch.optim.Muon`, which has no schedule: then ours stays."""
        kept = [{name: group[name] for name in OURS if name in group} for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, options in zip(self.param_groups, kept, strict=True):
            for name, option in options.items():
                group.setdefault(name, option)
            self._check(group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one step; return what the closure, which evaluates the model again, returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        rows = group["schedule"] or (group["ns_coefficients"],) * group["ns_steps"]
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        # one at a time needs the least memory
        for chunk in [parameters] if group["foreach"] else [[parameter] for parameter in parameters]:
            updates = [gathered(self._momentum(parameter, group), group["layout"]) for parameter in chunk]
            parts = [matrices(update.whole, group) for update in updates]
            flat = [part for several in parts for part in several]
            found = iter(orthogonal_factors(flat, rows, group["eps"], together=group["foreach"]))
            for parameter, update, several in zip(chunk, updates, parts, strict=True):
                orthogonal, factor = assembled([next(found) for _ in several], update.whole.shape, group)
                self._apply(parameter, update.back(orthogonal), factor, group)

    def _momentum(self, parameter: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
        gradient = parameter.grad
        if gradient is None or gradient.is_sparse:
            raise DTypeError("Muon needs dense gradients, got a sparse one; use an embedding with sparse=False")
        state, momentum = self.state[parameter], group["momentum"]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient, memory_format=torch.preserve_format)
        buffer: torch.Tensor = state["momentum_buffer"]
        buffer.lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum) if group["nesterov"] else buffer

    def _apply(self, parameter: torch.Tensor, orthogonal: torch.Tensor, factor: float, group: dict[str, Any]) -> None:
        lr = group["lr"]
        lr = lr.squeeze() if isinstance(lr, torch.Tensor) else lr  # rounded as in PyTorch, in the precision of the rate
        parameter.mul_(1 - lr * group["weight_decay"])
        alpha: Any = -lr * factor
        if torch.compiler.is_compiling():  # a number that changes is an input of the graph as a factor only
            parameter.add_(orthogonal * alpha)
        else:
            parameter.add_(orthogonal, alpha=alpha)


def check_rates(group: dict[str, Any], names: tuple[str, ...]) -> None:
    """Refuse rates of a group that are no single numbers of at least 0, and parameters that are not real."""
    for name in names:
        value = group[name]
        if isinstance(value, torch.Tensor) and value.numel() != 1:
            raise ShapeError(f"{name} must be one number, got a tensor of shape {tuple(value.shape)}")
        if not float(value) >= 0.0:
            raise OptionError(f"{name} must be at least 0, got {value}")
    if not group["eps"] > 0.0:
        raise OptionError(f"eps must be above 0, got {group['eps']}")
    for parameter in group["params"]:
        if not parameter.is_floating_point():
            raise DTypeError(f"real parameters were expected, got {parameter.dtype}")


def check_group(group: dict[str, Any]) -> None:
    """Refuse options of a group for Muon that are out of range, and parameters that are no real matrices."""
    check_rates(group, ("lr", "weight_decay", "momentum"))
    _check_iteration(group)
    check_layout(group)


def _check_iteration(group: dict[str, Any]) -> None:
    if group["adjust_lr_fn"] is not None:
        one_of("adjust_lr_fn", group["adjust_lr_fn"], get_args(Adjustment))
    steps = group["ns_steps"]
    if whole_number("ns_steps", steps, 0) >= MOST_STEPS:
        raise OptionError(f"ns_steps must be below {MOST_STEPS}, got {steps}")
    if len(as_rows((group["ns_coefficients"],))[0]) != 3:
        raise OptionError(
            f"ns_coefficients must be 3 numbers (a, b, c), got {group['ns_coefficients']!r}; give a table as schedule"
        )
    schedule = group["schedule"]
    if isinstance(schedule, str):
        one_of("schedule", schedule, ("certified",))
        given = tuple(group["ns_coefficients"]) != JORDAN or not steps
        group["schedule"] = None if given else as_rows(default_schedule(steps))
    elif schedule is not None:
        group["schedule"] = as_rows(schedule)
