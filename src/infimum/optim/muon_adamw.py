"""Muon for the matrices of a model and AdamW for all else, in one optimizer."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch.optim.adamw import adamw

from infimum._arguments import one_of
from infimum.errors import DTypeError, OptionError
from infimum.optim.matrices import Layout, Split
from infimum.optim.muon import JORDAN, Adjustment, Muon, check_rates
from infimum.optim.newton_schulz import EPS, Table

ALGORITHMS = ("muon", "adamw")
STATE = ("exp_avg", "exp_avg_sq", "step")  # as torch.optim.AdamW names it
COMMON = ("lr", "weight_decay", "foreach", "eps")


class MuonAdamW(Muon):
    """Muon and AdamW in one optimizer: one state_dict, one scheduler, one gradient scaler for a whole model.

    Every group says by its key `algorithm`, "muon" or "adamw", whose steps it takes, bit for bit those of `Muon` or of
    `torch.optim.AdamW`. `split_parameters` sorts the parameters of a model into such groups.

    Parameters
    ----------
    params : iterable of dict
        Parameter groups, each with the key `algorithm`.
    lr : float or Tensor
        Learning rate of all groups; the rule "match_rms_adamw" makes one rate fit both algorithms.
    weight_decay : float
        Decoupled decay, of either algorithm.
    momentum, nesterov, ns_coefficients, ns_steps, adjust_lr_fn, schedule, layout, split
        Of the groups with "muon": see `Muon`.
    betas : tuple of 2 floats
        Of the groups with "adamw": factors of the moving averages of gradients and of their squares.
    eps : float
        Of the groups with "adamw". Muon's own, for the norm of an update, can be given in its groups.
    foreach : bool
        Tensors of a group go through few large operations together: for "muon" matrices of equal shape.

    Raises
    ------
    OptionError, ShapeError, DTypeError, NonFiniteError
        Each says what was expected, what came, and what to do.

    Examples
    --------
    >>> import torch
    >>> from infimum import optim
    >>> model = torch.nn.Sequential(torch.nn.Embedding(10, 8), torch.nn.Linear(8, 8), torch.nn.LayerNorm(8))
    >>> optimizer = optim.MuonAdamW(optim.split_parameters(model), lr=1e-3)
    >>> [(group["algorithm"], len(group["params"])) for group in optimizer.param_groups]
    [('muon', 1), ('adamw', 1), ('adamw', 3)]
    """

    def __init__(
        self,
        params: Any,
        lr: float | torch.Tensor = 1e-3,
        weight_decay: float = 0.1,
        *,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = JORDAN,
        ns_steps: int = 5,
        adjust_lr_fn: Adjustment | None = "match_rms_adamw",
        schedule: Table | Literal["certified"] | None = "certified",
        layout: Layout = "stack",
        split: Split | None = None,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        foreach: bool = True,
    ) -> None:
        self._adamw: dict[str, Any] = {"betas": betas, "eps": eps}
        options: dict[str, Any] = {
            "ns_coefficients": ns_coefficients,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        options |= {"schedule": schedule, "layout": layout, "split": split, "foreach": foreach}
        super().__init__(params, lr, weight_decay, momentum, nesterov, eps=EPS, **options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, which must say its `algorithm`, after checking its options and parameters."""
        one_of("algorithm of a parameter group", param_group.get("algorithm"), ALGORITHMS)
        adamw_only = self._adamw if param_group["algorithm"] == "adamw" else {}
        super().add_param_group({**adamw_only, **param_group})

    def _check(self, group: dict[str, Any]) -> None:
        if group["algorithm"] == "muon":
            super()._check(group)
            return
        for name in set(self.defaults) - set(COMMON):  # PyTorch gives every group all defaults
            group.pop(name, None)
        check_rates(group, ("lr", "weight_decay"))
        if not all(0.0 <= float(beta) < 1.0 for beta in group["betas"]):
            raise OptionError(f"betas must be from 0 to below 1, got {group['betas']}")

    def _step_group(self, group: dict[str, Any]) -> None:
        if group["algorithm"] == "muon":
            super()._step_group(group)
            return
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if any(gradient.is_sparse for gradient in gradients):
            raise DTypeError("AdamW needs dense gradients, got a sparse one; use an embedding with sparse=False")
        states = [self._averages(parameter) for parameter in parameters]
        exp_avg, exp_avg_sq, steps = ([state[name] for state in states] for name in STATE)
        beta1, beta2 = group["betas"]
        lr, compiling = (
            group["lr"],
            torch.compiler.is_compiling(),
        )  # of a graph rate and count of steps are inputs: tensors
        adamw(
            parameters,
            gradients,
            exp_avg,
            exp_avg_sq,
            [],
            steps,
            foreach=group["foreach"],
            amsgrad=False,
            capturable=compiling,
            beta1=beta1,
            beta2=beta2,
            lr=torch.ones((), dtype=torch.float64) * lr if compiling else lr,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    def _averages(self, parameter: torch.Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            averages, count = STATE[:2], STATE[2]
            state.update({name: torch.zeros_like(parameter, memory_format=torch.preserve_format) for name in averages})
            state[count] = torch.tensor(0.0)
        return state
