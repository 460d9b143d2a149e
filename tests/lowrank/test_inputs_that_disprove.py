"""Inputs that prove that they are not what they say: wrong adjoints, masked arrays."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import infimum
from infimum import errors, lowrank
from tests.accepted import accepted

A = np.random.default_rng(0).standard_normal((40, 30))
Z = A + 1j * np.random.default_rng(1).standard_normal((40, 30))


def one_entry(B):
    changed = B.copy()
    changed[3, 4] *= 1.001
    return changed


WRONG = {
    "scaled": (A, 2.0 * A),
    "ten per cent": (A, A + 0.1 * np.random.default_rng(2).standard_normal(A.shape)),
    "a hair": (A, A * (1 + 1e-9)),
    "one entry": (A, one_entry(A)),
    "sign": (A, -A),
    "no conjugation": (Z, Z.conj()),
    "zero": (A, 0.0 * A),
    "single precision": (A.astype(np.float32), (1.01 * A).astype(np.float32)),
    "tiny": (A * 1e-300, A * 2e-300),
    "huge": (A * 1e150, A * 2e150),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", WRONG)
def test_wrong_adjoints_are_refused_by_name(kind, turned):
    B, other = WRONG[kind]
    item = LinearOperator(
        B.shape,
        matvec=lambda x: B @ x,
        matmat=lambda x: B @ x,
        rmatvec=lambda y: other.conj().T @ y,
        rmatmat=lambda y: other.conj().T @ y,
        dtype=B.dtype,
    )
    item = item.adjoint() if turned else item
    for solve in (lowrank.svd, lowrank.interpolative, lowrank.cur):
        with pytest.raises(errors.AdjointError, match="rmatvec"):
            solve(item, 3)


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e150])
@pytest.mark.parametrize(
    "B", [A, A.T, Z, A.astype(np.float32), np.ones((200, 3)), np.zeros((4, 3)), np.diff(np.eye(60))]
)
def test_right_adjoints_are_taken(B, scale):
    if B.dtype == np.float32 and scale != 1.0:
        return
    item = aslinearoperator(B * np.asarray(scale, dtype=B.dtype))
    accepted(lowrank.svd(item, 2), item)


def test_masked_arrays_are_refused():
    masked = np.ma.masked_greater(A, 1.0)
    for call in (
        lambda: lowrank.svd(masked, 2),
        lambda: lowrank.interpolative(masked, 2),
        lambda: lowrank.pinv(masked),
        lambda: infimum.verify(lowrank.svd(A, 2), masked),
    ):
        with pytest.raises(errors.InfimumError, match="mask"):
            call()


def test_matrices_of_numpy_are_matrices():
    other = np.ones((4, 3)).view(np.matrix)
    result = lowrank.svd(other, 2)
    assert type(result.U) is np.ndarray
    infimum.verify(result, other)
    with pytest.raises(errors.DTypeError, match="numbers"):
        lowrank.svd(np.zeros((2, 2), dtype=[("x", float)]).view(np.recarray), 1)
