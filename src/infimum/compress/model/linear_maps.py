"""Which modules of a model are linear layers: by what they compute, not by what they are called."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from infimum.nn.patches import kernel_of

SMALL = 3, 4  # outputs and inputs of the copy that is tried


def shape_of(module: torch.nn.Module) -> tuple[int, int] | None:
    """Return outputs and inputs of a linear layer; None of what is none, or does more than its weight and bias say."""
    if type(module) is Conv1D:
        columns, rows = module.weight.shape
        return rows, columns
    if kernel_of(module):
        weight: torch.Tensor = module.weight  # type: ignore[assignment]
        return weight.shape[0], weight[0].numel()
    if isinstance(module, torch.nn.Linear) and (type(module) is torch.nn.Linear or _is_linear(module)):
        return module.out_features, module.in_features
    return None


def _is_linear(module: torch.nn.Linear) -> bool:
    """Try on a small copy whether a layer multiplies by its weight and adds its bias, and does nothing else."""
    if {name for name, _ in module.named_parameters()} - {"weight", "bias"}:
        return False
    (m, n), generator = SMALL, torch.Generator().manual_seed(0)
    small: Any = copy.deepcopy(module)
    small.out_features, small.in_features = SMALL
    for name, shape in (("weight", SMALL), ("bias", (m,))):
        if getattr(small, name) is not None:
            setattr(small, name, torch.nn.Parameter(torch.randn(shape, generator=generator)))
    x = torch.randn((1, 2, n), generator=generator)
    try:
        with torch.no_grad():
            y, truth = small.eval()(x), torch.nn.functional.linear(x, small.weight, small.bias)
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError):
        return False
    return isinstance(y, torch.Tensor) and y.shape == truth.shape and bool(torch.allclose(y, truth, atol=1e-5))
