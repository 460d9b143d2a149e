"""Blocks of rows: the certificate of a matrix that is read in pieces is that of the matrix in memory."""

import dask.array
import numpy as np
import pytest

import infimum
from infimum import errors, lowrank
from infimum.scale import RowBlocks
from tests.lowrank.exact import at_least, at_most, squared_loss, squared_tails
from tests.lowrank.hostile import matrices, with_spectrum
from tests.lowrank.test_operators import no_column_certificate_is_false


@pytest.fixture(scope="module")
def matrix():
    return with_spectrum(np.random.default_rng(0), 300, 80, 0.8 ** np.arange(80))


def sources(M, folder):
    np.save(folder / "M.npy", M)
    return {
        "array": RowBlocks(M, rows=37),
        "dask": RowBlocks(dask.array.from_array(M, chunks=(70, 30)), rows=50),
        "file": RowBlocks(folder / "M.npy", rows=64),
        "map": RowBlocks(np.load(folder / "M.npy", mmap_mode="r")),
    }


@pytest.mark.parametrize("kind", ["array", "dask", "file", "map"])
@pytest.mark.parametrize("method", ["auto", "exact", "gram", "krylov", "randomized"])
def test_same_certificate_as_in_memory(matrix, tmp_path, kind, method):
    blocks = sources(matrix, tmp_path)[kind]
    ours, memory = (lowrank.svd(item, 10, method=method, rng=1) for item in (blocks, matrix))
    assert ours.certificate.value == pytest.approx(memory.certificate.value, rel=1e-9)
    assert ours.certificate.lower_bound == pytest.approx(memory.certificate.lower_bound, rel=1e-9)
    infimum.verify(ours, blocks)
    infimum.verify(ours, matrix)


@pytest.mark.parametrize("kind", ["array", "dask", "file", "map"])
@pytest.mark.parametrize("columns", [80, 40])
@pytest.mark.parametrize("axis", [1, 0])
def test_columns_and_rows_as_in_memory(matrix, tmp_path, kind, columns, axis):
    M = matrix[:, :columns]
    blocks = sources(M, tmp_path)[kind]
    ours, memory = (lowrank.interpolative(item, 10, axis=axis, rng=1) for item in (blocks, M))
    assert ours.certificate.theorem == memory.certificate.theorem
    assert ours.certificate.value == pytest.approx(memory.certificate.value, rel=0.02)
    assert ours.certificate.lower_bound == pytest.approx(memory.certificate.lower_bound, rel=1e-9)
    infimum.verify(ours, blocks)
    infimum.verify(ours, M)
    middle = lowrank.cur(blocks, 10, rng=1)
    assert middle.certificate.ratio == pytest.approx(lowrank.cur(M, 10, rng=1).certificate.ratio, rel=0.05)
    infimum.verify(middle, blocks)


def test_exact_choice_as_in_memory(matrix):
    M = matrix[:, :12]
    ours, memory = (lowrank.interpolative(item, 3, method="exact") for item in (RowBlocks(M, rows=40), M))
    assert set(ours.columns) == set(memory.columns)
    assert ours.certificate.gap <= 1e-9
    infimum.verify(ours, M)


def test_tall_matrix_is_never_in_memory(monkeypatch):
    """Rows of a matrix of 20,000 rows: the products stay thin, and no array of its size is formed."""
    rng = np.random.default_rng(2)
    M = rng.standard_normal((20_000, 120)) * 0.8 ** np.arange(120)
    blocks = RowBlocks(M, rows=1000)
    monkeypatch.setattr(RowBlocks, "dense", None)
    for axis in (0, 1):
        result = lowrank.interpolative(blocks, 10, axis=axis, rng=0)
        assert result.certificate.ratio < 2
    assert lowrank.cur(blocks, 10, rng=0).certificate.ratio < 2


def test_tiny_tails_are_resolved_by_blocks():
    M = with_spectrum(np.random.default_rng(1), 200, 30, 10.0 ** -np.arange(0, 15, 0.5))
    certificate = lowrank.svd(RowBlocks(M, rows=20), 20).certificate
    assert certificate.ratio < 1.01


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.float16, np.int32])
def test_dtypes(matrix, dtype):
    M = (100 * matrix).astype(dtype)
    result = lowrank.svd(RowBlocks(M, rows=99), 4)
    assert result.U.dtype == (np.float64 if dtype is np.int32 else dtype)
    infimum.verify(result, M)


@pytest.mark.parametrize("count", [72, pytest.param(2500, marks=pytest.mark.slow)])
def test_no_certificate_is_false(count):
    rng = np.random.default_rng(1)
    for label, M in matrices(count, seed=22):
        M = M if M.shape[0] >= M.shape[1] else M.T
        rank = int(rng.integers(1, M.shape[1] + 1))
        result = lowrank.svd(RowBlocks(M, rows=2), rank, method=["auto", "krylov"][rank % 2], rng=2)
        wide = np.complex128 if np.iscomplexobj(M) else np.float64
        loss = squared_loss(M, (result.U.astype(wide), np.diag(result.s).astype(wide), result.Vh.astype(wide)))
        assert at_most(result.certificate.lower_bound, squared_tails(M)[rank]), (label, rank)
        assert at_least(result.certificate.value, loss), (label, rank)
        no_column_certificate_is_false(RowBlocks(M, rows=2), label, M.astype(wide), rank)


def test_dask_arrays_are_told_the_way(matrix):
    with pytest.raises(errors.LibraryError, match="RowBlocks"):
        lowrank.svd(dask.array.from_array(matrix), 3)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ([[1.0]], errors.LibraryError, "shape"),
        (np.ones((2, 3)), errors.ShapeError, r"\(2, 3\)"),
        (np.ones((2, 0)), errors.ShapeError, r"\(2, 0\)"),
        (np.array([["a"]]), errors.DTypeError, "numbers"),
    ],
)
def test_bad_sources(source, error, message):
    with pytest.raises(error, match=message):
        RowBlocks(source)


def test_bad_files(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"no numbers")
    with pytest.raises(errors.FileFormatError, match="cannot be read"):
        RowBlocks(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.asfortranarray(np.ones((3, 2))))
    with pytest.raises(errors.FileFormatError, match="row by row"):
        RowBlocks(tmp_path / "b.npy")


def test_bad_entries_are_found_on_the_way(matrix):
    M = matrix.copy()
    M[250, 3] = np.nan
    with pytest.raises(errors.NonFiniteError, match="source"):
        lowrank.svd(RowBlocks(M, rows=100), 3)
