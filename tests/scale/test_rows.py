"""Blocks of rows: the certificate of a matrix that is read in pieces is that of the matrix in memory."""

import dask
import dask.array
import numpy as np
import pytest
from dask.local import get_sync

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


class Scheduler:
    """What a scheduler of Dask is asked for: how often, and how much comes back."""

    def __init__(self):
        self.passes, self.bytes = 0, 0

    def __call__(self, graph, keys, **options):
        results = get_sync(graph, keys, **options)
        self.passes += 1
        self.bytes += sum(part.nbytes for part in _arrays_in(results))
        return results


def _arrays_in(item):
    if isinstance(item, list | tuple):
        return [array for part in item for array in _arrays_in(part)]
    return [np.asarray(item)]


@pytest.mark.parametrize("chunks", [(500, 60), (500, 25)])
def test_the_chunks_of_a_dask_array_stay_where_they_are(chunks):
    """Products are formed by the scheduler: 4 passes solve and 3 verify, and thin factors are all that comes back."""
    rng = np.random.default_rng(4)
    M = rng.standard_normal((20_000, 60)) * 0.8 ** np.arange(60)
    blocks, solving, verifying = RowBlocks(dask.array.from_array(M, chunks=chunks)), Scheduler(), Scheduler()
    with dask.config.set(scheduler=solving):
        result = lowrank.svd(blocks, 3)
    with dask.config.set(scheduler=verifying):
        infimum.verify(result, RowBlocks(blocks.source))
    assert (solving.passes, verifying.passes) == (4, 3)
    assert solving.bytes <= 0.07 * M.nbytes  # the left factor is 1/20 of it
    assert verifying.bytes <= 0.01 * M.nbytes
    memory = lowrank.svd(M, 3)
    assert result.certificate.value == pytest.approx(memory.certificate.value, rel=1e-9)
    assert result.certificate.lower_bound == pytest.approx(memory.certificate.lower_bound, rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int16])
def test_dask_arrays_of_any_dtype(dtype):
    rng = np.random.default_rng(5)
    M = (rng.standard_normal((90, 12)) * 100.0).astype(dtype)
    if dtype is np.complex128:
        M = M + 1j * M[::-1]
    blocks = RowBlocks(dask.array.from_array(M * np.ones((), dtype=dtype), chunks=(20, 5)))
    for method in ("exact", "gram", "krylov"):
        result = lowrank.svd(blocks, 4, method=method, rng=0)
        assert result.U.dtype == (np.float64 if dtype is np.int16 else dtype)
        infimum.verify(result, blocks)
        infimum.verify(result, M)
    infimum.verify(lowrank.svd(blocks, 4, center=True), blocks)


def test_dask_arrays_that_are_not_finite_or_zero():
    M = np.zeros((40, 6))
    assert lowrank.svd(RowBlocks(dask.array.from_array(M, chunks=(9, 4))), 2).certificate.value < 1e-300
    M[13, 2] = np.nan
    with pytest.raises(errors.NonFiniteError):
        lowrank.svd(RowBlocks(dask.array.from_array(M, chunks=(9, 4))), 2)


def test_no_certificate_of_a_dask_array_is_false():
    for _, M in matrices(48, seed=15):
        tall = M if M.shape[0] >= M.shape[1] else M.conj().T
        rank = max(1, tall.shape[1] // 2)
        try:
            result = lowrank.svd(RowBlocks(dask.array.from_array(tall, chunks=(5, 3))), rank)
        except errors.RangeError:
            continue
        assert at_most(result.certificate.lower_bound, squared_tails(tall)[rank])
        assert at_least(result.certificate.value, squared_loss(tall, (result.U, np.diag(result.s), result.Vh)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the cluster about itself
def test_the_workers_of_a_cluster_share_the_work():
    distributed = pytest.importorskip("distributed")
    rng = np.random.default_rng(6)
    M = rng.standard_normal((4000, 30)) * 0.8 ** np.arange(30)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        distributed.Client(cluster),
    ):
        blocks = RowBlocks(dask.array.from_array(M, chunks=(200, 30)))
        result = lowrank.svd(blocks, 4)
        assert infimum.verify(result, blocks).theorem == result.certificate.theorem
    assert infimum.verify(result, M).value <= result.certificate.value
