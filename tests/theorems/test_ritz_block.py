"""The Ritz block bound: true against references, every hypothesis broken once, every allowance pinned."""

import math

import array_api_strict
import numpy as np
import pytest
import scipy.special

from infimum._linalg import adjoint
from infimum.errors import LibraryError, VerificationError
from infimum.proof.operators.dense import Dense
from infimum.proof.rounding import rounding_allowance
from infimum.proof.theorems import ritz_block
from infimum.proof.theorems.ritz_block import Block, Choice
from tests.lowrank import exact
from tests.lowrank.hostile import matrices, orthogonal, with_spectrum

RNG = np.random.default_rng(0)
M = Dense(with_spectrum(RNG, 60, 50, 0.8 ** np.arange(50)))
BASIS = np.linalg.qr(M.array.T @ RNG.standard_normal((60, 12)))[0]
WITNESS = {"basis": BASIS, "shift": 0.01, "converged": 2}


def test_true_for_any_block_and_any_choice():
    rng = np.random.default_rng(1)
    for label, A in matrices(96, seed=32):
        operator = Dense(A)
        squares = exact.squared_tails(operator.array)
        width = int(rng.integers(1, A.shape[1] + 1))
        basis = rng.standard_normal((A.shape[1], width))
        basis = operator.gram_times(basis)[1] if rng.random() < 0.7 else basis
        for rank in range(1, min(A.shape) + 1):
            shift, converged = 10.0 ** rng.uniform(-18, 1), int(rng.integers(0, width + 1))
            for more in ({}, {"delta": 1e-9, "probed": int(rng.integers(0, width + 1))}):
                witness = {"basis": basis, "shift": shift, "converged": converged, **more}
                derived = ritz_block.tail_bound(operator, rank, witness)
                assert exact.at_most(derived.value, squares[rank]), (label, rank, witness)
                assert derived.probable == bool(more)


@pytest.mark.parametrize("part", ["theta", "residual"])
def test_what_lies_outside_and_what_is_left_count(part):
    """Two directions outside of the span, coupled to it: leaving out either term gives a false bound."""
    A = np.diag([2.0, 1.0, 0.9, 0.8, 0.1]) @ orthogonal(np.random.default_rng(2), 5)
    operator, true = Dense(A), None
    true = np.linalg.svd(operator.array, compute_uv=False)
    wrong = np.linalg.svd(A)[2][2:].T if part == "theta" else orthogonal(np.random.default_rng(3), 5)[:, :3]
    for shift in (1e-3, 0.1, 1.0):
        bound = ritz_block.tail_bound(operator, 2, {"basis": wrong, "shift": shift, "converged": 0}).value
        assert bound <= float(np.linalg.norm(true[2:])) * (1 + 1e-12)


def test_a_good_block_is_nearly_tight_from_either_side():
    tail = float(np.linalg.norm(np.linalg.svd(M.array, compute_uv=False)[3:]))
    V = np.linalg.svd(M.array)[2][:12].T
    other = np.linalg.svd(M.array)[0][:, :12]
    for basis in (V, other, 7.0 * V @ orthogonal(RNG, 12)):
        bound = ritz_block.tail_bound(M, 3, {"basis": basis, "shift": 0.02, "converged": 3}).value
        assert tail * (1 - 1e-9) <= bound <= tail


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shift": 0.0}, "shift of the witness must be .* above 0"),
        ({"shift": -316.2}, "shift of the witness must be .* above 0"),
        ({"shift": math.inf}, "finite"),
        ({"shift": math.nan}, "finite"),
        ({"shift": True}, "real number"),
        ({"shift": 1j}, "real number"),
        ({"shift": None}, "real number"),
        ({"converged": -1}, "from 0 to 12"),
        ({"converged": 13}, "from 0 to 12"),
        ({"converged": 2.0}, "whole number"),
        ({"converged": True}, "whole number"),
        ({"basis": None}, "array"),
        ({"basis": BASIS.tolist()}, "array"),
        ({"basis": BASIS[0]}, "shape"),
        ({"basis": BASIS[:49]}, "rows"),
        ({"basis": BASIS[:, :0]}, "columns"),
        ({"basis": np.ones((50, 51))}, "columns"),
        ({"basis": BASIS * 1j}, "real"),
        ({"basis": (100 * BASIS).astype(int)}, "real"),
        ({"basis": np.where(BASIS[3, 3] == BASIS, np.nan, BASIS)}, "finite"),
        ({"delta": 0.2, "probed": 12}, "at most"),
        ({"delta": 0.0, "probed": 12}, "at least"),
        ({"delta": 9e-16, "probed": 12}, "at least"),
        ({"delta": True, "probed": 12}, "real number"),
        ({"delta": 1e-6}, "whole number"),
        ({"delta": 1e-6, "probed": 13}, "from 0 to 12"),
        ({"delta": 1e-6, "probed": -1}, "from 0 to 12"),
        ({"delta": 1e-6, "probed": 12, "halves": 1}, "from 2 to 24"),
        ({"delta": 1e-6, "probed": 12, "halves": 25}, "from 2 to 24"),
        ({"delta": 1e-6, "probed": 12, "halves": 3.0}, "whole number"),
        ({"delta": 1e-6, "probed": 12, "halves": None}, "whole number"),
    ],
)
def test_every_hypothesis_is_asked(changes, message):
    with pytest.raises(VerificationError, match=message):
        ritz_block.tail_bound(M, 3, {**WITNESS, **changes})


@pytest.mark.parametrize("delta", [1e-15, 0.1])
def test_ends_of_the_ranges_are_taken(delta):
    for witness in ({**WITNESS, "converged": 0}, {**WITNESS, "converged": 12, "delta": delta, "probed": 0}):
        assert ritz_block.tail_bound(M, 3, witness).value >= 0.0
    full = {"basis": np.eye(50), "shift": 1.0, "converged": 0}
    tail = float(np.linalg.norm(np.linalg.svd(M.array, compute_uv=False)[3:]))
    assert ritz_block.tail_bound(M, 3, full).value == pytest.approx(tail, rel=1e-9)


def test_a_basis_comes_into_the_library_of_the_input():
    strict = Dense(array_api_strict.asarray(M.array))
    assert ritz_block.tail_bound(strict, 3, WITNESS).value == pytest.approx(
        ritz_block.tail_bound(M, 3, WITNESS).value, rel=1e-12
    )
    elsewhere = Dense(array_api_strict.asarray(M.array, device=array_api_strict.Device("device1")))
    with pytest.raises(LibraryError, match="device"):
        ritz_block.tail_bound(elsewhere, 3, {**WITNESS, "basis": array_api_strict.asarray(BASIS)})


def test_who_draws_anew_takes_more_steps(monkeypatch):
    seen = []
    block = ritz_block.measure(M, BASIS)
    monkeypatch.setattr(ritz_block, "measure_and_probe", lambda *args: seen.append(args[5]) or (block, 1.0))
    for rng in (None, 0):
        for more in ({}, {"halves": 2}, {"halves": 3}, {"halves": 24}):
            ritz_block.tail_bound(M, 3, {**WITNESS, "delta": 1e-6, "probed": 12, **more}, rng)
    assert seen == [3, 1, 1.5, 12, 12, 12, 12, 12]


def test_bound_asks_for_its_choice():
    block = ritz_block.measure(M, BASIS)
    for choice in (Choice(0.0, 0), Choice(-1.0, 0), Choice(1.0, -1), Choice(1.0, 13), Choice(math.nan, 0)):
        with pytest.raises(VerificationError, match="shift"):
            ritz_block.bound(M, block, 3, None, choice)


def test_a_basis_that_is_none_is_refused(monkeypatch):
    skew = 2.0 * BASIS
    assert np.allclose(np.abs(BASIS.T @ ritz_block.orthonormal(M, skew)), np.eye(12))
    monkeypatch.setattr(ritz_block, "orthonormal_basis", lambda basis: basis * (1.0 + 1e-12) / 2.0)
    with pytest.raises(VerificationError, match="orthonormal"):
        ritz_block.orthonormal(M, skew)
    monkeypatch.setattr(ritz_block, "orthonormal_basis", lambda basis: basis * np.nan)
    for wrong in (skew, 1e200 * BASIS, np.inf * BASIS):
        with pytest.raises(VerificationError, match="orthonormal"):
            ritz_block.orthonormal(M, wrong)
    assert ritz_block.orthonormal(M, BASIS) is BASIS  # one that is orthonormal is taken as it is
    limit = 3.0 * 60 * M.eps
    sizes = [limit]
    monkeypatch.setattr(ritz_block, "orthonormal_basis", lambda basis: basis)
    monkeypatch.setattr(ritz_block, "frobenius", lambda _: sizes[0])
    ritz_block.orthonormal(M, BASIS)
    sizes[0] = math.nextafter(limit, 1.0)
    with pytest.raises(VerificationError, match="orthonormal"):
        ritz_block.orthonormal(M, BASIS)
    seen = iter([1.0, limit])
    monkeypatch.setattr(ritz_block, "frobenius", lambda _: next(seen))
    ritz_block.orthonormal(M, BASIS)


def coarse(A, eps):
    """The matrix in an arithmetic of so wide a spacing that every allowance shows."""
    operator = Dense(A)
    operator.eps = eps
    return operator


def scaled(block, factor):
    return Block(block.theta * factor, block.residual_gram, block.dropped, block.image)


def formula(width, operator=M):
    return (8.0 + 1.5 * math.sqrt(width)) * max(operator.shape) * operator.eps * operator.energy


def test_allowances_are_those_of_the_page():
    block = ritz_block.measure(M, BASIS)
    assert ritz_block.products(M, 4) == pytest.approx(formula(4), rel=1e-12)
    values = np.array([3.0, 4.0, 0.0, 0.0])
    solver = 2.0 * rounding_allowance((4, 4), M.eps, 5.0)
    assert ritz_block.eigenvalues_allowance(values, M.eps) == pytest.approx(solver, rel=1e-12, abs=0.0)
    one = rounding_allowance((1, 1), M.eps, 5.0)
    assert ritz_block.eigenvalues_allowance(np.array([-5.0]), M.eps) == pytest.approx(one, rel=1e-12, abs=0.0)
    assert ritz_block.eigenvalues_allowance(np.zeros(0), M.eps) == 0.0
    solver = ritz_block.eigenvalues_allowance(block.theta, M.eps)
    left = M.energy - float(np.sum(block.theta))
    for room in (1.0, 3.0):
        outside = ritz_block.outside_norm(M, block, None, room)
        assert outside - left == pytest.approx(room * (formula(12) + solver), rel=1e-2)
    assert ritz_block.outside_norm(M, block, 0.25) == 0.25
    # by interlacing alone: a tau so large that nothing else is left
    tail = float(np.sum(block.theta[3:]))
    for room in (1.0, 3.0):
        squared = ritz_block.bound(M, block, 3, None, Choice(1e9, 0), room) ** 2
        assert tail - squared == pytest.approx(room * (formula(12) + solver), rel=1e-2)


def test_allowances_to_nine_digits():
    wide = coarse(M.array, 1e-9)
    block = ritz_block.measure(wide, BASIS)
    one = formula(12, wide) + ritz_block.eigenvalues_allowance(block.theta, wide.eps)
    left, tail = wide.energy - float(np.sum(block.theta)), float(np.sum(block.theta[3:]))
    for options, room in (({}, 1.0), ({"room": 3.0}, 3.0), ({"room": 0.0}, 0.0)):
        assert ritz_block.outside_norm(wide, block, None, **options) == pytest.approx(left + room * one, rel=1e-11)
        value = ritz_block.bound(wide, block, 3, None, Choice(1e9, 0), **options)
        assert value**2 == pytest.approx(tail - room * one, rel=1e-11)
        # the room goes on to what lies outside, and to the sum
        arguments = ritz_block.outside_norm(wide, block, None, **options), 3, Choice(0.02, 3)
        reached = wide.energy - ritz_block.largest_sum(wide, block, *arguments, **options)
        value = ritz_block.bound(wide, block, 3, None, Choice(0.02, 3), **options)
        assert value**2 == pytest.approx(max(tail, reached) - room * one, rel=1e-11)
    # no less than nothing is left outside, and no more than there is
    assert ritz_block.outside_norm(M, scaled(block, 2.0), None, 0.0) == 0.0
    small = scaled(block, (wide.energy - 0.25) / float(np.sum(block.theta)))
    assert ritz_block.outside_norm(M, small, None, 0.0) == pytest.approx(0.25, rel=1e-9)


def test_where_the_sum_is_too_large_interlacing_remains(monkeypatch):
    block = ritz_block.measure(M, BASIS)
    tail = float(np.sum(block.theta[3:]))
    # below tau there is room for hope, but the residuals cost more than there is
    for shift in (5e-324, 1e-9):
        choice = Choice(shift, 0)
        assert M.energy - ritz_block.largest(block.theta, block, 0.0, 3, 50, choice) > tail
        assert ritz_block.bound(M, block, 3, 0.0, choice) ** 2 == pytest.approx(tail, rel=1e-9)

    def never(*args):
        raise AssertionError("looked at")

    monkeypatch.setattr(ritz_block, "largest_sum", never)
    assert ritz_block.bound(M, block, 3, None, Choice(1e9, 0)) ** 2 == pytest.approx(tail, rel=1e-9)
    whole = Dense(np.eye(4))  # nothing outside: both terms are the same number
    full = Block(np.ones(4), np.zeros((4, 4)), 0.0, lambda: whole.array)
    assert ritz_block.bound(whole, full, 1, None, Choice(1.0, 0)) ** 2 == pytest.approx(3.0, rel=1e-9)
    with pytest.raises(AssertionError, match="looked at"):
        ritz_block.bound(M, block, 3, 0.0, Choice(1e-9, 0))


def test_ritz_values_are_not_negative():
    rng = np.random.default_rng(14)
    A = Dense(rng.standard_normal((9, 1)) @ rng.standard_normal((1, 8)))
    seen = 0
    for _ in range(5):
        V = orthogonal(rng, 8)
        image = A.array @ V
        seen += np.linalg.eigvalsh(image.T @ image)[0] < 0.0
        assert (ritz_block.measure(A, V).theta >= 0.0).all()
    assert seen > 0


def test_parts_of_the_largest_sum():
    """By hand: converged pairs, the defect, the rest, and the rounding of the squares, each in its place."""
    theta = np.array([4.0, 3.0, 2.0])
    block = Block(theta, np.diag([1e-4, 4e-4, 9e-4]), 0.05, np.zeros((60, 3)))
    w, rank, s = ritz_block.WEIGHT, 2, 0.5
    assert w == 0.01
    defect = 0.05 + formula(3)
    paid = (1 + 1 / w) * ((1 + w) * 1e-4 + rank * defect**2) / s
    raised = theta[1:] + (1 + w) ** 2 * np.array([4e-4, 9e-4]) / s
    assert ritz_block.largest_sum(M, block, 0.1, rank, Choice(s, 1)) == pytest.approx(4.0 + raised[0] + paid, rel=1e-11)
    # tau comes in where it is larger, as often as there are dimensions outside
    assert ritz_block.largest_sum(M, block, 9.0, rank, Choice(s, 1)) == pytest.approx(2 * 9.5 + paid, rel=1e-11)
    assert ritz_block.largest(theta, block, 9.0, 2, 4, Choice(s, 0)) == 9.5 + 4.0
    assert ritz_block.largest(theta, block, 9.0, 2, 3, Choice(s, 0)) == 7.0
    # a residual that dwarfs all else shows the rounding of its squares
    huge = Block(theta, np.diag([0.0, 1e12, 1e12]), 0.0, np.zeros((60, 3)))
    sums = [ritz_block.largest_sum(M, huge, 0.1, rank, Choice(s, 1), room) for room in (0.0, 1.0, 3.0)]
    raised = theta[1:] + (1 + w) ** 2 * 1e12 / s
    rounding = 50 * M.eps * math.sqrt(3) * 2e12 / s + ritz_block.eigenvalues_allowance(raised, M.eps)
    assert sums[1] - sums[0] == pytest.approx(rounding, rel=0.05)
    assert sums[2] - sums[0] == pytest.approx(3.0 * rounding, rel=0.05)
    with np.errstate(over="raise"):
        assert ritz_block.largest_sum(M, huge, 0.1, rank, Choice(5e-324, 1)) == math.inf


def test_without_the_defect_a_bound_is_false():
    """What was left out of R counts: directions that were dropped hold what the bound would deny."""
    A = Dense(np.array([[1.0, 0.5], [0.0, 0.0]]))
    true = 0.0  # rank one
    V = np.array([[1.0], [0.0]])
    measured = ritz_block.measure(A, V)
    hidden = Block(measured.theta, np.zeros((1, 1)), float(np.sqrt(measured.residual_gram[0, 0].real)), measured.image)
    for shift in (1e-2, 0.1, 1.0):
        assert ritz_block.bound(A, hidden, 1, None, Choice(shift, 0)) <= true + 1e-7
        assert ritz_block.bound(A, hidden, 1, None, Choice(shift, 1)) <= true + 1e-7


def test_short_residuals_keep_their_digits():
    """Rotated before it is squared: a converged pair beside an unconverged one shows its own residual."""
    s = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
    A = Dense(np.diag(s))
    V = np.zeros((6, 2))
    V[0, 0], V[1, 1], V[2, 1] = 1.0, math.sqrt(0.5), math.sqrt(0.5)
    block = ritz_block.measure(A, V)
    energies = ritz_block.energies(block)  # in the order of the Ritz values
    assert block.theta == pytest.approx([1.0, (0.81 + 0.64) / 2], rel=1e-12)
    assert energies[0] < 1e-28
    assert energies[1] == pytest.approx(((0.81 - 0.64) / 2) ** 2, rel=1e-9)


def test_interlacing_reaches_small_tails():
    s = np.append(10.0 ** -np.arange(12.0), np.zeros(8))
    A = Dense(with_spectrum(np.random.default_rng(5), 30, 20, s))
    V = np.linalg.svd(A.array)[2][:12].T
    block = ritz_block.measure(A, V)
    values = np.linalg.svd(block.image(), compute_uv=False)
    product = 30 * (3.0 + math.sqrt(12)) * A.eps * math.sqrt(A.energy)
    allowance = product + rounding_allowance(A.shape, A.eps, float(np.linalg.norm(values)))
    for room in (1.0, 3.0):
        bound = ritz_block.interlacing_bound(A, block, 5, room)
        assert float(np.linalg.norm(values[5:])) - bound == pytest.approx(room * allowance, rel=1e-2)
    wide = coarse(A.array, 1e-6)
    product = 30 * (3.0 + math.sqrt(12)) * 1e-6 * math.sqrt(A.energy)
    solver = rounding_allowance(A.shape, 1e-6, float(np.linalg.norm(values)))
    for options, room in (({}, 1.0), ({"room": 3.0}, 3.0)):
        bound = ritz_block.interlacing_bound(wide, block, 1, **options)
        assert bound == pytest.approx(float(np.linalg.norm(values[1:])) - room * (product + solver), rel=1e-9)
    assert ritz_block.interlacing_bound(A, block, 12) == ritz_block.interlacing_bound(A, block, 15) == 0.0
    witness = {"basis": V, "shift": 1.0, "converged": 0}
    for more in ({}, {"interlacing": True}):  # what a witness does not say is looked at
        derived = ritz_block.tail_bound(A, 8, {**witness, **more}).value
        assert derived == pytest.approx(float(np.linalg.norm(values[8:])), rel=1e-4)
    assert ritz_block.tail_bound(A, 8, {**witness, "interlacing": False}).value < 1e-3 * derived
    with pytest.raises(VerificationError, match="interlacing of the witness"):
        ritz_block.tail_bound(A, 8, {**witness, "interlacing": 1})


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_norm_outside_is_bounded_with_its_doubt(dtype):
    """One direction holds all: the bound is a quantile of chi-squared away, and fails as often as delta says."""
    A = Dense(np.diag([1.0, 0.0, 0.0]).astype(dtype))
    nothing, delta = np.zeros((3, 0), dtype=dtype), 0.1
    bounds = [ritz_block.spectral_norm_bound(A, nothing, np.random.default_rng(k), delta) for k in range(600)]
    failures = sum(bound < A.energy for bound in bounds)
    assert abs(failures - 60) < 4.0 * math.sqrt(54)
    # the same quantile by its definition
    factor = 2 if dtype is np.complex128 else 1
    held = scipy.special.chdtri(32 * factor, 1 - delta) / factor
    draw = np.random.default_rng(0)
    x = draw.standard_normal((3, 32))
    x = (x + 1j * draw.standard_normal((3, 32))) / math.sqrt(2) if factor == 2 else x
    expected = A.energy * (np.linalg.norm(x[0]) / math.sqrt(held)) ** (1 / 3)
    assert bounds[0] == pytest.approx(expected, rel=1e-9)
    assert (ritz_block.PROBES, ritz_block.POWER, ritz_block.CAREFUL) == (32, 3, 12)


def test_what_rounding_takes_from_the_probes_is_added():
    V = np.eye(50)[:, :20]
    bounds = [ritz_block.spectral_norm_bound(M, V, np.random.default_rng(1), 1e-6, room=room) for room in (0, 1, 3)]
    held = 2.0 * scipy.special.gammaincinv(16, 1e-6)
    size = np.linalg.norm(np.random.default_rng(1).standard_normal((50, 32))[20:])
    step = formula(52) * size / math.sqrt(held)
    assert bounds[1] - bounds[0] == pytest.approx(2.0 * step, rel=1e-2)
    assert bounds[2] - bounds[0] == pytest.approx(6.0 * step, rel=1e-2)
    # nothing left outside: what rounding may hide, and no less
    low = Dense(np.diag([1.0] * 20 + [0.0] * 30))
    hidden = ritz_block.spectral_norm_bound(low, V, np.random.default_rng(1), 1e-6)
    step = (8.0 + 1.5 * math.sqrt(52)) * 50 * low.eps * low.energy * size / math.sqrt(held)
    assert hidden == pytest.approx(4.0 * 3 * step, rel=1e-9)
    none = ritz_block.spectral_norm_bound(M, np.eye(50), np.random.default_rng(1), 1e-6)
    assert none == pytest.approx(4.0 * 3 * formula(82), rel=1e-9, abs=0.0)  # the share is then 1, and never more
    # a spacing so wide that the direction may be lost at any step
    for steps in (2, 1.5):  # half a step may lose it as a whole one does
        lost = ritz_block.spectral_norm_bound(coarse(M.array, 1e-3), V, np.random.default_rng(1), 1e-6, steps)
        assert lost == pytest.approx(4.0 * 2 * formula(52, coarse(M.array, 1e-3)) * size / math.sqrt(held), rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_half_a_step_fails_as_often_as_delta_says(dtype):
    """One direction holds all: no step, whole or half, changes which draws fail."""
    A, nothing = Dense(np.diag([1.0, 0.0, 0.0, 0.0]).astype(dtype)), np.zeros((4, 0), dtype=dtype)
    failed = [
        [ritz_block.spectral_norm_bound(A, nothing, np.random.default_rng(k), 0.1, steps) < 1.0 for k in range(300)]
        for steps in (1, 1.5, 2.5, 3)
    ]
    assert all(row == failed[0] for row in failed)
    assert abs(sum(failed[0]) - 30) < 4.0 * math.sqrt(27)


def test_half_a_step_that_loses_the_direction_needs_its_allowance():
    """The last product loses what rounding may take of the leading direction: without the allowance the bound lies."""

    class Losing(Dense):
        def times(self, X):
            product = self.array @ X
            if self.last:  # as much as the page says that a product may lose, along the leading direction
                loss = 100 * self.eps / 2 * math.sqrt(32) * math.sqrt(self.energy)
                sizes = np.linalg.norm(product[0])
                product[0] *= max(0.0, 1.0 - loss / sizes)
            return product

        def gram_times(self, X):
            self.last = False
            found = super().gram_times(X)
            self.last = True
            return found

    array = np.diag([1e-3, *[1.0] * 20, *[0.0] * 79])
    V = np.eye(100)[:, 1:21]
    low = Losing(array, Dense(array).working._replace(eps=1e-8))
    delta, least = 0.1, math.inf
    for seed in range(400):  # the draws that only just do not fail
        bare = ritz_block.spectral_norm_bound(low, V, np.random.default_rng(seed), delta, 1.5, room=0.0)
        exact = ritz_block.spectral_norm_bound(Dense(array), V, np.random.default_rng(seed), delta, 1.5, room=0.0)
        if exact >= 1e-6 and bare < least:
            least, worst = bare, seed
    assert least < 1e-6
    assert ritz_block.spectral_norm_bound(low, V, np.random.default_rng(worst), delta, 1.5) >= 1e-6


def test_the_first_step_in_the_pass_that_measures_is_the_same():
    whole, mu = ritz_block.measure_and_probe(M, BASIS, 7, np.random.default_rng(2), 1e-6, 1.5)
    apart = ritz_block.spectral_norm_bound(M, BASIS[:, :7], np.random.default_rng(2), 1e-6, 1.5)
    assert mu == pytest.approx(apart, rel=1e-9)
    block = ritz_block.measure(M, BASIS)
    assert np.allclose(whole.theta, block.theta, rtol=1e-12)
    assert np.allclose(whole.residual_gram, block.residual_gram, atol=1e-12 * np.max(block.residual_gram))
    assert np.allclose(whole.image(), block.image(), rtol=1e-12)


@pytest.mark.parametrize("sizes", [[np.finfo(float).tiny], [1.0, np.finfo(float).tiny]])
def test_blocks_that_vanish_are_not_divided_by(monkeypatch, sizes):
    remaining = iter(sizes)
    monkeypatch.setattr(ritz_block, "frobenius", lambda _: next(remaining))
    found = ritz_block.spectral_norm_bound(M, np.eye(50)[:, :20], np.random.default_rng(1), 1e-6)
    share = min(1.0, math.sqrt(2.0 * scipy.special.gammaincinv(16, 1e-6)) / sizes[0])
    assert found == pytest.approx(12.0 * formula(52) / share, rel=1e-9, abs=0.0)


@pytest.mark.parametrize("steps", [1, 1.5, 2, 2.5, 3])
def test_the_power_iteration_is_that_of_the_page(steps):
    V = np.linalg.qr(np.random.default_rng(15).standard_normal((50, 5)))[0]
    P = np.eye(50) - V @ V.T
    T = P @ M.array.T @ M.array @ P
    last = M.array if steps % 1 else np.eye(50)
    Y = last @ np.linalg.matrix_power(T, int(steps)) @ P @ np.random.default_rng(3).standard_normal((50, 32))
    expected = (np.linalg.norm(Y, 2) / math.sqrt(2.0 * scipy.special.gammaincinv(16, 1e-3))) ** (1 / steps)
    found = ritz_block.spectral_norm_bound(M, V, np.random.default_rng(3), 1e-3, steps, room=0.0)
    assert found == pytest.approx(expected, rel=1e-9)
    default = ritz_block.spectral_norm_bound(M, V, np.random.default_rng(3), 1e-3)
    assert default == ritz_block.spectral_norm_bound(M, V, np.random.default_rng(3), 1e-3, 3, room=1.0)


def test_two_passes_leave_nothing_of_the_block(monkeypatch):
    rng, passes = np.random.default_rng(16), []
    V = np.linalg.qr(rng.standard_normal((40, 6)))[0]
    x = V @ rng.standard_normal((6, 3)) + 1e-8 * rng.standard_normal((40, 3))
    monkeypatch.setattr(ritz_block, "adjoint", lambda array: passes.append(1) or adjoint(array))
    left = ritz_block._outside(x, V)
    assert np.linalg.norm(V.T @ left) <= 1e-14 * np.linalg.norm(left)
    assert len(passes) == 2  # and no third one, which would cost as much


def test_the_prover_does_not_choose_the_draws():
    """A span that holds the probes of one draw meets others; the same block always the same."""
    first, again = (ritz_block.probes(BASIS, 1e-6).standard_normal(4) for _ in range(2))
    assert np.array_equal(first, again)
    for basis, delta in ((BASIS[:, :11], 1e-6), (BASIS, 1e-7), (np.nextafter(BASIS, 1), 1e-6)):
        assert not np.array_equal(first, ritz_block.probes(basis, delta).standard_normal(4))
    assert np.array_equal(ritz_block.probes(BASIS, 0.1, 7).random(3), np.random.default_rng(7).random(3))
    slow = Dense(with_spectrum(np.random.default_rng(8), 120, 120, np.arange(1, 121.0) ** -0.1))
    true = float(np.linalg.norm(np.linalg.svd(slow.array, compute_uv=False)[3:]))
    for seed in range(3):
        probes = np.random.default_rng(seed).standard_normal((120, 32))
        witness = {"basis": probes, "shift": 1e-9, "converged": 0, "delta": 1e-6, "probed": 32}
        for rng in (None, seed, seed + 1):
            assert ritz_block.tail_bound(slow, 3, witness, rng).value <= true


def test_drawing_anew_confirms_what_is_true():
    witness = {**WITNESS, "delta": 1e-6, "probed": 12}
    claimed = ritz_block.tail_bound(M, 3, witness).value
    assert all(ritz_block.tail_bound(M, 3, witness, k).value >= claimed for k in range(10))


@pytest.mark.parametrize("n", [300, pytest.param(4000, marks=pytest.mark.slow)])
def test_allowance_covers_the_rounding_seen_against_extended_precision(n):
    """Theta and R of a block, in long double, against what double precision made of them."""
    rng = np.random.default_rng(n)
    width = 8
    A = rng.standard_normal((n, n // 2)) * np.logspace(0, -4, n // 2)
    operator = Dense(A)
    basis = np.linalg.qr(operator.gram_times(rng.standard_normal((n // 2, width)))[1])[0]
    block = ritz_block.measure(operator, ritz_block.orthonormal(operator, basis))
    V = ritz_block.orthonormal(operator, basis).astype(np.longdouble)
    for _ in range(3):  # the polar factor, by Newton and Schulz
        V = V @ (3 * np.eye(width, dtype=np.longdouble) - V.T @ V) / 2
    wide = operator.array.astype(np.longdouble)
    image = wide @ V
    theta = image.T @ image
    product = wide.T @ image
    residual = product - V @ (V.T @ product)
    allowance = ritz_block.products(operator, width)
    trace = abs(float(np.trace(theta)) - float(np.sum(block.theta)))
    energy = abs(float(np.sum(wide * wide)) - operator.energy)
    length = abs(float(np.linalg.norm(residual.astype(float))) - math.sqrt(float(np.sum(ritz_block.energies(block)))))
    for seen in (trace, energy, length):
        assert seen <= 0.1 * allowance
