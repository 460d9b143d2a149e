"""Which layer deserves how many bits: two scores that others use, and the knapsack that shares the bytes by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse
import torch

NOISE = 0.1  # relative size of the disturbance: about that of 4 bits


def by_noise(
    model: Any, names: Iterable[str], distance: Callable[[Any], float], seed: int, noise: float = NOISE
) -> dict[str, float]:
    """Return for each layer what Gaussian noise costs, over its squared relative size: one forward pass a layer.

    `distance(model)` says how far the disturbed model is from the original. Times a rounding's squared relative error
    this is the error of the layer in HIGGS.

    References
    ----------
    .. [1] V. Malinovskii et al., "Pushing the limits of large language model quantization via the linearity theorem",
       arXiv:2411.17525.
    """
    found, generator = {}, torch.Generator().manual_seed(seed)
    for name in names:
        weight = model.get_submodule(name).weight
        original = weight.detach().clone()
        random = torch.randn(weight.shape, generator=generator)
        with torch.no_grad():
            weight.add_(random * (noise * original.norm() / random.norm()))
            found[name] = distance(model) / noise**2
            weight.copy_(original)
    return found


def relative_error(W: np.ndarray, Q: np.ndarray) -> float:
    """Return the squared size of a change over that of the weight."""
    return float(np.sum((W - Q) ** 2) / np.sum(W**2))


def by_gradients(W: np.ndarray, Q: np.ndarray, right: np.ndarray, left: np.ndarray) -> float:
    """Return squared gradients of a layer's outputs times their squared changes, summed over the outputs.

    The score of NVIDIA's Model Optimizer (AutoQuantize), with gradients and changes taken as independent: `right` is
    the moment of the inputs, and of `left`, that of the gradients, only the diagonal is used.
    """
    D = W - Q
    return float(np.diag(left) @ np.sum((D @ right) * D, axis=1))


def share(errors: Sequence[np.ndarray], costs: Sequence[np.ndarray], budget: float) -> list[int] | None:
    """Choose one alternative a layer, of the least sum of errors within the budget, by integer programming.

    None where the cheapest alternatives cost more than the budget.
    """
    if sum(float(cost.min()) for cost in costs) > budget:
        return None
    counts = [len(cost) for cost in costs]
    one_each = scipy.sparse.block_diag([np.ones((1, count)) for count in counts], format="csr")
    cost, error = np.concatenate(costs) / budget, np.concatenate(errors)
    found = scipy.optimize.milp(
        error / error.max(),
        integrality=np.ones(len(error)),
        bounds=(0, 1),
        constraints=[
            scipy.optimize.LinearConstraint(one_each, 1, 1),
            scipy.optimize.LinearConstraint(cost[None], -np.inf, 1),
        ],
        options={"mip_rel_gap": 1e-4, "time_limit": 60.0},
    )
    return [int(part.argmax()) for part in np.split(found.x, np.cumsum(counts)[:-1])]
