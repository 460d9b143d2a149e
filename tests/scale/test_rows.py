"""Blocks of rows: the certificate of a matrix that is read in pieces is that of the matrix in memory."""

import dask.array
import numpy as np
import pytest

import infimum
from infimum import errors, lowrank
from infimum.scale import RowBlocks
from tests.lowrank.exact import at_least, at_most, squared_loss, squared_tails
from tests.lowrank.hostile import matrices, with_spectrum


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


def test_no_certificate_is_false():
    rng = np.random.default_rng(1)
    for label, M in matrices(72, seed=22):
        M = M if M.shape[0] >= M.shape[1] else M.T
        rank = int(rng.integers(1, M.shape[1] + 1))
        result = lowrank.svd(RowBlocks(M, rows=2), rank, method=["auto", "krylov"][rank % 2], rng=2)
        wide = np.complex128 if np.iscomplexobj(M) else np.float64
        loss = squared_loss(M, (result.U.astype(wide), np.diag(result.s).astype(wide), result.Vh.astype(wide)))
        assert at_most(result.certificate.lower_bound, squared_tails(M)[rank]), (label, rank)
        assert at_least(result.certificate.value, loss), (label, rank)


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
