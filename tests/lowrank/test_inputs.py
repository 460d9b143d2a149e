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
    if (name, form) == ("nystrom", "sparse"):
        pytest.skip("it is taken")
    for place in range(count):
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


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_tensors_are_told_the_way(layout):
    M = getattr(torch.eye(4), layout)()
    for call in (lowrank.svd, lowrank.interpolative):
        with pytest.raises(errors.LibraryError, match=r"M\.to_dense\(\)"):
            call(M, 2)
