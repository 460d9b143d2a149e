"""Muon with a table of coefficients for every step of its orthogonalisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

from infimum._arguments import one_of, optional, whole_number

optional("torch", "torch")

import torch  # noqa: E402  (after the check for torch)
from torch.optim import Optimizer  # noqa: E402

from infimum.errors import DTypeError, OptionError, ShapeError  # noqa: E402
from infimum.optim.newton_schulz import EPS, Table, as_rows, iterate  # noqa: E402

Adjustment: TypeAlias = Literal["original", "match_rms_adamw"]  # how the step follows the shape, as in PyTorch

JORDAN = (3.4445, -4.7750, 2.0315)  # the default of torch.optim.Muon
MOST_STEPS = 100  # as in torch.optim.Muon


class Muon(Optimizer):
    """MomentUm Orthogonalised by Newton-Schulz, for the matrices of hidden layers, with one table row for each step.

    `torch.optim.Muon` applies the same coefficients (a, b, c) in all steps; a `schedule` has a row for each and reaches
    an error many times smaller in the same number of products. Without a schedule every bit is that of
    `torch.optim.Muon`. Arguments, defaults and state have its names: a checkpoint of either can be loaded by the other.
    Weight decay is decoupled, so that `MemoryLR` and `verify_memory` apply.

    Parameters
    ----------
    params : iterable
        Parameters, or groups of them, all matrices. Embeddings, biases and the like go to AdamW.
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
    schedule : Composition, or sequence of tuples, optional
        Coefficients of every step: what `infimum.minimax.msign_schedule` returned, or any table. May differ between
        parameter groups. It is kept when a checkpoint without one (of `torch.optim.Muon`) is loaded.

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
        schedule: Table | None = None,
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
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group after checking its options and that all its parameters are real matrices."""
        super().add_param_group(param_group)
        try:
            _check(self.param_groups[-1])
        except Exception:
            self.param_groups.pop()
            raise

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a checkpoint of this optimizer or of `torch.optim.Muon`, which has no schedule: then ours stays."""
        kept = [group["schedule"] for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, schedule in zip(self.param_groups, kept, strict=True):
            group.setdefault("schedule", schedule)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one step; return what the closure, which evaluates the model again, returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rows = group["schedule"] or (group["ns_coefficients"],) * group["ns_steps"]
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group, rows)
        return loss

    def _update(self, parameter: torch.Tensor, group: dict[str, Any], rows: Any) -> None:
        gradient = parameter.grad
        if gradient is None or gradient.is_sparse:
            raise DTypeError("Muon needs dense gradients, got a sparse one; use an embedding with sparse=False")
        state, momentum, lr = self.state[parameter], group["momentum"], group["lr"]
        lr = lr.squeeze() if isinstance(lr, torch.Tensor) else lr  # rounded as in PyTorch, in the precision of the rate
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient, memory_format=torch.preserve_format)
        buffer = state["momentum_buffer"]
        buffer.lerp_(gradient, 1 - momentum)
        update = gradient.lerp(buffer, momentum) if group["nesterov"] else buffer
        orthogonal = iterate(update, rows, torch.bfloat16, group["eps"])
        parameter.mul_(1 - lr * group["weight_decay"])
        factor: Any = -lr * _shape_factor(group["adjust_lr_fn"], parameter.shape)
        parameter.add_(orthogonal, alpha=factor)


def _shape_factor(rule: str | None, shape: torch.Size) -> float:
    rows, columns = shape
    return 0.2 * math.sqrt(max(rows, columns)) if rule == "match_rms_adamw" else math.sqrt(max(1, rows / columns))


def _check(group: dict[str, Any]) -> None:
    for name in ("lr", "weight_decay", "momentum"):
        value = group[name]
        if isinstance(value, torch.Tensor) and value.numel() != 1:
            raise ShapeError(f"{name} must be one number, got a tensor of shape {tuple(value.shape)}")
        if not float(value) >= 0.0:
            raise OptionError(f"{name} must be at least 0, got {value}")
    if not group["eps"] > 0.0:
        raise OptionError(f"eps must be above 0, got {group['eps']}")
    _check_iteration(group)
    for parameter in group["params"]:
        if parameter.ndim != 2:
            raise ShapeError(
                f"Muon is for matrices, got a parameter of shape {tuple(parameter.shape)}; give the others to AdamW"
            )
        if not parameter.is_floating_point():
            raise DTypeError(f"Muon needs real parameters, got {parameter.dtype}")


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
    if group["schedule"] is not None:
        group["schedule"] = as_rows(group["schedule"])
