"""Products of groups of rows with a matrix for each group, as operators that a compiler need not look into."""

from __future__ import annotations

from typing import Any

import torch


def grouped_linear(x: torch.Tensor, weight: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Multiply the rows of each group with the transposed matrix of the group.

    `x` (m, d) holds the rows of the groups one after the other, as many as `sizes` (n,) says; those beyond them give 0.
    `weight` is (n, out, d), the product (m, out).
    """
    product: torch.Tensor = _Linear.apply(x, weight, sizes)  # type: ignore[no-untyped-call]
    return product


def grouped_outer(g: torch.Tensor, x: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Return the product of `g` (m, out), transposed, and `x` (m, d) for the rows of each group: (n, out, d)."""
    products: torch.Tensor = _Outer.apply(g, x, sizes)  # type: ignore[no-untyped-call]
    return products


@torch.library.custom_op("infimum::grouped_linear", mutates_args=())
def _linear(x: torch.Tensor, weight: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    y = x.new_zeros(x.shape[0], weight.shape[1])
    for rows, out, matrix in zip(*_cut(sizes, x, y), weight, strict=True):
        torch.mm(rows, matrix.t(), out=out)
    return y


@torch.library.custom_op("infimum::grouped_outer", mutates_args=())
def _outer(g: torch.Tensor, x: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    products = g.new_empty(sizes.shape[0], g.shape[1], x.shape[1])
    for left, right, out in zip(*_cut(sizes, g, x), products, strict=True):
        torch.mm(left.t(), right, out=out)
    return products


def _cut(sizes: torch.Tensor, *tensors: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    lengths = sizes.tolist()
    return [torch.split(tensor[: sum(lengths)], lengths) for tensor in tensors]


@_linear.register_fake
def _(x: torch.Tensor, weight: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    return x.new_empty(x.shape[0], weight.shape[1])


@_outer.register_fake
def _(g: torch.Tensor, x: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    return g.new_empty(sizes.shape[0], g.shape[1], x.shape[1])


class _Grouped(torch.autograd.Function):
    """Both products are linear in either factor, and each gives the gradients of the other: any number of times."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs)


class _Linear(_Grouped):
    @staticmethod
    def forward(x: torch.Tensor, weight: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = _linear(x, weight, sizes)
        return product

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (g,), (x, weight, sizes) = gradients, ctx.saved_tensors
        by_x = grouped_linear(g, weight.transpose(1, 2), sizes) if ctx.needs_input_grad[0] else None
        return by_x, grouped_outer(g, x, sizes) if ctx.needs_input_grad[1] else None, None


class _Outer(_Grouped):
    @staticmethod
    def forward(g: torch.Tensor, x: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        products: torch.Tensor = _outer(g, x, sizes)
        return products

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (c,), (g, x, sizes) = gradients, ctx.saved_tensors
        return grouped_linear(x, c, sizes), grouped_linear(g, c.transpose(1, 2), sizes), None
