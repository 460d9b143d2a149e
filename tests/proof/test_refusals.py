"""Refusals and corners of the trusted core that no solver leads to: each is asked here in its own words."""

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest
import scipy.interpolate
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from infimum import balance, lowrank, memory, minimax, verify
from infimum.errors import (
    DTypeError,
    MissingExtraError,
    NonFiniteError,
    NotSemidefiniteError,
    OptionError,
    RangeError,
    ShapeError,
    VerificationError,
)
from infimum.proof import wording
from infimum.proof.answers.factored import certify_factors
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure import balls
from infimum.proof.enclosure.approximants import ChebyshevSum, Monomials
from infimum.proof.enclosure.domain import as_intervals
from infimum.proof.enclosure.functions import as_function
from infimum.proof.enclosure.point_values import formula
from infimum.proof.enclosure.spaces import Powers, as_space, variable
from infimum.proof.enclosure.taylor_model import Cell
from infimum.proof.operators.inputs import for_columns
from infimum.proof.uniform_error.sampled_error import sample

RNG = np.random.default_rng(7)
M = RNG.standard_normal((6, 5))


def forged(result, **fields):
    return dataclasses.replace(result, **fields)


# ------------------------------------------------------------------ matrices


def test_the_number_of_chosen_columns_is_asked():
    result = lowrank.interpolative(M, 2)
    none = forged(result, columns=np.zeros(0, dtype=np.int64))
    with pytest.raises(VerificationError, match="columns must be from 1 to 5 indices, got 0"):
        verify(none, M)


def test_coefficients_belong_to_the_chosen_columns():
    result = lowrank.interpolative(M, 2)
    more = forged(result, coefficients=np.vstack([result.coefficients, result.coefficients[:1]]))
    with pytest.raises(VerificationError, match=r"coefficients|shape"):
        verify(more, M)


def test_the_number_of_singular_values_is_asked():
    result = lowrank.svd(M, 2)
    none = forged(result, s=np.zeros(0), U=result.U[:, :0], Vh=result.Vh[:0])
    with pytest.raises(VerificationError, match="s must hold from 1 to 5 singular values, got 0"):
        verify(none, M)


def test_terms_without_weights_are_the_kept_ones():
    left, right = lowrank.cr(M, M.T, 2, weights="none").factors()
    assert left.shape == (6, 2)
    assert right.shape == (2, 6)


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (scipy.sparse.csr_array((0, 3)), ShapeError, "at least one row"),
        (LinearOperator((0, 3), matvec=lambda x: x, dtype=float), ShapeError, "at least one row"),
        (LinearOperator((2, 2), matvec=lambda x: x, dtype="U1"), DTypeError, "real or complex numbers"),
    ],
    ids=["sparse shape", "operator shape", "operator dtype"],
)
def test_operators_are_asked_for_their_shape_and_dtype(matrix, error, message):
    with pytest.raises(error, match=message):
        for_columns(matrix, "M")


@pytest.mark.parametrize("axis", [0, 1])
def test_lengths_of_a_sparse_matrix_are_those_of_the_dense_one(axis):
    dense = np.where(M > 0.0, M, 0.0)
    operator = for_columns(scipy.sparse.csr_array(dense), "M")
    scale = 2.0 ** (2 * getattr(operator, "exponent", 0))
    assert np.asarray(operator.energies(axis)) * scale == pytest.approx(np.sum(dense**2, axis=axis))


def test_a_kernel_with_a_complex_diagonal_is_refused():
    with pytest.raises(NotSemidefiniteError, match="its diagonal is not real"):
        lowrank.nystrom(np.diag([1.0 + 1.0j, 1.0]), 1)


def test_weights_beyond_the_range_are_refused():
    result = lowrank.cr(M, M.T, 2, weights="full")
    huge = forged(result, weights=np.full_like(result.weights, 1e308), C=result.C, R=result.R)
    with pytest.raises((RangeError, VerificationError)):
        verify(huge, 1e150 * M, 1e150 * M.T)


# ------------------------------------------------------------------ approximation


@pytest.fixture(scope="module")
def best():
    return minimax.polynomial("exp(x)", 3)


def test_a_list_is_evaluated_as_an_array(best):
    rational = minimax.rational("exp(x)", (1, 1))
    rounded = minimax.rounded("exp(x)", 2)
    for approximation in (rational, rounded):
        assert np.array_equal(approximation([0, 1]), approximation(np.array([0.0, 1.0])))


def test_combinations_of_functions_have_no_coefficients_of_powers():
    combination = minimax.polynomial("x", system=["1", "exp(x)"], domain=(0.0, 1.0))
    with pytest.raises(OptionError, match="this system is a list of functions"):
        combination.exact_coefficients()


def test_values_at_points_agree_with_each_other():
    line = Monomials({0: 1.0, 2: 0.5})
    assert line.exact(0.25) == 1 + 0.5 * 0.25**2
    series = ChebyshevSum(Powers(0, 1, 2), (-1.0, 1.0), np.array([[1.0, 0.5]]))
    with balls.working(100) as flint:
        assert series.at(flint.arb(0.5)).contains(flint.arb(1.25))


def test_ball_arithmetic_stays_in_its_block():
    with pytest.raises(RuntimeError, match="outside of `working`"):
        balls.flint()


def test_ball_arithmetic_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    assert not balls.available()


def test_an_extra_that_verify_misses_is_named(monkeypatch, best):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(MissingExtraError, match="enclosures"):
        verify(best, "exp(x)")


def test_a_plus_sign_changes_nothing():
    assert str(as_function("+x")) == str(as_function("x"))


@pytest.mark.parametrize("f", [lambda x: x**2, ([0.0, 1.0, 2.0], [0.0, 1.0, 0.0])], ids=["callable", "table"])
def test_nothing_is_told_of_the_symmetry_of_what_is_no_formula(f):
    assert as_function(f).parity() == 0


def test_a_python_function_is_no_formula():
    with pytest.raises(OptionError, match="only its values are known"):
        formula(as_function(lambda x: x))


def test_a_series_on_a_point_is_refused():
    with pytest.raises((OptionError, ValueError)):
        minimax.polynomial(np.polynomial.Polynomial([1.0, 2.0], domain=[1.0, 1.0]), 1)


def test_pieces_are_left_neither_at_a_node_nor_outside():
    table: Any = as_function(([0.0, 1.0, 2.0], [0.0, 1.0, 0.0]))
    with balls.working(100, 3) as flint:
        at_node = table.series(flint.arb_series([flint.arb(1, 1e-3), flint.arb(1)]))
        assert at_node[0].is_nan()
        assert not table.model(Cell(flint.arb(2), flint.arb(0.5)), 2).is_finite()
        assert table.model(Cell(flint.arb(1.5), flint.arb(0.25)), 2).is_finite()


def test_powers_that_no_double_holds_are_refused():
    with pytest.raises(OptionError, match="must be at most"):
        as_space(None, [10**9])


def test_even_powers_reach_zero_where_the_domain_does():
    assert variable(Powers(0, 2, 2), ((-1.0, 2.0),)) == (0.0, 4.0)
    assert variable(Powers(0, 2, 2), ((1.0, 2.0),)) == (1.0, 4.0)


def test_the_number_of_intervals_is_bounded():
    with pytest.raises(OptionError, match="at most 100 intervals, got 101"):
        as_intervals([(2.0 * i, 2.0 * i + 1.0) for i in range(101)])


def test_errors_that_are_not_finite_are_named():
    with pytest.raises(NonFiniteError, match="the error is not finite at x ="):
        sample(lambda x: np.full_like(x, np.inf), ((0.0, 1.0),), np.array([0.5]), resolution=1e-16, rng=RNG)


# ------------------------------------------------------------------ other inputs, and what is said of them


def test_a_target_of_whole_numbers_is_one_of_floats():
    schedule = memory.design(np.array([1, 2, 3]), max_lr=0.1, weight_decay=1.0)
    assert schedule.lr.dtype == np.float64
    verify(schedule, [1.0, 2.0, 3.0])


def test_numbers_wider_than_doubles_are_refused():
    with pytest.raises(DTypeError, match="at most 64 bits"):
        balance.linear_assignment(np.eye(2, dtype=np.longdouble))


def test_a_claim_that_no_float_holds_is_infinitely_far():
    result = lowrank.svd(M, 2)
    claim = dataclasses.replace(result.certificate, value=10**400, lower_bound=10**400 - 1)
    with pytest.raises(VerificationError, match="infinitely far"):
        verify(forged(result, certificate=claim), M)


def test_factors_have_the_shape_of_the_matrix():
    operator = for_columns(M, "M")
    with pytest.raises(ShapeError, match=r"factors of a \(6, 5\) matrix"):
        certify_factors(operator, M[:, :2], M[:3], "eckart_young", None)


def test_a_combination_is_evaluated_in_balls():
    combination = minimax.polynomial("x", system=["1", "exp(x)"], domain=(0.0, 1.0)).approximant
    with balls.working(100, 1) as flint:
        at_half = combination.at(flint.arb(0.5))
    assert float(at_half.mid()) == pytest.approx(float(combination(np.array([0.5]))[0]), rel=1e-12)


def test_rigour_names_its_confidence():
    assert "confidence" in wording.rigour(Certificate(2.0, 1.0, "ritz_block", "probable", 1.0 - 1e-6))
    assert wording.rigour(Certificate(2.0, 1.0, "ritz_block", "rounded")) == "rounded"
