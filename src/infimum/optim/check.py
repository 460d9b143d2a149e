"""Does an optimizer obey the identity on which the memory weights rest? A probe on a small copy."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from infimum._arguments import optional
from infimum._display import Shown

optional("torch", "torch")

import torch  # noqa: E402  (after the check for torch)

from infimum.errors import VerificationError  # noqa: E402
from infimum.memory.sources import coupled_reason  # noqa: E402

STEPS = 12
TOLERANCE = 1e-9  # the probe runs in float64: obedient optimizers stay below 1e-12


@dataclass(frozen=True)
class IdentityCheck(Shown):
    """How nearly an optimizer obeys the identity, as largest relative deviations over `steps` steps.

    Attributes
    ----------
    decay_error : float
        Two runs that differ only in where they start must stay apart by the product of all ``1 - lr * weight_decay``.
    update_error : float
        The update before the learning rate must not depend on where a run starts nor on the learning rate.
    steps : int
        Steps of the probe.
    """

    decay_error: float
    update_error: float
    steps: int


def verify_memory(optimizer: torch.optim.Optimizer) -> IdentityCheck:
    """Check that an optimizer obeys the identity behind `infimum.memory`, so that its reports and designs apply.

    The identity asks that a step does ``theta <- (1 - lr * weight_decay) * theta - lr * u`` where the update u depends
    on the gradients alone. AdamW, Muon, and SGD without momentum do. A small copy of the optimizer, with the same
    options but new parameters and state, is stepped with random gradients in float64; `optimizer` does not change.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Any PyTorch optimizer whose ``step`` needs no closure.

    Returns
    -------
    IdentityCheck
        What was measured.

    Raises
    ------
    VerificationError
        The optimizer does not obey the identity, with the reason: coupled weight decay (L2 inside momentum or the
        moving averages), weight decay that is ignored, or an update that depends on learning rate or weights.

    Examples
    --------
    >>> import torch
    >>> from infimum import optim
    >>> optimizer = torch.optim.AdamW(torch.nn.Linear(4, 3).parameters(), weight_decay=0.1)
    >>> optim.verify_memory(optimizer).decay_error < 1e-12
    True
    """
    reasons = [reason for group in optimizer.param_groups if (reason := coupled_reason(optimizer, group))]
    reference, keep, updates = _probe(optimizer, shift=0.0, period=3)
    shifted, _, shifted_updates = _probe(optimizer, shift=1.0, period=3)
    _, _, other_updates = _probe(optimizer, shift=0.0, period=4)
    decay_error = max(float((b - a - k).abs().max()) for a, b, k in zip(reference, shifted, keep, strict=True))
    update_error = max(
        float((one - other).abs().max() / one.abs().max().clamp_min(1e-30))
        for others in (shifted_updates, other_updates)
        for one, other in zip(updates, others, strict=True)
    )
    if max(decay_error, update_error) > TOLERANCE or reasons:
        reason = reasons[0] if reasons else _reason(decay_error, update_error)
        raise VerificationError(
            f"{type(optimizer).__name__} does not obey theta <- (1 - lr * weight_decay) * theta - lr * u: {reason} "
            f"(deviation of the decay {decay_error:.2g}, of the updates {update_error:.2g})"
        )
    return IdentityCheck(decay_error, update_error, STEPS)


def _reason(decay_error: float, update_error: float) -> str:
    if decay_error > TOLERANCE:
        return "the weights are not multiplied by 1 - lr * weight_decay"
    return "the update depends on the learning rate or on the weights"


def _probe(
    optimizer: torch.optim.Optimizer, *, shift: float, period: int
) -> tuple[list[torch.Tensor], list[float], list[torch.Tensor]]:
    """Step a copy; return its final parameters, the product of their decays, and every update before its rate.

    The learning rate rises and falls with the given period, so that one inside the momentum shows.
    """
    twin = _twin(optimizer)
    generator = torch.Generator().manual_seed(0)
    parameters = [p for group in twin.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.data.normal_(generator=generator).add_(shift)
    base = [(_positive(group["lr"], 1e-3), float(group.get("weight_decay", 0.0))) for group in twin.param_groups]
    keep, updates = [1.0] * len(parameters), []
    for step in range(STEPS):
        groups = zip(twin.param_groups, base, strict=True)
        for index, (group, (lr, decay)) in enumerate(groups):
            group["lr"] = lr * (1.0 + 0.5 * (step % period))
            group["weight_decay"] = min(decay * (1.0 + 0.25 * (step % 2)), 0.5 / group["lr"])
            keep[index] *= 1.0 - group["lr"] * group["weight_decay"]
        before = [p.detach().clone() for p in parameters]
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        type(twin).step(twin)
        for group, old, new in zip(twin.param_groups, before, parameters, strict=True):
            kept = (1.0 - group["lr"] * group["weight_decay"]) * old
            updates.append((kept - new.detach()) / group["lr"])
    return [p.detach() for p in parameters], keep, updates


def _twin(optimizer: torch.optim.Optimizer) -> Any:
    """Copy an optimizer with one small float64 parameter a group and empty state; hooks and schedulers stay behind."""
    twin: Any = copy.copy(optimizer)
    twin.__dict__.pop("step", None)  # a scheduler's wrapper would step the original
    twin.state = defaultdict(dict)
    twin.param_groups = []
    for group in optimizer.param_groups:
        shape = [min(size, 4) for size in group["params"][0].shape]
        options = {name: value for name, value in group.items() if name != "params"}
        if "split" in options:
            options["split"] = None  # lengths of parts fit the whole parameter alone
        small = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        twin.param_groups.append({**copy.deepcopy(options), "params": [small]})
    return twin


def _positive(value: Any, otherwise: float) -> float:
    return float(value) or otherwise
