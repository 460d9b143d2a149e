"""Rounding to few bits: the answer, its certificate, forged ones, and what is refused."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

import infimum
from infimum import errors
from infimum.compress import quantize
from infimum.compress.menu import grid_loops, rounding
from infimum.compress.menu.grid_loops import Shape
from infimum.compress.menu.rounding import Factors, factors, round_matrix
from infimum.proof.theorems import grid_rounding


def moment(n, seed, rows=None):
    x = np.random.default_rng(seed).standard_normal((rows or 4 * n, n)) @ np.diag(np.geomspace(1.0, 0.1, n))
    x = x @ np.random.default_rng(seed + 1).standard_normal((n, n))
    return x.T @ x / len(x)


def problem(m=12, n=32, seed=0):
    return np.random.default_rng(seed).standard_normal((m, n)), moment(n, seed + 1), moment(m, seed + 2)


def loss(W, Q, C, G):
    return float(np.sum((G @ (W - Q) @ C) * (W - Q)))


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("group", [8, 32, None])
def test_value_is_that_of_the_answer_and_it_verifies(bits, symmetric, group):
    W, C, G = problem()
    result = quantize(W, C, G, bits=bits, group=group, symmetric=symmetric)
    certificate = infimum.verify(result, W, C, G)
    assert certificate.value == pytest.approx(loss(W, result.to_dense(), C, G), rel=1e-9)
    assert 0.0 < result.certificate.lower_bound <= certificate.value <= result.certificate.value
    assert result.shape == (12, 32)
    assert result.group == (group or 32)
    assert result.integers.max() < 2**bits
    if symmetric:
        assert np.all(result.zeros == 2 ** (bits - 1))
    again = infimum.from_json(result.to_json())
    assert infimum.verify(again, W, C, G) == certificate


@pytest.mark.parametrize("seed", range(8))
def test_against_every_rounding_to_its_grid(seed):
    W, C, G = problem(2, 4, seed)
    result = quantize(W, C, G, bits=2, group=2)
    every = (np.array(k, dtype=np.float64).reshape(2, 4) for k in itertools.product(range(4), repeat=8))
    best = min(loss(W, result.grid.values(k), C, G) for k in every)
    assert result.certificate.lower_bound <= best <= result.certificate.value


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_rounding_with_both_moments_loses_least(bits):
    W, C, G = problem(32, 64)
    both = quantize(W, C, G, bits=bits).certificate.value
    one = loss(W, quantize(W, C, None, bits=bits).to_dense(), C, G)
    nearest = loss(W, quantize(W, bits=bits).to_dense(), C, G)
    assert both < one < nearest
    assert both < 0.3 * nearest


def test_each_entry_is_the_best_one_given_those_after_it():
    # the terms D_i H_j (L' (W - Q) R)_ij ** 2: no other integer of the grid makes its own term smaller
    W, C, G = problem(6, 8)
    right, left = factors(C, 0.0), factors(G, 0.0)
    integers, grid, _ = round_matrix(W, right, left, Shape(3, 4))

    def terms(k):
        return np.abs(left.unit.T @ (W - grid.values(k)) @ right.unit)

    chosen = terms(integers)
    for i, j in itertools.product(range(6), range(8)):
        for step in (-1.0, 1.0):
            other = integers.copy()
            other[i, j] = np.clip(other[i, j] + step, 0.0, 7.0)
            assert chosen[i, j] <= terms(other)[i, j] + 1e-12


@pytest.mark.parametrize(("rows", "columns"), [(1, 4), (5, 8), (64, 1024)])
def test_tiles_change_nothing(monkeypatch, rows, columns):
    W, C, G = problem(20, 32)
    right, left = factors(C, 0.1), factors(G, 0.1)
    shape = Shape(3, 4, False, 11, -24)
    expected = round_matrix(W, right, left, shape)
    monkeypatch.setattr(rounding, "ROWS", rows)
    monkeypatch.setattr(rounding, "COLUMNS", columns)
    found = round_matrix(W, right, left, shape)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1].scales, expected[1].scales)


def test_loops_give_the_same_bits_as_they_are_written(monkeypatch):
    W, C, G = problem(5, 8)
    right, left = factors(C, 0.1), factors(G, 0.1)
    offset, blocks = Shape(2, 4, offset=True), Shape(2, 2, offset=True, block=4, levels=15)
    signed = Shape(3, 2, symmetric=True, signed=True, block=8, levels=31)
    for shape in (Shape(2, 4), Shape(3, 8, True, 24, -149), offset, blocks, signed):
        fast = round_matrix(W, right, left, shape)
        for name, loop in vars(grid_loops).items():
            monkeypatch.setattr(grid_loops, name, getattr(loop, "py_func", loop))
        monkeypatch.setattr(rounding, "round_tile", grid_loops.round_tile)
        slow = round_matrix(W, right, left, shape)
        monkeypatch.undo()
        assert np.array_equal(fast[0], slow[0])
        assert all(np.array_equal(a, b) for a, b in zip((*fast[1], fast[2]), (*slow[1], slow[2]), strict=True))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_scales_are_those_of_their_dtype(dtype):
    W, C, G = problem()
    shape = Shape(3, 8, False, *{"float16": (11, -24), "float32": (24, -149)}[dtype])
    for factor in (1.0, 1e-3, 1e3):
        grid = round_matrix(factor * W, factors(C, 0.1), factors(G, 0.1), shape).grid
        assert np.array_equal(grid.scales, grid.scales.astype(dtype).astype(np.float64))


def test_plain_rounding_is_to_the_nearest_number():
    W, _, _ = problem()
    result = quantize(W, bits=3, group=8)
    assert np.array_equal(np.abs(W - result.to_dense()), result.grid.distances(W))
    assert result.certificate.ratio == pytest.approx(1.0, rel=1e-9)  # with identities the bound is attained


def test_what_is_on_a_grid_stays():
    k = np.random.default_rng(0).integers(0, 16, (8, 32))
    k[:, 0], k[:, 1] = 0, 15
    W = 0.25 * (k - 7.0)
    result = quantize(W, bits=4, group=None)
    assert np.array_equal(result.to_dense(), W)
    assert result.certificate.value == 0.0


@pytest.mark.parametrize("W", [np.zeros((3, 8)), np.eye(8)[:3], np.full((3, 8), -2.0), np.full((3, 8), 2.0**-30)])
def test_groups_of_one_number_or_two_are_kept(W):
    result = quantize(W, bits=2, group=4, scales="float32")
    infimum.verify(result, W, None, None)
    assert np.allclose(result.to_dense(), W, rtol=2.0**-23, atol=0.0)  # as far as a scale in float32 can


@pytest.mark.parametrize("rows", [0, 3])
def test_singular_moments_have_a_bound_of_zero_and_a_true_value(rows):
    W = np.random.default_rng(0).standard_normal((4, 16))
    C = np.zeros((16, 16)) if rows == 0 else moment(16, 3, rows)
    result = quantize(W, C, None, bits=3, group=8)
    infimum.verify(result, W, C, None)
    assert result.certificate.lower_bound >= 0.0


@pytest.mark.parametrize("scale", [2.0**-8, 1.0, 2.0**10])
@pytest.mark.parametrize("weight", [1e-140, 1.0, 1e140])
def test_scale_changes_nothing_but_the_scale(scale, weight):
    W, C, G = problem()
    result = quantize(scale * W, weight * C, G, bits=3, group=8)
    plain = quantize(W, C, G, bits=3, group=8)
    assert np.array_equal(result.integers, plain.integers)
    assert result.certificate.value == pytest.approx(plain.certificate.value * scale**2 * weight, rel=1e-6)
    infimum.verify(result, scale * W, weight * C, G)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_come_back_as_tensors(dtype):
    W, C, G = problem()
    weight = torch.from_numpy(W).to(dtype)
    result = quantize(weight, torch.from_numpy(C), torch.from_numpy(G), bits=4, group=8)
    assert isinstance(result.integers, torch.Tensor)
    assert result.integers.dtype == torch.uint8
    assert result.scales.dtype == torch.float16
    infimum.verify(result, weight, torch.from_numpy(C), torch.from_numpy(G))


def forged():
    W, C, G = problem()
    result = quantize(W, C, G, bits=3, group=8)
    other = result.integers.copy()
    other[0, 0] = (other[0, 0] + 1) % 8
    witness = result.certificate.witness
    claims = {
        "a smaller value": {"value": 0.999 * result.certificate.value},
        "a larger bound": {"lower_bound": 1.001 * result.certificate.lower_bound},
        "larger weights": {"witness": {"e": 1.1 * witness["e"], "g": witness["g"]}},
        "negative weights": {"witness": {"e": -witness["e"], "g": -witness["g"]}},
        "no weights": {"witness": {}},
        "exact": {"rigour": "exact"},
        "another theorem": {"theorem": "weighted_tail"},
    }
    fields = {
        "an integer beyond": {"integers": np.where(other == other.max(), 8, other).astype(np.uint8)},
        "negative integers": {"integers": result.integers.astype(np.int64) - 8},
        "integers as floats": {"integers": result.integers.astype(np.float64)},
        "integers of another shape": {"integers": result.integers[:, :8]},
        "more bits": {"bits": 9},
        "fewer bits": {"bits": 2},
        "true bits": {"bits": True},
        "negative scales": {"scales": -result.scales},
        "infinite scales": {"scales": result.scales * np.float16(np.inf)},
        "scales in float64": {"scales": result.scales.astype(np.float64) * (1 + 2.0**-40)},
        "scales of no group": {"scales": result.scales[:, :3]},
        "zeros beyond": {"zeros": result.zeros + np.uint8(8)},
        "complex scales": {"scales": result.scales + 0j},
    }
    for name, change in fields.items():
        yield pytest.param(dataclasses.replace(result, **change), id=name)
    for name, change in claims.items():
        certificate = dataclasses.replace(result.certificate, **change)
        yield pytest.param(dataclasses.replace(result, certificate=certificate), id=name)


@pytest.mark.parametrize("result", list(forged()))
def test_forged_results_are_refused(result):
    W, C, G = problem()
    with pytest.raises(errors.VerificationError):
        infimum.verify(result, W, C, G)


def test_a_changed_integer_is_believed_with_its_own_value_only():
    W, C, G = problem()
    result = quantize(W, C, G, bits=3, group=8)
    changed = result.integers.copy()
    changed[0, 0] = (changed[0, 0] + 4) % 8
    with pytest.raises(errors.VerificationError, match="value"):
        infimum.verify(dataclasses.replace(result, integers=changed), W, C, G)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((np.ones(4),), {}, errors.ShapeError, "W must be a matrix"),
        ((np.full((2, 4), np.nan),), {"group": 4}, errors.NonFiniteError, "W must be finite"),
        ((np.ones((2, 4)) * 1j,), {"group": 4}, errors.DTypeError, "W must be real"),
        ((np.ones((2, 4)),), {}, errors.ShapeError, "group must divide the 4 columns of W, got 64"),
        ((np.ones((2, 4)),), {"group": 0}, errors.OptionError, "group"),
        ((np.ones((2, 4)),), {"group": 2.5}, errors.DTypeError, "group"),
        ((np.ones((2, 4)),), {"group": 4, "bits": 0}, errors.OptionError, "bits"),
        ((np.ones((2, 4)),), {"group": 4, "bits": 9}, errors.OptionError, "bits must be from 1 to 8, got 9"),
        ((np.ones((2, 4)),), {"group": 4, "bits": "4"}, errors.DTypeError, "bits"),
        ((np.ones((2, 4)),), {"group": 4, "scales": "float64"}, errors.OptionError, "scales"),
        ((np.ones((2, 4)),), {"group": 4, "damping": (0.1,)}, errors.OptionError, "damping"),
        ((np.ones((2, 4)),), {"group": 4, "damping": (-0.1, 0.1)}, errors.OptionError, "damping"),
        ((np.ones((2, 4)),), {"group": 4, "damping": (np.nan, 0.1)}, errors.OptionError, "damping"),
        ((np.ones((2, 4)), np.eye(3)), {"group": 4}, errors.ShapeError, "right must be a real matrix of shape"),
        ((np.ones((2, 4)), None, np.eye(4)), {"group": 4}, errors.ShapeError, "left must be a real matrix of shape"),
        ((np.ones((2, 4)), -np.eye(4)), {"group": 4}, errors.NotSemidefiniteError, "right must be symmetric"),
        ((np.ones((2, 4)), np.triu(np.ones((4, 4)))), {"group": 4}, errors.NotSemidefiniteError, "right must be sym"),
        ((np.ones((2, 4)), np.ones((4, 4)) - np.eye(4)), {"group": 4}, errors.NotSemidefiniteError, "right must be"),
        (
            (np.ones((2, 4)), np.eye(4) + 2 * np.eye(4)[::-1]),
            {"group": 4},
            errors.NotSemidefiniteError,
            "has a negative",
        ),
        ((np.ones((2, 4)), np.full((4, 4), np.inf)), {"group": 4}, errors.NonFiniteError, "right must be finite"),
        ((np.full((2, 4), 1e6),), {"group": 4}, errors.RangeError, "scales='float32'"),
        ((np.full((2, 4), 1e-9),), {"group": 4}, errors.RangeError, "scales='float32'"),
        ((np.full((2, 4), 1e60),), {"group": 4, "scales": "float32"}, errors.RangeError, "scale W first"),
    ],
)
def test_what_is_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        quantize(*arguments, **options)


def test_identity_factors_round_to_nearest():
    W, _, _ = problem()
    plain = Factors(np.eye(32), np.ones(32)), Factors(np.eye(12), np.ones(12))
    integers, grid, _ = round_matrix(W, *plain, Shape(3, 8, False, 11, -24))
    assert np.array_equal(np.abs(W - grid.values(integers)), grid.distances(W))


def test_the_plot_names_the_error():
    W, C, G = problem()
    axes = quantize(W, C, G, bits=3, group=8).plot()
    assert "3 bits, groups of 8" in axes.get_title()
    assert quantize(W, C, G, bits=3, group=8).certificate.theorem == grid_rounding.THEOREM
