"""The least-squares dual: true for every Y, attained by residuals, every allowance of the size on its page."""

import math

import flint
import numpy as np
import pytest

from infimum._arrays import Working, namespace
from infimum.errors import LibraryError, VerificationError
from infimum.proof.operators.dense import Dense
from infimum.proof.theorems.least_squares_dual import THEOREM, lower_bound

EPS = 2.0**-52


def given(A, eps=None):
    wide = np.asarray(A, dtype=complex if np.iscomplexobj(A) else float)
    return Dense(wide, Working(wide, 0, eps or EPS * (2 if np.iscomplexobj(A) else 1), namespace(A=wide)))


def drawn(rng, complex_, shape):
    return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if complex_ else 0.0)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 1e-3, 2.0])
def test_true_for_every_dual_and_attained_by_the_residual(complex_, ridge):
    rng = np.random.default_rng(3)
    for _ in range(40):
        m, n, k = (int(side) for side in rng.integers(1, 6, 3))
        A, B = drawn(rng, complex_, (m, n)), drawn(rng, complex_, (m, k))
        square = A.conj().T @ A + ridge * np.eye(n)
        X = np.linalg.solve(square, A.conj().T @ B) if ridge else np.linalg.pinv(A) @ B
        best = math.sqrt(np.linalg.norm(A @ X - B) ** 2 + ridge * np.linalg.norm(X) ** 2)
        radius = float(np.linalg.norm(X))
        bound = lower_bound(given(A), B, B - A @ X, ridge=ridge, radius=radius)
        assert best * (1.0 - 1e-10) - 1e-7 <= bound <= best + 1e-14
        for _ in range(5):
            Y = drawn(rng, complex_, (m, k)) + 2.0 * B
            assert lower_bound(given(A), B, Y, ridge=ridge, radius=radius) <= best + 1e-14


def test_another_radius_is_another_bound():
    """Without a ridge the bound is for X no longer than the radius, and falls with it."""
    A, B = np.array([[1.0], [0.0]]), np.array([[2.0], [1.0]])
    assert lower_bound(given(A), B, B, ridge=0.0, radius=0.0) == pytest.approx(math.sqrt(5.0))
    assert lower_bound(given(A), B, B, ridge=0.0, radius=1.0) == pytest.approx(3.0 / math.sqrt(5.0))
    assert lower_bound(given(A), B, B, ridge=1.0, radius=9.0) == pytest.approx(5.0 / 3.0)
    assert lower_bound(given(A), B, -B, ridge=0.0, radius=0.0) == 0.0
    assert lower_bound(given(A), B, -B, ridge=1.0, radius=0.0) == 0.0
    assert lower_bound(given(A), B, 0.0 * B, ridge=0.0, radius=0.0) == 0.0
    assert lower_bound(given(A), B, B, ridge=0.0, radius=1e308) == 0.0


def test_the_scale_of_the_dual_does_not_count():
    A, B = np.array([[1.0], [0.5]]), np.array([[2.0], [1.5]])
    one = lower_bound(given(A), B, B, ridge=0.0, radius=0.25)
    assert one > 0.0
    for exponent in (-1000, 1000):
        assert lower_bound(given(A), B, np.ldexp(B, exponent), ridge=0.0, radius=0.25) == one


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("room", [1.0, 3.0])
@pytest.mark.parametrize("ridge", [0.0, 0.7])
def test_allowances_have_the_size_on_the_page(complex_, room, ridge):
    """With a precision of 1e-4 they are large enough to be seen."""
    rng, eps, radius = np.random.default_rng(4), 1e-4, 0.3
    for m, n, k in ((5, 2, 3), (4, 3, 7)):
        A, B = drawn(rng, complex_, (m, n)), drawn(rng, complex_, (m, k))
        Y = B + 0.1 * drawn(rng, complex_, (m, k))
        unit, length, size = room * eps, np.linalg.norm(Y), np.linalg.norm(B)
        reached = np.sum(Y.conj() * B).real - (m + k) * unit * length * size
        seen = np.linalg.norm(A.conj().T @ Y) * (1.0 + (m + n + k) * unit)
        seen += m * unit * np.linalg.norm(A) * length
        length *= 1.0 + (m + k) * unit
        if ridge:
            expected = reached / math.hypot(length, seen / math.sqrt(ridge)) * (1.0 - 8.0 * unit)
        else:
            expected = (reached - seen * radius * (1.0 + (m + k) * unit)) / length * (1.0 - 8.0 * unit)
        got = lower_bound(given(A, eps), B, Y, ridge=ridge, radius=radius, room=room)
        assert got == pytest.approx(expected, rel=1e-12)


def test_a_complex_dual_rounds_twice_as_much():
    A, B = np.array([[1.0], [2.0]]), np.array([[1.0], [1.0]])
    real = lower_bound(given(A + 0j, EPS), B + 0j, B, ridge=0.0, radius=0.0)
    other = lower_bound(given(A + 0j, EPS), B + 0j, B + 0j, ridge=0.0, radius=0.0)
    assert other < real < math.sqrt(2.0)
    assert math.sqrt(2.0) - other == pytest.approx(2.0 * (math.sqrt(2.0) - real), rel=0.1)


def test_without_the_rounding_of_inner_products_the_bound_would_be_false():
    """Every addition rounds up by a quarter of a spacing, and A sees nothing of B: the optimum is the length of B."""
    m = 500
    B = np.full((m, 2), math.sqrt(0.75 * EPS))
    B[0] = 1.0
    A = np.zeros((m, 1))
    with flint.ctx.workprec(200):
        exact = sum((flint.arb(float(v)) ** 2 for v in B.ravel()), flint.arb(0)).sqrt()
        assert flint.arb(lower_bound(given(A), B, B, ridge=0.0, radius=0.0)) <= exact
        sums = float(np.sum(np.sum(B * B, axis=0)))
        assert flint.arb(sums / float(np.linalg.norm(B)) * (1.0 - 8.0 * EPS)) > exact


def test_without_the_rounding_of_what_is_seen_the_bound_would_be_false():
    """What A sees of Y is lost in rounding entry by entry; a long X makes use of it."""
    Y, A = np.array([[1.0], [EPS / 4], [-1.0], [EPS / 4]]), np.ones((4, 1))
    B, radius = 100.0 * EPS * Y, 1e20
    assert lower_bound(given(A), B, Y, ridge=0.0, radius=radius) == 0.0
    truth = float(np.sum(Y[[0, 2]]) + np.sum(Y[[1, 3]]))
    assert truth * radius > float(np.sum(Y * B))  # in exact arithmetic nothing is proved


ONE = np.ones((3, 2))


@pytest.mark.parametrize(
    "dual", [ONE[:, :1], ONE[:2], ONE[0], ONE.T, 1j * ONE, ONE * math.nan, ONE.astype(int), ONE > 0, ONE.tolist(), None]
)
def test_dual_is_asked(dual):
    with pytest.raises(VerificationError, match="the dual must"):
        lower_bound(given(np.eye(3)), ONE, dual, ridge=0.0, radius=1.0)


@pytest.mark.parametrize("B", [np.ones((2, 2)), np.ones(3), 1j * ONE, ONE * math.inf])
def test_right_hand_sides_are_asked(B):
    if np.iscomplexobj(B):  # then A must have the same kind, and a real dual is one, too
        assert lower_bound(given(np.eye(3)), B, ONE, ridge=0.0, radius=0.0) == 0.0
        return
    with pytest.raises(VerificationError, match="B must"):
        lower_bound(given(np.eye(3)), B, ONE, ridge=0.0, radius=1.0)


@pytest.mark.parametrize("number", [-1.0, math.nan, math.inf, True, 1j])
def test_ridge_and_radius_are_asked(number):
    with pytest.raises(VerificationError, match="ridge must be"):
        lower_bound(given(np.eye(3)), ONE, ONE, ridge=number, radius=1.0)
    with pytest.raises(VerificationError, match="radius must be"):
        lower_bound(given(np.eye(3)), ONE, ONE, ridge=0.0, radius=number)


def test_names_and_libraries():
    torch = pytest.importorskip("torch")
    assert THEOREM == "least_squares_dual"
    with pytest.raises(LibraryError):
        lower_bound(Dense(torch.eye(3)), ONE, torch.ones((3, 2)), ridge=0.0, radius=1.0)


def test_one_allowance_is_the_default():
    A, B = np.array([[1.0], [2.0]]), np.array([[1.0], [1.0]])
    given_ = given(A, 1e-4)
    bounds = [lower_bound(given_, B, B, ridge=0.0, radius=0.1, **room) for room in ({}, {"room": 1.0}, {"room": 2.0})]
    assert bounds[0] == bounds[1] > bounds[2] > 0.0
