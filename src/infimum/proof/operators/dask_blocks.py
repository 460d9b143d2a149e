"""A Dask array: what is as long as its longer side stays in chunks where they are, and only small matrices travel."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np

from infimum._arrays import (
    Array,
    is_complex,
    like_array,
    namespace,
    require_finite,
    times_power_of_two,
    to_numpy,
    widen,
    working,
)
from infimum._linalg import adjoint, frobenius, gram, longest_sum, residual_norm, with_rounding
from infimum._spread import at_hand, in_chunks, settled
from infimum.errors import ShapeError
from infimum.proof.operators.operator import Operator
from infimum.proof.operators.row_blocks import BLOCK_BYTES, RowBlocks

UNSCALED = 64  # powers of two within which norms of chunks are ordinary: their fourth powers fit double precision
FAN = 4  # matrices that are added up, or decomposed together, by one task of a tree


class DaskBlocks(RowBlocks):
    """A Dask array, tall or wide. Every pass is one graph, run by whatever scheduler the user has chosen.

    Dask adds partial sums in an order of its own, and the allowances hold for any. A worker that is lost takes chunks
    with it that Dask forms again.
    """

    source: Any

    def __init__(self, source: Any, rows: int | None = None) -> None:
        super().__init__(source, rows)
        self.outer = like_array(self.outer, source)
        self._scale: tuple[int, float] | None = None

    @staticmethod
    def _require_shape(shape: tuple[int, ...]) -> None:
        if len(shape) != 2 or not all(length > 0 for length in shape):  # the length of chunks of unknown size is NaN
            raise ShapeError(
                "source must be a matrix with at least one row and one column, and chunks of known sizes (see its "
                f"compute_chunk_sizes), got shape {shape}"
            )

    def anew(self) -> DaskBlocks:
        """Return the same matrix, of which nothing is known yet: who proves looks for himself."""
        return DaskBlocks(self.source, self.rows)

    def adjoint(self) -> Operator:
        """Return the conjugate transpose, of the same chunks."""
        return self._turned

    @cached_property
    def _turned(self) -> DaskBlocks:
        turned = DaskBlocks(self.source.conj().T)
        turned.name, turned._scale, turned.__dict__["_turned"] = self.name, self._scale, self
        return turned

    @property
    def compressible(self) -> bool:
        """Whether it is tall."""
        return self.shape[0] >= self.shape[1]

    @property
    def longest_sum(self) -> int:
        """That of the chunks."""
        return longest_sum(*self._tall(self.source).chunks[0])

    @property
    def _sizes(self) -> tuple[int, float]:
        """Exponent and energy."""
        if self._scale is None:
            self._pass(lambda M: ())
        assert self._scale is not None
        return self._scale

    def _pass(self, form: Callable[[Any], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Look at every chunk once: form arrays from the scaled one, and leave them where its chunks are.

        The first pass finds out the scale besides, and nearly always there is nothing to be scaled; else it has to be
        made again.
        """
        if self._scale is None:
            counts = [(number,) * len(sizes) for number, sizes in zip((1, 2), self.source.chunks, strict=True)]
            seen = self.source.map_blocks(_measured, dtype=np.float64, chunks=counts, meta=np.empty((0, 0)))
            seen, *formed = settled(seen, *form(self.source.map_blocks(_of_ordinary_size, dtype=self.like.dtype)))
            self._note(to_numpy(seen))
            if self.exponent == 0:
                return tuple(formed)
        return settled(*form(self._scaled(self.exponent)))

    def _note(self, seen: np.ndarray) -> None:
        require_finite(seen, self.name)
        exponents, energies = seen[:, ::2].ravel(), seen[:, 1::2].ravel()
        exponent = int(np.max(exponents[energies > 0.0], initial=-5000)) if np.any(energies > 0.0) else 0
        scaled = (math.ldexp(e, 2 * (int(own) - exponent)) for own, e in zip(exponents, energies, strict=True))
        self._scale = self._turned._scale = exponent, math.fsum(scaled)

    def _scaled(self, exponent: int) -> Any:
        """Return the array in working precision, not computed."""
        return self.source.map_blocks(_widened, -exponent, dtype=self.like.dtype)

    def _cut(self, thin: Array, rows: Any, columns: Any) -> Any:
        """Cut a thin array along chunks of the source."""
        if in_chunks(thin):
            return thin.rechunk((rows, columns))
        return sys.modules["dask.array"].from_array(thin, chunks=(rows, columns))

    def _kept(self, product: Any, axis: int) -> Array:
        """Return a product that is as long as this side: in chunks if that is the longer one, else at hand."""
        return product if (axis == 0) == self.compressible else at_hand(product)

    def times(self, X: Array) -> Array:
        """Multiply from the left."""
        X = self._cut(X, self.source.chunks[1], -1)
        (product,) = self._pass(lambda M: (M @ X,))
        return self._kept(product, 0)

    def adjoint_times(self, Y: Array) -> Array:
        """Multiply by the conjugate transpose."""
        Y = self._cut(Y, self.source.chunks[0], -1)
        (product,) = self._pass(lambda M: (M.conj().T @ Y,))
        return self._kept(product, 1)

    def gram_times(self, X: Array) -> tuple[Array, Array]:
        """Multiply by the matrix and its adjoint, in one pass where it is tall."""
        if not self.compressible:
            return super(RowBlocks, self).gram_times(X)
        X = self._cut(X, self.source.chunks[1], -1)

        def both(M: Any) -> tuple[Any, Any]:
            image = M @ X
            return image, M.conj().T @ image

        image, product = self._pass(both)
        return self._kept(image, 0), self._kept(product, 1)

    def sketch(self, width: int, rng: np.random.Generator) -> Array:
        """Multiply the conjugate transpose by a Gaussian block, which is drawn where the chunks are."""
        if not self.compressible:
            return super().sketch(width, rng)
        rows = self.source.chunks[0]
        draw = partial(_drawn, seed=int(rng.integers(2**63)), like=self.like)
        return self.adjoint_times(
            sys.modules["dask.array"].map_blocks(draw, chunks=(rows, (width,)), dtype=self.like.dtype, meta=self.like)
        )

    def gram(self) -> Array:
        """Multiply a tall matrix by its own adjoint, once."""
        return self._gram

    @cached_property
    def _gram(self) -> Array:
        return at_hand(*self._pass(lambda M: (self._tree(M, gram, _sum),)))

    def compressed(self) -> Array:
        """Triangular factor of the QR decomposition of a tall matrix, by a tree of those of the chunks, once."""
        return self._triangle

    @cached_property
    def _triangle(self) -> Array:
        return at_hand(*self._pass(lambda M: (self._tree(M, _triangle, _triangle),)))

    def _tall(self, M: Any) -> Any:
        """Return the array in chunks of whole rows, of no more than a block where they have to be put together."""
        if len(M.chunks[1]) == 1:
            return M
        fitting = max(1, 2 * BLOCK_BYTES // (self.shape[1] * self.like.dtype.itemsize))
        parts = (-(-length // fitting) for length in M.chunks[0])
        pieces = (
            (length // count + (i < length % count) for i in range(count))
            for length, count in zip(M.chunks[0], parts, strict=True)
        )
        return M.rechunk((tuple(size for sizes in pieces for size in sizes if size), -1))

    def _tree(self, M: Any, of_block: Callable[..., Array], together: Callable[..., Array]) -> Any:
        """Form an (n, n) matrix of each block of rows, and put a few together until one is left."""
        return sys.modules["dask.array"].reduction(
            self._tall(M),
            chunk=partial(_alone, of_block),
            aggregate=partial(_alone, together),
            axis=0,
            keepdims=True,
            dtype=self.like.dtype,
            split_every=FAN,
            output_size=self.shape[1],
            meta=self.like,
        )

    def distance(self, left: Array, right: Array, room: float = 1.0) -> float:
        """Norm of the residual, which stays where the chunks are."""
        rows, columns = self.source.chunks
        L, R = self._cut(left, rows, -1), self._cut(right, -1, columns)
        one = {"i": lambda length: 1, "j": lambda length: 1}
        residual = partial(
            sys.modules["dask.array"].blockwise, _residual, "ij", dtype=np.float64, concatenate=True, adjust_chunks=one
        )
        norms = to_numpy(*self._pass(lambda M: (residual(M, "ij", L, "ik", R, "kj", meta=np.empty((0, 0))),)))
        return with_rounding(math.hypot(*norms.ravel()), math.sqrt(self.energy), left, right, self.eps, room)

    def take(self, indices: np.ndarray, axis: int) -> Array:
        """Gather rows or columns."""
        part = self.source[:, indices] if axis else self.source[indices]
        (part,) = self._pass(lambda M: (part.astype(self.outer.dtype).rechunk({axis: -1}),))
        return self._kept(part, 1 - axis)

    def holds(self, part: Array, indices: np.ndarray, axis: int) -> bool:
        """Compare where the chunks are, in one pass with the Gram matrix: who asks this will ask for that."""
        if not self.compressible:
            return self._turned.holds(adjoint(part), indices, 1 - axis)
        mine = self.source[:, indices] if axis else self.source[indices]
        same = (mine.astype(self.outer.dtype) == part).all()
        if self.shape[1] <= self.gram_limit:
            same, product = self._pass(lambda M: (same, self._tree(M, gram, _sum)))
            self.__dict__["_gram"] = at_hand(product)
        return bool(same)

    def energies(self, axis: int) -> np.ndarray:
        """Squared lengths of columns or rows."""
        return to_numpy(*self._pass(lambda M: ((abs(M) ** 2).sum(axis=axis),)))

    def sum_of_rows(self, share: float) -> np.ndarray:
        """Sum of a share of the rows as they are, in working precision."""
        return to_numpy(*self._pass(lambda M: ((share * self.source.astype(self.like.dtype)).sum(axis=0),)))

    def less(self, mean: Array) -> RowBlocks:
        """Return the matrix with one vector taken off all rows."""
        return DaskBlocks(self.source.astype(self.like.dtype) - like_array(mean, self.like)[None, :])


def _measured(block: Array) -> np.ndarray:
    """Return exponent and energy of a chunk, 0 where its norm is ordinary; NaN where an entry is not finite."""
    if 0 in block.shape:
        return np.array([[0.0, 0.0]])
    wide = widen(_floating(block))
    with np.errstate(over="ignore", invalid="ignore"):
        energy = frobenius(wide) ** 2
    if 4.0**-UNSCALED < energy < 4.0**UNSCALED:  # one look at the entries is enough, nearly always
        return np.array([[0.0, energy]])
    scaled = working(wide)
    energy = frobenius(scaled.array) ** 2
    return np.array([[float(scaled.exponent), energy if math.isfinite(energy) else np.nan]])


def _of_ordinary_size(block: Array) -> Array:
    """Return a chunk in working precision; zeros for one that will have to be refused, or scaled."""
    wide = widen(_floating(block))
    with np.errstate(over="ignore", invalid="ignore"):
        ordinary = 0 in wide.shape or frobenius(wide) < 2.0**UNSCALED
    return wide if ordinary else namespace(wide=wide).zeros_like(wide)


def _floating(block: Array) -> Array:
    return block if block.dtype.kind in "fc" else block.astype(np.float64)


def _widened(block: Array, exponent: int) -> Array:
    return times_power_of_two(widen(_floating(block)), exponent)


def _drawn(seed: int, like: Array, block_info: Any = None) -> Array:
    """Draw the rows of a Gaussian block that belong to one chunk."""
    place, shape = block_info[None]["chunk-location"], block_info[None]["chunk-shape"]
    rng = np.random.default_rng([seed, place[0]])
    values = rng.standard_normal(shape)
    values = (values + 1j * rng.standard_normal(shape)) / math.sqrt(2.0) if is_complex(like) else values
    return like_array(values, like)


def _alone(function: Callable[[Array], Array], block: Array, axis: Any, keepdims: bool) -> Array:
    """Apply a function of one array as Dask calls those of a reduction."""
    return function(block)


def _sum(stacked: Array) -> Array:
    """Add up square matrices that lie below each other."""
    xp, order = namespace(stacked=stacked), stacked.shape[1]
    return xp.sum(xp.reshape(stacked, (-1, order, order)), axis=0)


def _triangle(stacked: Array) -> Array:
    return np.linalg.qr(stacked, mode="r")


def _residual(block: Array, left: Array, right: Array) -> np.ndarray:
    """Norm of what a product leaves of a chunk, without any allowance."""
    return np.array([[residual_norm(block, left, right, 0.0, 0.0, 0.0) if 0 not in block.shape else 0.0]])
