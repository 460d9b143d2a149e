"""Dask arrays: what is as long as they are stays in chunks, every look at the data is counted, nothing is believed."""

import contextlib
import dataclasses
import functools
import itertools
from fractions import Fraction
from typing import Any

import dask
import dask.array
import numpy as np
import pytest

import infimum
from infimum import errors, lowrank
from infimum.proof.operators.inputs import as_operator
from infimum.scale import RowBlocks
from tests.lowrank.exact import at_least, at_most, squared_loss, squared_tails
from tests.lowrank.hostile import matrices, with_spectrum

SHAPES = {"tall": (2000, 90), "wide": (90, 2000), "square": (90, 90), "slim": (3000, 20)}
CUTS = {"along": (250, 4000), "both": (250, 30), "ragged": (333, 17)}
SOLVERS: dict[str, Any] = {
    "svd": (lowrank.svd, {"method": "gram"}),
    "exact": (lowrank.svd, {"method": "exact"}),
    "krylov": (lowrank.svd, {"method": "krylov"}),
    "randomized": (lowrank.svd, {"method": "randomized"}),
    "columns": (lowrank.interpolative, {}),
    "rows": (lowrank.interpolative, {"axis": 0}),
    "cur": (lowrank.cur, {}),
}


class Counted:
    """A matrix that counts how often its entries are read."""

    ndim = 2

    def __init__(self, M):
        self.M, self.shape, self.dtype, self.read = M, M.shape, M.dtype, 0

    def __getitem__(self, part):
        block = self.M[part]
        self.read += block.size
        return block

    def passes(self, call):
        """Return how many times all entries were read, as far as whole passes go, and the result of the call."""
        before = self.read
        with dask.config.set(scheduler="sync"):
            result = call()
        return int((self.read - before) / self.M.size), result


@functools.cache
def matrix(shape, seed=0):
    M = with_spectrum(np.random.default_rng(seed), max(shape), min(shape), 0.9 ** np.arange(min(shape)))
    M = M if shape[0] >= shape[1] else M.T.copy()
    M.flags.writeable = False  # many tests share it
    return M


def chunked(source, cuts):
    long, short = CUTS[cuts]
    return dask.array.from_array(source, chunks=(long, short) if source.shape[0] >= source.shape[1] else (short, long))


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("form", SHAPES)
def test_certificates_are_those_in_memory(form, cuts, name):
    M = matrix(SHAPES[form])
    source = chunked(M, cuts)
    solve, options = SOLVERS[name]
    result, memory = (solve(item, 8, rng=0, **options) for item in (RowBlocks(source), M))
    assert result.certificate.theorem == memory.certificate.theorem
    assert result.certificate.lower_bound == pytest.approx(memory.certificate.lower_bound, rel=1e-6)
    assert result.certificate.value == pytest.approx(memory.certificate.value, rel=0.03)
    for part in result.chain():
        if form != "square":
            assert isinstance(part, dask.array.Array) == (max(part.shape) == max(M.shape))
    for given in (RowBlocks(source), RowBlocks(source.rechunk((400, 50))), M):
        infimum.verify(result, given)
        infimum.verify(memory, given)


@pytest.mark.parametrize("cuts", [(250, 4000), (250, 300)])
@pytest.mark.parametrize("shape", [(2000, 650), (650, 2000)])
def test_passes_over_the_data(shape, cuts):
    """Peers: svd_compressed of Dask takes 6 with two power iterations, and proves nothing."""
    counted = Counted(matrix(shape))
    source = dask.array.from_array(counted, chunks=cuts if shape[0] > shape[1] else cuts[::-1])
    found = {}
    for name in ("svd", "columns", "rows", "cur"):
        solve, options = SOLVERS[name]
        options = {} if name == "svd" else options
        solving, result = counted.passes(lambda: solve(RowBlocks(source), 8, rng=0, **options))  # noqa: B023
        found[name] = solving, counted.passes(lambda: infimum.verify(result, RowBlocks(source)))[0]  # noqa: B023
    along, across = ("columns", "rows") if shape[0] > shape[1] else ("rows", "columns")
    assert found["svd"] == (3, 2)
    assert found[along] <= (4, 2)
    assert found[across] <= (5, 2)
    assert found["cur"] <= (6, 3)


def test_who_verifies_looks_for_himself():
    """Nothing that a solver found out of the same blocks is taken over."""
    counted = Counted(matrix((2000, 90)))
    blocks = RowBlocks(chunked(counted, "along"))
    first, result = counted.passes(lambda: lowrank.svd(blocks, 5))
    assert (first, counted.passes(lambda: infimum.verify(result, blocks))[0]) == (3, 2)


@pytest.mark.parametrize("value", [0.1, 1.0 + 2.0**-30])
@pytest.mark.parametrize("chunk", [90_000, 4096, 501])
def test_sums_are_as_short_as_the_bounds_suppose(value, chunk):
    rows = 90_000
    exact = rows * Fraction(value) ** 2
    M = np.full((rows, 2), value)
    for operator in (as_operator(M, "M"), RowBlocks(dask.array.from_array(M, chunks=(chunk, 1))), RowBlocks(M, chunk)):
        most = operator.longest_sum * exact / 2**53
        assert operator.longest_sum <= 4096 + 180
        assert abs(Fraction(float(operator.gram()[0, 1])) - exact) <= most
        assert abs(Fraction(operator.energy) - 2 * exact) <= 32 * most


@pytest.mark.parametrize("name", SOLVERS)
def test_entries_of_any_size(name):
    """Where they are far from 1 the first pass is made again."""
    solve, options = SOLVERS[name]
    exponents = (-400, -67, -63, 62, 63, 64, 66, 400) if name == "svd" else (-66, 66)
    for exponent, seed in itertools.product(exponents, (0, 1)):
        M = matrix((300, 20) if seed else (20, 300), seed)
        source, scaled = chunked(M * 2.0**exponent, "both"), solve(RowBlocks(chunked(M, "both")), 4, rng=0, **options)
        result = solve(RowBlocks(source), 4, rng=0, **options)
        assert result.certificate.value == pytest.approx(2.0**exponent * scaled.certificate.value, rel=1e-9)
        infimum.verify(result, RowBlocks(source))


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int16])
@pytest.mark.parametrize("turn", [False, True])
def test_any_dtype(dtype, turn):
    rng = np.random.default_rng(5)
    M = (rng.standard_normal((90, 12)) * 100.0).astype(dtype)
    M = (M + 1j * M[::-1]) if dtype is np.complex128 else M
    M = M.T.copy() if turn else M
    blocks = RowBlocks(dask.array.from_array(M, chunks=(5, 20) if turn else (20, 5)))
    for solve, options in SOLVERS.values():
        result = solve(blocks, 4, rng=0, **options)
        assert result.dtype == (np.float64 if dtype is np.int16 else dtype)
        infimum.verify(result, blocks)
        infimum.verify(result, M)


@pytest.mark.parametrize("turn", [False, True])
def test_centred(turn):
    M = matrix((300, 20)) + np.linspace(0.0, 3.0, 20)
    M = M.T.copy() if turn else M
    blocks = RowBlocks(chunked(M, "ragged"))
    result, memory = (lowrank.svd(item, 4, center=True) for item in (blocks, M))
    assert result.certificate.value == pytest.approx(memory.certificate.value, rel=1e-9)
    assert result.certificate.lower_bound == pytest.approx(memory.certificate.lower_bound, rel=1e-9)
    infimum.verify(result, blocks)
    infimum.verify(result, M)


@pytest.mark.parametrize("turn", [False, True])
def test_systems(turn):
    """Right-hand sides and solutions are in memory."""
    A = matrix((400, 20))
    A = A.T.copy() if turn else A
    B = np.random.default_rng(3).standard_normal((A.shape[0], 2))
    blocks = RowBlocks(chunked(A, "ragged"))
    result = lowrank.solve(blocks, B)
    np.testing.assert_allclose(result.matrix, np.linalg.lstsq(A, B)[0], atol=1e-9)
    infimum.verify(result, blocks, B)
    infimum.verify(result, A, B)


def test_what_the_triples_are_worth():
    M = matrix((2000, 40))
    result = lowrank.svd(RowBlocks(chunked(M, "both")), 5)
    bounds, memory = (result.triple_bounds(item) for item in (RowBlocks(chunked(M, "both")), M))
    true = np.linalg.svd(M, compute_uv=False)[:5]
    assert np.all((bounds.lower <= true) & (true <= bounds.upper))
    np.testing.assert_allclose(bounds.upper, memory.upper, rtol=1e-9)


def test_long_parts_behave_as_arrays_of_dask():
    M = matrix((2000, 30))
    result = lowrank.svd(RowBlocks(chunked(M, "along")), 5)
    U, _, Vh = result
    assert isinstance(result.to_dense(), dask.array.Array)
    np.testing.assert_allclose(U.T @ U, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(result.transform(M[:3]), M[:3] @ Vh.T)
    assert infimum.verify(lowrank.svd(M, 5).from_json(result.to_json()), RowBlocks(chunked(M, "along")))


def forgeries(result):
    U, claimed = result.U, result.certificate
    place = dask.array.arange(U.shape[0], chunks=100)[:, None]
    yield "orthonormal", {"U": 2.0 * U}
    yield "finite", {"U": dask.array.where(place == 7, np.nan, U)}
    yield "shape", {"U": U[:-1]}
    yield "shape", {"U": U[:, :-1]}
    yield "value", {"U": U[::-1]}
    yield "real numbers", {"U": U * 1j}
    yield "numbers", {"U": U.astype(object)}
    yield "value", {"certificate": dataclasses.replace(claimed, value=claimed.lower_bound)}
    yield "lower_bound", {"certificate": dataclasses.replace(claimed, lower_bound=claimed.value)}


def test_forged_factors_are_refused():
    M = matrix((2000, 30))
    source = chunked(M, "along")
    result = lowrank.svd(RowBlocks(source), 5)
    for word, forged in forgeries(result):
        with pytest.raises(errors.VerificationError, match=word):
            infimum.verify(dataclasses.replace(result, **forged), RowBlocks(source))
    for chunks in ((71, 2), (2000, 5)):
        infimum.verify(dataclasses.replace(result, U=result.U.rechunk(chunks)), RowBlocks(source))
    columns = lowrank.interpolative(RowBlocks(source), 5)
    other = columns.skeleton + dask.array.where(dask.array.arange(2000, chunks=100)[:, None] == 1999, 1e-9, 0.0)
    with pytest.raises(errors.VerificationError, match="differs"):
        infimum.verify(dataclasses.replace(columns, skeleton=other), RowBlocks(source))


def test_a_factor_that_changes_is_looked_at_once():
    """Chunks that differ from one computation to the next: orthonormal for one question, close for the other."""
    M = matrix((400, 20))
    source = dask.array.from_array(M, chunks=(400, 20))
    result = lowrank.svd(RowBlocks(source), 3)
    U, calls = result.U.compute(), itertools.count()

    def changing(block):
        return U if next(calls) % 2 else 0.0 * U

    forged = dataclasses.replace(
        result, U=dask.array.from_array(U, chunks=(400, 3)).map_blocks(changing, dtype=U.dtype)
    )
    with dask.config.set(scheduler="sync"):
        for _ in range(2):
            before = next(calls)
            with contextlib.suppress(errors.VerificationError):
                infimum.verify(forged, RowBlocks(source))
            assert next(calls) == before + 2


def test_not_finite_or_zero():
    M = np.zeros((40, 6))
    assert lowrank.svd(RowBlocks(dask.array.from_array(M, chunks=(9, 4))), 2).certificate.value < 1e-300
    M[13, 2] = np.nan
    for solve, options in SOLVERS.values():
        with pytest.raises(errors.NonFiniteError):
            solve(RowBlocks(dask.array.from_array(M, chunks=(9, 4))), 2, **options)
    M[13, 2] = np.inf
    with pytest.raises(errors.NonFiniteError):
        lowrank.svd(RowBlocks(dask.array.from_array(M.T, chunks=(9, 4))), 2)


def test_chunks_of_unknown_size():
    M = dask.array.from_array(np.ones((40, 6)), chunks=(9, 6))
    with pytest.raises(errors.ShapeError, match="compute_chunk_sizes"):
        RowBlocks(M[M[:, 0] > 0])


@pytest.mark.parametrize("count", [48, pytest.param(1200, marks=pytest.mark.slow)])
def test_no_certificate_is_false(count):
    for i, (_, M) in enumerate(matrices(count, seed=15)):
        rank = max(1, min(M.shape) // 2)
        try:
            result = lowrank.svd(
                RowBlocks(dask.array.from_array(M, chunks=(5, 3))), rank, method=["auto", "krylov"][i % 2]
            )
        except errors.RangeError:
            continue
        assert at_most(result.certificate.lower_bound, squared_tails(M)[rank])
        assert at_least(
            result.certificate.value, squared_loss(M, (np.asarray(result.U), np.diag(result.s), np.asarray(result.Vh)))
        )


@pytest.mark.parametrize("library", ["zarr", "h5py"])
def test_files_through_dask(library, tmp_path):
    package = pytest.importorskip(library)
    M = matrix((500, 30))
    if library == "zarr":
        array = package.open_array(str(tmp_path / "M.zarr"), mode="w", shape=M.shape, chunks=(70, 30), dtype="f8")
        array[:] = M
        source = dask.array.from_zarr(str(tmp_path / "M.zarr"))
    else:
        with package.File(tmp_path / "M.h5", "w") as file:
            file["M"] = M
        source = dask.array.from_array(package.File(tmp_path / "M.h5")["M"], chunks=(70, 30))
    result = lowrank.svd(RowBlocks(source), 4)
    assert isinstance(result.U, dask.array.Array)
    infimum.verify(result, RowBlocks(source))


def test_vectors_that_squares_leave_oblique_take_no_further_pass():
    counted = Counted(with_spectrum(np.random.default_rng(0), 3000, 300, 0.93 ** np.arange(300)))
    source = dask.array.from_array(counted, chunks=(500, 300))
    passes, result = counted.passes(lambda: lowrank.svd(RowBlocks(source), 50))
    assert passes == 3
    assert float(np.linalg.norm(result.U.T @ result.U - np.eye(50))) <= 1e-13
    infimum.verify(result, RowBlocks(source))
