"""Means far larger than the spread around them, which must neither hide it nor make a check fail."""

from collections.abc import Callable
from typing import Any

import dask.array
import numpy as np
import pytest
import torch

import infimum
from infimum import errors, lowrank
from infimum.proof.operators import centred as centred_module
from infimum.proof.operators.centred import centred

KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "array": np.asarray,
    "tensor": torch.asarray,
    "blocks": lambda M: infimum.scale.RowBlocks(M, rows=7),
    "dask": lambda M: infimum.scale.RowBlocks(dask.array.from_array(M, chunks=(7, -1))),
}


def true_error(M, result):
    """Distance of the matrix from the answer, to 19 digits; of tensors, too."""
    U, s, Vh, mean = (np.asarray(part).astype(np.longdouble) for part in (*result, result.mean))
    return float(np.linalg.norm((M - mean - (U * s) @ Vh).astype(np.float64)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["auto", "exact", "gram", "krylov"])
def test_a_column_that_is_constant_and_huge_hides_no_other(kind, method):
    """Scaled by that column the others would vanish, and so would all that is left without the mean."""
    rng = np.random.default_rng(0)
    M = np.full((32, 4), 2.0**1000)
    M[:, 1:] = 2.0**-100 * rng.standard_normal((32, 3))
    result = lowrank.svd(KINDS[kind](M), 1, center=True, method=method, rng=0)
    rest = np.linalg.svd(M[:, 1:] - M[:, 1:].mean(axis=0), compute_uv=False)
    least, reached = float(np.linalg.norm(rest[1:])), true_error(M, result)
    assert result.certificate.lower_bound <= least * (1 + 1e-12)
    assert reached <= result.certificate.value * (1 + 1e-12)
    assert result.certificate.value <= least * (1 + 1e-3)
    infimum.verify(result, KINDS[kind](M))


@pytest.mark.parametrize("kind", ["array", "blocks", "dask"])
@pytest.mark.parametrize("offset", [0.0, 1e16])
def test_a_mean_of_the_largest_numbers_is_found(kind, offset):
    M = np.full((48, 3), 1.5e308)
    M[:, 1] = offset + np.arange(48.0)
    M[:, 2] = offset
    result = lowrank.svd(KINDS[kind](M), 1, center=True)
    infimum.verify(result, KINDS[kind](M))
    assert result.certificate.value >= true_error(M, result) * (1 - 1e-12)


@pytest.mark.parametrize("kind", ["array", "blocks"])
def test_differences_beyond_the_largest_number_are_refused(kind):
    M = 1.7e308 * np.array([[1.0, 0.5], [-1.0, 0.25], [-1.0, -0.5], [-1.0, 0.0]])
    with pytest.raises((errors.RangeError, errors.NonFiniteError), match=r"must be finite|scale the input down"):
        lowrank.svd(KINDS[kind](M), 1, center=True)


@pytest.mark.parametrize("shape", [(1400, 5), (180_000, 6)])
@pytest.mark.parametrize("spread", [0.0, 1e-15, 1e-12, 1e-6])
def test_a_check_may_add_up_in_another_order(shape, spread):
    """The mean is then another one, by its own rounding at the most."""
    rng = np.random.default_rng(1)
    M = 3.7 * rng.uniform(1.0, 2.0, shape[1]) * (1.0 + spread * rng.standard_normal(shape))
    others = [M, np.asfortranarray(M), M[::-1].copy()[::-1], infimum.scale.RowBlocks(M, rows=911), torch.asarray(M)]
    for given in others[:3]:
        result = lowrank.svd(given, 3, center=True)
        for other in others[:4]:
            assert infimum.verify(result, other).lower_bound >= result.certificate.lower_bound
    tensors = lowrank.svd(others[4], 3, center=True)
    infimum.verify(tensors, others[4])


def test_a_mean_is_taken_twice_only_where_its_rounding_is_left(monkeypatch):
    taken = []

    def counted(given, mean):
        taken.append(mean)
        return whole(given, mean)

    whole = centred_module._dense_less
    monkeypatch.setattr(centred_module, "_dense_less", counted)
    M = np.random.default_rng(0).standard_normal((300, 4))
    centred(M, "M")
    assert len(taken) == 1
    large = M + 1e12
    less = centred(large, "M")
    assert len(taken) == 3
    # what is left may be little by chance; who adds up in another order is not as lucky
    assert less.allowance >= np.sqrt(300) * np.linalg.norm(np.spacing(less.mean)) / 2
    off = (large.astype(np.longdouble) - less.mean).mean(axis=0)
    assert less.allowance >= np.sqrt(300) * np.linalg.norm(off.astype(np.float64))
