"""What every function takes, in every precision, and what it tells those who bring something else."""

from typing import Any

import dask.array
import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.sparse.linalg import aslinearoperator

import infimum
from infimum import errors, lowrank
from infimum.proof.operators import sparse
from infimum.scale import RowBlocks
from tests.accepted import accepted

CALLS: dict[str, tuple[Any, int]] = {
    "svd": (lambda M: lowrank.svd(M, 2), 1),
    "pinv": (lambda M: lowrank.pinv(M, rtol=1e-2), 1),
    "solve": (lambda M, B: lowrank.solve(M, B, rtol=1e-2), 2),
    "cr": (lambda X, Y: lowrank.cr(X, Y, 2), 2),
    "interpolative": (lambda M: lowrank.interpolative(M, 2), 1),
    "cur": (lambda M: lowrank.cur(M, 2), 1),
    "nystrom": (lambda K: lowrank.nystrom(K, 2), 1),
}
DTYPES = [
    torch.bfloat16,
    torch.float16,
    torch.float32,
    torch.complex64,
    torch.complex128,
    np.float16,
    np.float32,
    np.complex64,
]


def symmetric(dtype=float):
    """One matrix for all of them, with entries that bfloat16 holds exactly."""
    half = np.tril(np.random.default_rng(0).integers(-4, 5, (5, 5))).astype(float)
    if np.issubdtype(dtype, np.complexfloating):
        half = half + 1j * np.tril(np.random.default_rng(1).integers(-2, 3, (5, 5)), -1)
    return half @ half.conj().T


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes_are_kept(name, dtype):
    call, count = CALLS[name]
    complex_ = "complex" in str(dtype)
    M = symmetric(np.complex128 if complex_ else float)
    M = torch.as_tensor(M).to(dtype) if isinstance(dtype, torch.dtype) else M.astype(dtype)
    inputs = (M, M)[:count]
    result = call(*inputs)
    arrays = {
        field: getattr(result, field).dtype
        for field in ("U", "Vh", "matrix", "skeleton", "coefficients", "core", "C", "R", "factor")
        if hasattr(result, field)
    }
    assert set(arrays.values()) == {M.dtype}, arrays
    assert 0 < result.certificate.value < np.inf
    infimum.verify(result, *inputs)


@pytest.mark.parametrize("name", CALLS)
def test_nested_lists_are_matrices(name):
    call, count = CALLS[name]
    inputs = (symmetric().tolist(),) * count
    accepted(call(*inputs), *inputs)


OTHERS = {
    "sparse": (scipy.sparse.csr_array, r"{}.toarray\(\)"),
    "operator": (aslinearoperator, "LinearOperator; bring it into memory"),
    "dask": (dask.array.from_array, r"{}.compute\(\)"),
    "blocks": (RowBlocks, "RowBlocks; bring it into memory"),
}


@pytest.mark.parametrize("name", ["pinv", "solve", "cr", "nystrom"])
@pytest.mark.parametrize("form", OTHERS)
def test_what_is_not_taken_is_told_the_way(name, form):
    call, count = CALLS[name]
    make, way = OTHERS[form]
    if form == "sparse" and name in {"pinv", "nystrom"}:
        pytest.skip("it is taken")
    for place in range(count):
        if name == "solve" and form != "dask" and place == 0:
            continue  # the matrix of a system may be any of them
        inputs = [symmetric() for _ in range(count)]
        inputs[place] = make(inputs[place])
        argument = {"pinv": "A", "solve": "AB", "cr": "XY", "nystrom": "K"}[name][place]
        with pytest.raises(errors.LibraryError, match=way.format(argument)):
            call(*inputs)


def test_dask_arrays_are_read_in_blocks():
    M = dask.array.from_array(symmetric(), chunks=(2, 5))
    for call in (lowrank.svd, lowrank.interpolative, lowrank.cur, lowrank.select_columns):
        with pytest.raises(errors.LibraryError, match=r"RowBlocks\(M\)"):
            call(M, 2)
        call(RowBlocks(M), 2)


def test_a_kernel_is_verified_through_its_entries():
    K = lowrank.KernelMatrix(np.linspace(0, 1, 30)[:, None], lambda X, Y: np.exp(-((X - Y.T) ** 2)))
    accepted(lowrank.nystrom(K, 3, rng=0), K)


LAYOUTS = {
    "coo": lambda M: M.to_sparse(),
    "csr": lambda M: M.to_sparse_csr(),
    "csc": lambda M: M.to_sparse_csc(),
    "bsr": lambda M: M.to_sparse_bsr((2, 2)),
    "transposed": lambda M: M.T.contiguous().to_sparse().T,
}
SPARSE = {
    "svd": lambda M: lowrank.svd(M, 4),
    "krylov": lambda M: lowrank.svd(M, 4, method="krylov", rng=0),
    "exact": lambda M: lowrank.svd(M, 4, method="exact"),
    "columns": lambda M: lowrank.interpolative(M, 4),
    "rows": lambda M: lowrank.interpolative(M, 4, axis=0),
    "cur": lambda M: lowrank.cur(M, 4),
    "pinv": lambda M: lowrank.pinv(M, rtol=1e-2),
}


def sparse_tensor(dtype, shape=(24, 16)):
    """A tensor of which most entries are zero, the others numbers that bfloat16 holds."""
    rng = np.random.default_rng(0)
    M = rng.integers(-8, 9, shape) * (rng.random(shape) < 0.3)
    return torch.as_tensor(M * (1 + 1j if dtype.is_complex else 1)).to(dtype)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.complex64, torch.int64], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sparse_tensors_are_as_good_as_dense_ones(monkeypatch, layout, dtype, filled):
    if not filled:
        monkeypatch.setattr(sparse, "EXPLICIT", 100)
    M = sparse_tensor(dtype)
    for solve in SPARSE.values():
        result, dense = solve(LAYOUTS[layout](M)), solve(M)
        assert result.certificate.theorem == dense.certificate.theorem
        assert result.certificate.value == pytest.approx(dense.certificate.value, rel=1e-3)
        assert [part.dtype for part in result.__dict__.values() if isinstance(part, torch.Tensor)] == [
            part.dtype for part in dense.__dict__.values() if isinstance(part, torch.Tensor)
        ]
        infimum.verify(result, LAYOUTS[layout](M))
        with pytest.raises(errors.VerificationError):
            infimum.verify(result, LAYOUTS[layout](2 * M))


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_sparse_tensors_that_are_not_taken(layout):
    for bad, error in (
        (torch.full((3, 3), torch.inf), errors.NonFiniteError),
        (torch.ones(2, 0), errors.ShapeError),
    ):
        with pytest.raises(error):
            lowrank.svd(LAYOUTS[layout](bad), 1)
    with pytest.raises(errors.LibraryError, match=r"X\.to_dense\(\)"):
        lowrank.cr(LAYOUTS[layout](torch.eye(4)), torch.eye(4), 2)
    empty = lowrank.svd(torch.zeros(5, 4).to_sparse(), 1)
    assert empty.certificate.value == empty.certificate.lower_bound == 0.0


@pytest.mark.parametrize("order", [40, 2100])  # that of a matrix that gets its zeros, and beyond
@pytest.mark.parametrize("make", [scipy.sparse.csr_array, lambda M: torch.as_tensor(M).to_sparse()])
def test_landmarks_of_sparse_matrices(order, make):
    steps = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    K = make(np.where(steps < 3, 3.0 - steps, 0.0) * np.outer(*[np.exp(-np.arange(order) / 9)] * 2))
    result = lowrank.nystrom(K, 5, rng=0)
    accepted(result, K)
    assert isinstance(result.factor, torch.Tensor) == isinstance(K, torch.Tensor)
    with pytest.raises(errors.VerificationError):
        infimum.verify(result, 2.0 * K)
    with pytest.raises(errors.NotSemidefiniteError):
        lowrank.nystrom(-1.0 * K, 5)
