"""Blocks of GGML: what is written is read by the reference, bit by bit, and its grids are ones the theorem takes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from infimum.compress.menu.ggml_blocks import BLOCK_TYPES, block_types, read_blocks, row_bytes, write_blocks
from infimum.compress.menu.rounding import Factors, Rounded, factors, round_matrix
from infimum.errors import VerificationError
from infimum.proof.theorems.grid_rounding import ask_grid

ROWS, COLUMNS = 6, 512
KINDS = pytest.mark.parametrize("name", BLOCK_TYPES)


def matrix(seed: int = 0, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """Rows of unlike size, one of them without negative numbers and one of zeros."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((rows, columns)) * np.geomspace(1e-3, 10.0, rows)[:, None]
    W[1], W[2] = np.abs(W[1]), 0.0
    return W


def nothing(size: int) -> Factors:
    return factors(np.eye(size), 0.0)


def rounded(name: str, W: np.ndarray) -> Rounded:
    return round_matrix(W, nothing(W.shape[1]), nothing(len(W)), BLOCK_TYPES[name].shape)


def values(stored: Rounded) -> np.ndarray:
    return stored.grid.values(stored.integers)


def fields(name: str, blocks: np.ndarray) -> dict[str, np.ndarray]:
    """Return views into the float16 of each block."""
    kind, parts, start = BLOCK_TYPES[name], {}, 0
    whole = blocks.reshape(-1, kind.bytes)
    for field in kind.fields:
        parts[field] = whole[:, start : start + kind.width(field)]
        start += kind.width(field)
    return parts


def some_bytes(name: str, seed: int = 0) -> np.ndarray:
    """Return blocks as another writer may have written them: any bytes, with units that are finite and not negative."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (ROWS, row_bytes(name, COLUMNS)), dtype=np.uint8)
    for field, part in fields(name, blocks).items():
        if field in ("d", "m"):
            part[:] = np.abs(rng.standard_normal(len(part))).astype("<f2").view(np.uint8).reshape(-1, 2)
    return blocks


@KINDS
def test_the_reference_reads_the_same_numbers(name: str) -> None:
    gguf = pytest.importorskip("gguf")
    kind = gguf.GGMLQuantizationType[name]
    assert (kind.value, gguf.GGML_QUANT_SIZES[kind]) == (
        BLOCK_TYPES[name].number,
        (BLOCK_TYPES[name].columns, BLOCK_TYPES[name].bytes),
    )
    stored = rounded(name, matrix())
    theirs = gguf.quants.dequantize(write_blocks(stored, name), kind)
    assert theirs.dtype == np.float32
    assert np.array_equal(values(stored), theirs.astype(np.float64))
    for seed in range(3):
        blocks = some_bytes(name, seed)
        ours = values(read_blocks(blocks, name))
        assert np.array_equal(ours, gguf.quants.dequantize(blocks, kind).astype(np.float64))
        if not BLOCK_TYPES[name].shape.offset:  # what has offsets has scales that are not negative
            fields(name, blocks)["d"][:, 1] ^= 0x80
            ours = values(read_blocks(blocks, name))
            assert np.array_equal(ours, gguf.quants.dequantize(blocks, kind).astype(np.float64))


@KINDS
def test_what_is_written_is_read(name: str) -> None:
    stored = rounded(name, matrix())
    blocks = write_blocks(stored, name)
    assert (blocks.dtype, blocks.shape) == (np.uint8, (ROWS, row_bytes(name, COLUMNS)))
    again = read_blocks(blocks, name)
    assert np.array_equal(values(again), values(stored))
    ask_grid(again.grid, (ROWS, COLUMNS))
    assert np.array_equal(write_blocks(again, name), blocks)


@KINDS
def test_every_byte_counts(name: str) -> None:
    blocks = write_blocks(rounded(name, np.random.default_rng(1).standard_normal((ROWS, COLUMNS))), name)
    before = values(read_blocks(blocks, name))
    for place in range(BLOCK_TYPES[name].bytes):
        changed = blocks.copy()
        changed[0, place] ^= 1
        after = values(read_blocks(changed, name))
        assert not np.array_equal(before, after)
        assert np.array_equal(before[1:], after[1:])


@KINDS
def test_a_scale_that_no_writer_gives_is_refused(name: str) -> None:
    blocks = some_bytes(name)
    fields(name, blocks)["d"][0] = np.frombuffer(np.float16(np.nan).tobytes(), np.uint8)
    with pytest.raises(VerificationError, match="scales must be finite"):
        ask_grid(read_blocks(blocks, name).grid, (ROWS, COLUMNS))
    blocks = some_bytes(name)
    if BLOCK_TYPES[name].shape.offset:
        fields(name, blocks)["d"][0, 1] |= 0x80
        with pytest.raises(VerificationError, match="scales must not be negative"):
            ask_grid(read_blocks(blocks, name).grid, (ROWS, COLUMNS))


def test_types_fill_their_rows() -> None:
    legacy = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
    assert block_types(576) == legacy
    assert block_types(512) == list(BLOCK_TYPES)
    assert block_types(40) == []
    assert [row_bytes(name, 256) for name in BLOCK_TYPES] == [144, 160, 176, 192, 272, 84, 110, 144, 176, 210]


def test_more_bits_lose_less_and_never_more_than_the_whole_range_does() -> None:
    gguf = pytest.importorskip("gguf")
    W = np.random.default_rng(3).standard_normal((8, COLUMNS))
    lost = {name: float(np.linalg.norm(values(rounded(name, W)) - W)) for name in BLOCK_TYPES}
    for order in (["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0"], ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]):
        assert sorted(order, key=lambda name: -lost[name]) == order
    for name in block_types(32):
        kind = gguf.GGMLQuantizationType[name]
        theirs = gguf.quants.dequantize(gguf.quants.quantize(W.astype(np.float32), kind), kind)
        assert lost[name] < float(np.linalg.norm(theirs - W))


@pytest.mark.parametrize("name", ["Q4_1", "Q3_K", "Q4_K"])
def test_errors_make_up_for_each_other_in_the_norm(name: str) -> None:
    rng = np.random.default_rng(5)
    W = rng.standard_normal((12, 256))
    X = rng.standard_normal((400, 256)) @ rng.standard_normal((256, 256))
    C, Y = X.T @ X / len(X), rng.standard_normal((200, 12)) @ rng.standard_normal((12, 12))
    G = Y.T @ Y / len(Y)
    shape = BLOCK_TYPES[name].shape
    adaptive = round_matrix(W, factors(C, 0.0), factors(G, 0.0), shape).loss(W, C, G)
    assert adaptive < 0.5 * rounded(name, W).loss(W, C, G)
