"""Convolutions that cut their inputs into patches and multiply each by one matrix: linear layers of patches."""

from __future__ import annotations

from typing import Any, TypeVar

import torch

Layer = TypeVar("Layer", bound=torch.nn.Module)

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def kernel_of(module: torch.nn.Module) -> tuple[int, ...]:
    """Return the sizes of the patches that a convolution cuts without overlap; empty of every other module.

    Its weight, (m, channels, *kernel), is the matrix of m outputs whose columns are the entries of a patch.
    """
    if type(module) not in CONVOLUTIONS:
        return ()
    one: Any = module
    kernel: tuple[int, ...] = one.kernel_size
    apart = one.stride == kernel and one.padding in ("valid", (0,) * len(kernel)) and set(one.dilation) == {1}
    return kernel if apart and one.groups == 1 else ()


def patches(x: torch.Tensor, kernel: tuple[int, ...]) -> torch.Tensor:
    """Cut (..., channels, *sizes) into patches: (..., *places, channels * entries); what is left over is dropped."""
    first = x.dim() - len(kernel)  # of the axes that are cut
    for number, size in enumerate(kernel):
        axis = first + 2 * number
        x = torch.unflatten(x.narrow(axis, 0, x.shape[axis] // size * size), axis, (-1, size))
    places, entries = (tuple(range(first + odd, x.dim(), 2)) for odd in (0, 1))
    return x.permute(*range(first - 1), *places, first - 1, *entries).flatten(-1 - len(kernel))


def of_patches(layer: Layer, kernel: tuple[int, ...]) -> Layer:
    """Let a linear layer take the place of a convolution: it is given patches, and what it returns are channels."""
    vars(layer)["patch"] = kernel
    layer.register_forward_pre_hook(lambda _module, args: (patches(args[0], kernel),))
    layer.register_forward_hook(lambda _module, _args, y: y.movedim(-1, -1 - len(kernel)))
    return layer
