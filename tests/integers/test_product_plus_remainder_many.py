"""Many numbers at once: equal to one at a time, libraries, hostile arrays, verification."""

import dataclasses

import array_api_strict
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import infimum
from infimum.errors import DTypeError, LibraryError, OptionError, RangeError, VerificationError
from infimum.integers import product_plus_remainder, product_plus_remainder_many
from infimum.proof.theorems import product_plus_remainder as theorem
from tests.integers import reference

LARGEST = 2**63 - 1


def hard_numbers():
    rng = np.random.default_rng(5)
    roots = np.array([1, 2, 3, 46340, 46341, 94906265, 94906266, 3037000498, 3037000499], dtype=np.int64)
    near = np.concatenate([roots**2 + k for k in (-1, 0, 1)] + [roots * (roots - 1) + k for k in (-1, 0, 1)])
    return np.concatenate(
        [near[near >= 0], rng.integers(0, LARGEST, 100), LARGEST - np.arange(10), rng.integers(0, 10**12, 300)]
    )


def test_every_n_up_to_20000():
    values = np.arange(20_001)
    result = product_plus_remainder_many(values)
    assert np.array_equal(result.sums, reference.least_costs(20_000, (1, 1, 1)))
    assert np.array_equal(result.a * result.b + result.c, values)
    assert np.all((result.a >= 0) & (result.a <= result.b) & (result.c >= 0))
    assert result.certificate.value == result.certificate.lower_bound == int(result.sums.sum())
    infimum.verify(result, values)


def test_same_as_one_at_a_time():
    values = hard_numbers()
    result = product_plus_remainder_many(values)
    assert result.sums.tolist() == [product_plus_remainder(n).value for n in values.tolist()]
    for n, a, b, c in zip(values.tolist(), result.a.tolist(), result.b.tolist(), result.c.tolist(), strict=True):
        assert a * b + c == n
    infimum.verify(result, values)


@pytest.mark.parametrize("convert", [np.asarray, torch.asarray, array_api_strict.asarray])
def test_library_and_shape_are_kept(convert):
    values = convert(np.arange(1000, 1024).reshape(2, 3, 4))
    result = product_plus_remainder_many(values)
    for part in (result.a, result.b, result.c, result.sums):
        assert type(part) is type(values)
        assert tuple(part.shape) == (2, 3, 4)
        assert part.dtype == values.dtype
    infimum.verify(result, values)


@pytest.mark.parametrize("convert", [torch.asarray, array_api_strict.asarray])
def test_search_on_a_device_is_the_same(convert):
    """On a device the search runs in the array's own library, which the host never does."""
    values = hard_numbers()
    library = convert(values)
    sums, lines = theorem._least_sums(infimum._arrays.namespace(values=library), library)
    expected = theorem.least_sums(values)
    assert np.array_equal(np.asarray(sums), expected[0])
    assert np.array_equal(np.asarray(lines), expected[1])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint64"])
def test_other_integers_become_int64(dtype):
    result = product_plus_remainder_many(np.array([0, 7, 100], dtype=dtype))
    assert result.a.dtype == np.int64
    assert result.sums.tolist() == [0, 6, 20]


def test_lists_scalars_and_nothing():
    assert product_plus_remainder_many([130, 7]).sums.tolist() == [23, 6]
    single = product_plus_remainder_many(np.int64(130))
    assert single.a.shape == ()
    empty = product_plus_remainder_many(np.zeros((0, 3), dtype=np.int64))
    assert empty.a.shape == (0, 3)
    assert empty.certificate.value == 0
    infimum.verify(empty, np.zeros((0, 3), dtype=np.int64))


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (np.array([1.0, 2.0]), DTypeError),
        (np.array([True]), DTypeError),
        (np.array(["5"]), DTypeError),
        (np.array([2**70], dtype=object), DTypeError),
        ("130", LibraryError),
        (None, LibraryError),
        (np.array([5, -1]), OptionError),
        (np.array([5, 2**63], dtype=np.uint64), RangeError),
    ],
)
def test_hostile_arrays(values, error):
    with pytest.raises(error, match="values"):
        product_plus_remainder_many(values)


def test_verify_refuses():
    values = np.array([130, 30522])
    result = product_plus_remainder_many(values)
    trivial = dataclasses.replace(result, a=values * 0, b=values * 0, c=values)
    wrapped = dataclasses.replace(result, a=np.array([2**32, 140]), b=np.array([2**32, 218]), c=np.array([130, 2]))
    for bad in (
        dataclasses.replace(result, c=result.c + 1),
        dataclasses.replace(result, a=-result.a, b=-result.b),
        dataclasses.replace(result, a=result.a[:1]),
        dataclasses.replace(result, a=result.a.astype(float)),
        trivial,
        wrapped,
    ):
        with pytest.raises(VerificationError):
            infimum.verify(bad, values)
    with pytest.raises(VerificationError):
        infimum.verify(result, values[::-1])


def test_plot():
    for values in (np.arange(100), np.array([5]), np.zeros(0, dtype=int)):
        ax = product_plus_remainder_many(values).plot()
        assert ax.get_title()
        plt.close(ax.figure)
