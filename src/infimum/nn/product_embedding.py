"""An embedding whose n vectors are made of a + b + c stored rows, n = a*b + c."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from torch.nn import functional

from infimum._arguments import Numbers, one_of, whole_number
from infimum._arrays import as_matrix
from infimum._linalg import norm
from infimum.errors import DTypeError, OptionError, ShapeError
from infimum.integers import ProductPlusRemainder, product_plus_remainder
from infimum.lowrank import svd
from infimum.proof.certificate import Certificate
from infimum.proof.theorems import eckart_young

Combine = Literal["multiply", "add", "concatenate"]


class ProductEmbedding(torch.nn.Embedding):
    """An embedding with the fewest stored rows in which every pair is used and every other id has a row of its own.

    c private ids have a row each. The others, in order, are the a*b cells of a table: id number k of them combines row
    ``k // b`` of `left` with row ``k % b`` of `right`. Every id has a representation of its own. The numbers a, b, c
    are the exact answer of `infimum.integers.product_plus_remainder`, at the cost of what a row of each table stores.

    It is a `torch.nn.Embedding` to who asks, so that DistributedDataParallel expects sparse gradients; `weight` is the
    table that it stands for, with gradients for the rows, so that an output head can be tied to it. A state dict may
    have other private ids, and another number of them: tables of other sizes are taken as they are. On the meta device
    ``to_empty`` and `reset_parameters` give what the constructor would have drawn.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        n and the length of a vector, as in torch.nn.Embedding.
    private : sequence or tensor of int, optional
        Ids that must have a row of their own. More are added where that saves rows.
    counts : sequence or tensor (num_embeddings,), optional
        How often each id occurs: added private rows go to the most frequent. Default: to the lowest ids.
    combine : {"multiply", "add", "concatenate"}
        How two rows make a vector. "concatenate" stores half vectors in `left` and `right`, so that a private row costs
        as much as two of theirs.
    padding_idx : int, optional
        This id is private, starts as zeros and receives no gradient.
    sparse : bool
        Sparse gradients. A batch also lists row 0 of tables that one of its ids does not use, with a zero gradient.
    dtype, device
        As in torch.nn.Embedding.

    Attributes
    ----------
    left, right, private : torch.nn.Parameter
        The stored rows: a, b and c of them.
    private_ids : torch.Tensor (c,)
        Sorted ids of the private rows.
    split : ProductPlusRemainder
        The numbers a, b and c (without `private` ids) of the least number of parameters, with the proof: those of the
        constructor's arguments, whatever was loaded since.
    certificate : Certificate or None
        Of `from_embedding`: how near the table came, and how near any tables of this shape and order can come.

    References
    ----------
    .. [1] H.-J. M. Shi, D. Mudigere, M. Naumov, J. Yang, "Compositional embeddings using complementary partitions for
       memory-efficient recommendation systems", KDD (2020), https://arxiv.org/abs/1909.02107.

    Examples
    --------
    >>> import torch, infimum
    >>> layer = infimum.nn.ProductEmbedding(30522, 16)
    >>> layer(torch.tensor([[0, 1, 30521]])).shape, sum(p.numel() for p in layer.parameters()) // 16
    (torch.Size([1, 3, 16]), 360)
    """

    private_ids: torch.Tensor
    padding_row: int | None
    padding_idx: int | None

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        private: Sequence[int] | np.ndarray | torch.Tensor | None = None,
        counts: Numbers | torch.Tensor | None = None,
        combine: Combine = "multiply",
        padding_idx: int | None = None,
        sparse: bool = False,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        torch.nn.Module.__init__(self)  # there is no table for the base class to make
        one_of("combine", combine, get_args(Combine))
        self.num_embeddings = whole_number("num_embeddings", num_embeddings, least=1)
        self.embedding_dim = whole_number("embedding_dim", embedding_dim, least=2 if combine == "concatenate" else 1)
        self.combine, self.sparse = combine, bool(sparse)
        self.max_norm, self.norm_type, self.scale_grad_by_freq = None, 2.0, False  # what an embedding is asked for
        self.padding_idx = None if padding_idx is None else _padding(padding_idx, self.num_embeddings)
        self.certificate: Certificate | None = None
        wanted = _wanted(private, self.padding_idx, self.num_embeddings)
        widths = self._widths()
        self.split: ProductPlusRemainder = product_plus_remainder(
            self.num_embeddings - len(wanted), cost=(*widths, self.embedding_dim)
        )
        self._own_ids = ids = _add_frequent(wanted, self.split.c, counts, self.num_embeddings)
        self.register_buffer("private_ids", ids.to(device))
        self.left = _rows(self.split.a, widths[0], dtype, device)
        self.right = _rows(self.split.b, widths[1], dtype, device)
        self.private = _rows(len(ids), self.embedding_dim, dtype, device)
        self.register_load_state_dict_post_hook(_find_padding_row)  # type: ignore[no-untyped-call]
        self.reset_parameters()

    def _widths(self) -> tuple[int, int]:
        """Length of a row of `left` and of `right`."""
        if self.combine == "concatenate":
            return self.embedding_dim // 2, self.embedding_dim - self.embedding_dim // 2
        return self.embedding_dim, self.embedding_dim

    def reset_parameters(self) -> None:
        """Draw the rows so that every entry of every vector has mean 0 and variance 1, as in torch.nn.Embedding."""
        std = math.sqrt(0.5) if self.combine == "add" else 1.0
        for parameter, scale in ((self.left, std), (self.right, std), (self.private, 1.0)):
            torch.nn.init.normal_(parameter, std=scale)
        if self._own_ids.shape == self.private_ids.shape:
            self.private_ids.copy_(self._own_ids)
        _find_padding_row(self)
        if self.padding_row is not None:
            with torch.no_grad():
                self.private[self.padding_row].zero_()

    @classmethod
    def from_embedding(
        cls,
        weight: torch.Tensor,
        counts: Numbers | torch.Tensor | None = None,
        *,
        private: Sequence[int] | np.ndarray | torch.Tensor | None = None,
        padding_idx: int | None = None,
        sparse: bool = False,
    ) -> Self:
        """Start from a trained table: private rows are copied, the others fitted by products of two rows.

        Minimises the Frobenius norm of the difference of the tables. For every coordinate the composed ids form an
        a x b matrix, and products of two rows are the matrices of rank one: the Eckart-Young theorem gives the best
        ones, and `certificate` what no tables of this shape, over this order of the ids, can get below (in products of
        the stored rows that are not rounded again).

        Parameters
        ----------
        weight : torch.Tensor (n, d)
            The trained vectors; dtype and device are kept.
        counts, private, padding_idx, sparse
            As in the class.

        Returns
        -------
        ProductEmbedding
            With ``combine="multiply"``.
        """
        if not isinstance(weight, torch.Tensor) or not torch.is_floating_point(weight):
            raise DTypeError(f"weight must be a floating-point tensor (n, d), got {type(weight).__name__}")
        weight = as_matrix(weight, "weight")
        layer = cls(
            *weight.shape,
            private=private,
            counts=counts,
            padding_idx=padding_idx,
            sparse=sparse,
            dtype=weight.dtype,
            device=weight.device,
        )
        with torch.no_grad():
            layer.private.copy_(weight[layer.private_ids])
            layer.certificate = layer._fit(weight)
        return layer

    def _fit(self, weight: torch.Tensor) -> Certificate:
        """Fill `left` and `right` with the best products for every coordinate."""
        composed = torch.ones(self.num_embeddings, dtype=torch.bool, device=weight.device)
        composed[self.private_ids] = False
        cells = weight[composed].double().reshape(self.split.a, self.split.b, self.embedding_dim)
        if not cells.numel():
            return Certificate(value=0.0, lower_bound=0.0, theorem=eckart_young.THEOREM, rigour="rounded")
        floors = []
        for coordinate in range(self.embedding_dim):
            best = svd(cells[:, :, coordinate].contiguous(), rank=1)
            root = best.s.sqrt()
            self.left[:, coordinate] = (best.U[:, 0] * root).to(self.left.dtype)
            self.right[:, coordinate] = (best.Vh[0] * root).to(self.right.dtype)
            floors.append(best.certificate.lower_bound)
        products = self.left.double()[:, None, :] * self.right.double()
        eps = torch.finfo(torch.float64).eps
        slack = 1.0 + 4.0 * sum(weight.shape) * eps
        error = norm((cells - products).flatten(0, 1)) + eps * norm(products.flatten(0, 1))
        return Certificate(error * slack, math.hypot(*floors) / slack, eckart_young.THEOREM, "rounded")

    @property
    def weight(self) -> torch.Tensor:  # type: ignore[override]
        """The table that the rows stand for, (n, d), made anew: for a tied head, ``hidden @ embedding.weight.T``."""
        return self.to_dense()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for tables of other sizes, if together they stand for as many ids."""
        names = ("left", "right", "private", "private_ids")
        found = [state_dict.get(prefix + name) for name in names]
        if all(isinstance(item, torch.Tensor) for item in found):
            a, b, c, ids = (len(item) for item in found)  # type: ignore[arg-type]
            if a * b + c == self.num_embeddings and c == ids:
                for name, item in zip(names, found, strict=True):
                    own = getattr(self, name)
                    if own.shape[0] != len(item) and own.shape[1:] == item.shape[1:]:  # type: ignore[arg-type,union-attr]
                        if 0 in (own.shape[0], len(item)) and isinstance(own, torch.nn.Parameter):  # type: ignore[arg-type]
                            own.requires_grad_(own.shape[0] == 0 and self.left.requires_grad)
                        own.data = own.data.new_empty(item.shape)  # type: ignore[union-attr]
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def to_dense(self) -> torch.Tensor:
        """Return the weight of the equal torch.nn.Embedding, (n, d)."""
        return self.forward(torch.arange(self.num_embeddings, device=self.private_ids.device))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Look up ids of any shape; returns (..., d)."""
        if ids.is_floating_point() or ids.is_complex():
            raise DTypeError(f"ids must be whole numbers, got a tensor of {ids.dtype}")
        ids = ids.long().contiguous()
        if self.left.shape[0] * self.right.shape[0] == 0:
            return self._private(ids)
        below = torch.searchsorted(self.private_ids, ids)  # private ids below: what the composed ones are counted by
        if self.private.shape[0] == 0:
            return self._composed(ids)
        row = below.clamp(max=self.private.shape[0] - 1)
        own = self.private_ids[row] == ids
        composed = self._composed(torch.where(own, 0, ids - below))
        return torch.where(own[..., None], self._private(torch.where(own, row, 0)), composed)

    def _private(self, row: torch.Tensor) -> torch.Tensor:
        return functional.embedding(row, self.private, padding_idx=self.padding_row, sparse=self.sparse)

    def _composed(self, cell: torch.Tensor) -> torch.Tensor:
        left = functional.embedding(cell // self.right.shape[0], self.left, sparse=self.sparse)
        right = functional.embedding(cell % self.right.shape[0], self.right, sparse=self.sparse)
        if self.combine == "concatenate":
            return torch.cat([left, right], dim=-1)
        return left * right if self.combine == "multiply" else left + right

    def extra_repr(self) -> str:
        """Describe the layer inside its parent's repr."""
        numbers = f"{self.left.shape[0]} * {self.right.shape[0]} composed, {self.private.shape[0]} private"
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}, {numbers}, combine={self.combine!r}{padding}"


def _rows(count: int, width: int, dtype: torch.dtype | None, device: torch.device | str | None) -> torch.nn.Parameter:
    # a table without rows takes no part: what waits for its gradient (DDP, checkpoints of AdamW) would wait forever
    return torch.nn.Parameter(torch.empty(count, width, dtype=dtype, device=device), requires_grad=count > 0)


def _find_padding_row(layer: Any, *_: Any) -> None:
    """Private ids may have come with a state dict, so the row is looked up again."""
    padding, ids = layer.padding_idx, layer._own_ids if layer.private_ids.is_meta else layer.private_ids
    layer.padding_row = None if padding is None else int(torch.searchsorted(ids, ids.new_tensor(padding)))


def _padding(index: int, n: int) -> int:
    if isinstance(index, bool) or not isinstance(index, int) or not -n <= index < n:
        raise OptionError(f"padding_idx must be a whole number from {-n} to {n - 1}, got {index!r}")
    return index % n


def _wanted(private: Sequence[int] | np.ndarray | torch.Tensor | None, padding: int | None, n: int) -> set[int]:
    ids = [] if private is None else private.tolist() if isinstance(private, torch.Tensor) else list(private)
    numbers = [whole_number("private", item, least=0) for item in ids]
    wanted = set(numbers)
    if len(wanted) < len(numbers) or any(item >= n for item in wanted):
        raise OptionError(f"private must be distinct ids from 0 to {n - 1}, got {len(numbers)} up to {max(numbers)}")
    return wanted if padding is None else wanted | {padding}


def _add_frequent(wanted: set[int], more: int, counts: Numbers | torch.Tensor | None, n: int) -> torch.Tensor:
    """Add the most frequent of the other ids, and sort."""
    weights = torch.zeros(n, dtype=torch.float64) if counts is None else torch.as_tensor(counts).double().cpu()
    if weights.shape != (n,) or not bool(torch.isfinite(weights).all()):
        raise ShapeError(f"counts must be {n} finite numbers, one per id, got shape {tuple(weights.shape)}")
    order = torch.argsort(weights, descending=True, stable=True).tolist()
    others = (item for item in order if item not in wanted)
    return torch.tensor(sorted(wanted | {next(others) for _ in range(more)}), dtype=torch.int64)
