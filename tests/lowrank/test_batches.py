"""Stacks of matrices: every answer is that for its matrix alone, with one array of certificates."""

import dataclasses
import json
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

import infimum
from infimum import errors, lowrank
from tests.lowrank.exact import at_most, squared_tails
from tests.lowrank.hostile import matrices

RNG = np.random.default_rng(0)
STACK = RNG.standard_normal((2, 3, 7, 5))
SOLVERS: dict[str, Any] = {
    "svd": lambda M: lowrank.svd(M, 2),
    "centred": lambda M: lowrank.svd(M, rank=2, center=True),
    "pinv": lowrank.pinv,
    "interpolative": lambda M: lowrank.interpolative(M, 2, rng=0),
    "solve": lambda M: lowrank.solve(M, M[..., :2] + 1.0, ridge=0.1),
}


def inputs(name, M):
    return (M, M[..., :2] + 1.0) if name == "solve" else (M,)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("make", [np.asarray, torch.asarray, array_api_strict.asarray, lambda M: M * (1 + 1j)])
def test_answers_are_those_for_each_matrix(name, make):
    M = make(STACK)
    batch: Any = SOLVERS[name](M)
    assert isinstance(batch, lowrank.Batch)
    assert len(batch) == 2
    assert batch.certificate.value.shape == (2, 3)
    derived = infimum.verify(batch, *inputs(name, M))
    assert np.all(batch.certificate.lower_bound <= derived.lower_bound)
    assert np.all(derived.lower_bound <= derived.value)
    assert np.all(derived.value <= batch.certificate.value)
    for place in np.ndindex(2, 3):
        assert batch[place].certificate.value == batch.certificate.value[place]
        infimum.verify(batch[place], *(part[(*place, ...)] for part in inputs(name, M)))
    field = {"svd": "U", "centred": "mean", "interpolative": "coefficients"}.get(name, "matrix")
    stacked = getattr(batch, field)
    assert type(stacked) is type(M)
    assert tuple(stacked.shape) == (2, 3, *getattr(batch[0, 0], field).shape)
    assert np.array_equal(np.asarray(stacked[1, 2, ...]), np.asarray(getattr(batch[1, 2], field)))


def test_single_precision_and_seeds():
    M = torch.asarray(STACK, dtype=torch.float32)
    batch: Any = lowrank.svd(M, 2)
    assert batch.U.dtype == torch.float32
    assert batch[0, 1] == lowrank.svd(M[0, 1], 2)
    draws: list[Any] = [lowrank.interpolative(STACK, 2, method="uniform", rng=3) for _ in range(2)]
    assert np.array_equal(draws[0].columns, draws[1].columns)
    assert len({tuple(row) for row in draws[0].columns.reshape(-1, 2)}) > 1  # every matrix has draws of its own


def test_what_a_batch_shows():
    batch: Any = lowrank.svd(STACK.tolist(), tol=0.5)
    assert batch.rank.shape == (2, 3)
    assert "SVD" in repr(batch)
    assert np.array_equal(batch.certificate.gap, batch.certificate.value - batch.certificate.lower_bound)
    assert np.allclose(batch.certificate.ratio, batch.certificate.value / batch.certificate.lower_bound)
    assert [json.loads(result.to_json())["problem"] for result in batch] == ["lowrank.svd"] * 6
    if len(set(batch.rank.ravel())) > 1:
        with pytest.raises(errors.ShapeError, match=r"batch\[i\]\.s"):
            batch.s  # noqa: B018
    with pytest.raises(AttributeError, match="nothing"):
        batch.nothing  # noqa: B018
    zeros: Any = lowrank.svd(np.zeros((1, 3, 2)), 1)
    assert zeros.certificate.ratio.tolist() == [1.0]


def test_false_batches_are_refused():
    batch: Any = lowrank.svd(STACK, 2)
    with pytest.raises(errors.VerificationError):
        infimum.verify(batch, STACK + 1e-3)
    with pytest.raises(errors.VerificationError, match="stacks of the shape"):
        infimum.verify(batch, STACK[0])
    with pytest.raises(errors.VerificationError, match="6 answers"):
        infimum.verify(dataclasses.replace(batch, results=batch.results[:5]), STACK)
    with pytest.raises(errors.VerificationError):
        infimum.verify(dataclasses.replace(batch, results=batch.results[::-1]), STACK)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: lowrank.svd(np.zeros((0, 3, 2)), 1), errors.ShapeError),
        (lambda: lowrank.solve(STACK, STACK[0]), errors.ShapeError),
        (lambda: lowrank.svd(np.full((2, 3, 2), np.nan), 1), errors.NonFiniteError),
        (lambda: lowrank.svd(STACK, 9), errors.RankError),
        (lambda: lowrank.cur(STACK, 2), errors.ShapeError),
    ],
)
def test_bad_stacks(call, error):
    with pytest.raises(error):
        call()


@pytest.mark.parametrize("count", [48, pytest.param(7_000, marks=pytest.mark.slow)])
def test_no_certificate_of_a_stack_is_false(count):
    for label, M in matrices(count, seed=90):
        stack = np.stack([M, M[::-1], M * 0.5])
        try:
            batch: Any = lowrank.svd(stack, 1)
        except errors.RangeError:
            continue
        infimum.verify(batch, stack)
        for matrix, bound in zip(stack[::2], batch.certificate.lower_bound[::2], strict=True):
            assert at_most(float(bound), squared_tails(matrix)[1]), label
