"""The ways in which a layer is stored as integers of few bits, and the bytes that each takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from infimum.compress.menu.compressed_tensors import Packed
from infimum.compress.menu.forms import BitFactorsForm, BitsForm
from infimum.compress.menu.ggml_blocks import Blocks
from infimum.compress.menu.grid_loops import Shape
from infimum.nn.packed import packed_width

BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)
NARROW_BITS, NARROW_GROUPS = (2, 3, 4), (64, 32, 128)  # with channels removed: more bits do better with all channels
FACTOR_BITS = 6  # 8 are no better, 5 lose what the ranks that they pay for gain
RATES = (0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)  # bits a weight of two factors: 2 bits do better
SCALE_BYTES = 2  # float16


class Alternative(NamedTuple):
    """Integers of so many bits, a scale for each group of columns: of one matrix, or of two factors of a rank.

    The left factor, of a rank that need not be a multiple of anything, has a scale for each row.
    """

    bits: int
    group: int
    rank: int = 0

    @property
    def form(self) -> str:
        """Name of the form in which the layer is stored."""
        return BitFactorsForm.name if self.rank else BitsForm.name

    @property
    def grid(self) -> Shape:
        """What the grid of the layer, or of its right factor, may be."""
        return Shape(self.bits, self.group)

    def bytes(self, shape: tuple[int, int]) -> int:
        """Bytes of the integers, zeros and scales of a layer."""
        m, n = shape
        if self.rank == 0:
            return _bytes(m, n, self.bits, self.group)
        return _bytes(m, self.rank, self.bits, self.rank) + _bytes(self.rank, n, self.bits, self.group)


AnyAlternative: TypeAlias = Alternative | Packed | Blocks


def _bytes(m: int, n: int, bits: int, group: int) -> int:
    groups = n // group
    return m * (packed_width(n, bits) + packed_width(groups, bits) + SCALE_BYTES * groups)


def numbers_in(size: int, item: int) -> int:
    """Return how many numbers of `item` bytes take as many bytes, rounded upwards."""
    return -(-size // item)


def alternatives_of(shape: tuple[int, int], item: int, *, ranks: bool) -> tuple[Alternative, ...]:
    """Return what is smaller than a layer itself, whose numbers have `item` bytes, cheapest first."""
    groups = [group for group in GROUPS if shape[1] % group == 0] or [shape[1]]
    every = [Alternative(bits, group) for bits in BITS for group in groups]
    return _smaller([*every, *(_factors(shape) if ranks else ())], shape, item)


def narrow_alternatives(shape: tuple[int, int], item: int) -> tuple[Alternative, ...]:
    """Return what is smaller than a layer that lost inputs or outputs and has this shape, cheapest first."""
    group = next((group for group in NARROW_GROUPS if shape[1] % group == 0), shape[1])
    return _smaller([Alternative(bits, group) for bits in NARROW_BITS], shape, item)


def vocabulary_alternatives(shape: tuple[int, int], item: int) -> tuple[Alternative, ...]:
    """Return what is smaller than embeddings or an output head, which are large and have one group, cheapest first."""
    group = next((group for group in NARROW_GROUPS if shape[1] % group == 0), shape[1])
    return _smaller([Alternative(bits, group) for bits in BITS], shape, item)


def _factors(shape: tuple[int, int]) -> Iterator[Alternative]:
    m, n = shape
    group = next((group for group in reversed(GROUPS) if n % group == 0), n)
    for rate in RATES:
        rank = int(rate * m * n / (FACTOR_BITS * (m + n)))
        if 0 < rank < min(shape):
            yield Alternative(FACTOR_BITS, group, rank)


def _smaller(every: list[Alternative], shape: tuple[int, int], item: int) -> tuple[Alternative, ...]:
    """Keep one alternative of each cost, the first, if it is below that of the layer in its dtype."""
    firsts = {numbers_in(one.bytes(shape), item): one for one in reversed(every)}
    return tuple(firsts[cost] for cost in sorted(firsts) if cost < shape[0] * shape[1])
