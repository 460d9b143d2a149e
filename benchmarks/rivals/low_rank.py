"""Usual ways to compress a language model, written anew from their papers, for `benchmarks.language_models`.

Each changes a loaded Llama-like model in place and returns how many weights are no longer needed. Plain SVD and the
optimum of SVD-LLM are objectives of `infimum.compress.plan` and need nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.linalg
import torch

from infimum.compress import Checkpoint, Moments, Tokens

ALPHA = 0.5  # the exponent that ASVD recommends
ROWS = 2  # passages in one forward pass


def mean_sizes(checkpoint: Checkpoint, tokens: Tokens) -> dict[str, np.ndarray]:
    """Return the mean absolute value of every input of every linear layer over a text."""
    model = checkpoint.load()
    sums = {layer.name: torch.zeros(layer.shape[1], dtype=torch.float64) for layer in checkpoint.layers}
    with torch.no_grad(), _inputs_added(model, sums):
        for ids, mask in tokens.batches(ROWS):
            model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)
    return {name: total.numpy() / tokens.count for name, total in sums.items()}


@contextmanager
def _inputs_added(model: Any, sums: Mapping[str, torch.Tensor]) -> Iterator[None]:
    def hook(total: torch.Tensor) -> Any:
        def add(_module: Any, args: tuple[torch.Tensor, ...]) -> None:
            total.add_(args[0].abs().flatten(0, -2).sum(dim=0).double())

        return add

    handles = [model.get_submodule(name).register_forward_pre_hook(hook(total)) for name, total in sums.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def asvd(model: Any, sizes: Mapping[str, np.ndarray], remove: float) -> int:
    """Truncate the SVD of every weight, its columns scaled by the mean size of their inputs to the power 1/2.

    Uniform ranks: the search of the paper for layers that bear more, by perplexity, is left out.

    References
    ----------
    .. [1] Z. Yuan et al., "ASVD: activation-aware singular value decomposition for compressing large language models",
       arXiv:2312.05821.
    """
    removed = 0
    for name, size in sizes.items():
        weight = model.get_submodule(name).weight
        m, n = weight.shape
        rank = int((1.0 - remove) * m * n / (m + n))
        scale = np.maximum(size, 1e-6 * size.max()) ** ALPHA  # a channel that is never used is not divided by zero
        U, s, Vh = scipy.linalg.svd(weight.detach().double().numpy() * scale, full_matrices=False)
        smaller = (U[:, :rank] * s[:rank]) @ (Vh[:rank] / scale)
        weight.data.copy_(torch.from_numpy(smaller))
        removed += m * n - rank * (m + n)
    return removed


def modegpt_mlp(model: Any, moments: Moments, remove: float) -> int:
    """Keep the MLP channels of largest ridge leverage, and repair the down projection (Nystrom); uniform widths.

    Of the method's three steps only this one keeps the stock architecture. `remove` is a fraction of all linear
    weights, so that the MLPs give up more than that.

    References
    ----------
    .. [1] C.-H. Lin et al., "MoDeGPT: modular decomposition for large language model compression", ICLR 2025.
    """
    blocks = list(model.model.layers)
    linear = sum(module.weight.numel() for module in blocks[0].modules() if isinstance(module, torch.nn.Linear))
    removed = 0
    for index, block in enumerate(blocks):
        mlp = block.mlp
        d, width = mlp.down_proj.weight.shape
        C = moments.layers[f"model.layers.{index}.mlp.down_proj"].inputs
        kept = _leading(C * moments.tokens.count, width - round(remove * linear / (3 * d)))
        repair = scipy.linalg.solve(C[np.ix_(kept, kept)], C[kept], assume_a="pos")
        for projection in (mlp.gate_proj, mlp.up_proj):
            projection.weight = torch.nn.Parameter(projection.weight.detach()[kept])
        down = mlp.down_proj.weight.detach().double() @ torch.from_numpy(repair.T)
        mlp.down_proj.weight = torch.nn.Parameter(down.to(mlp.down_proj.weight.dtype))
        removed += 3 * d * (width - len(kept))
    return removed


def _leading(C: np.ndarray, count: int) -> np.ndarray:
    """Return the channels of largest ridge leverage ``diag(C (C + I)^-1)``, C summed over the tokens."""
    ridge = np.linalg.inv(C + np.eye(len(C)))
    scores = 1.0 - np.diag(ridge)
    return np.sort(np.argsort(scores)[::-1][:count])
