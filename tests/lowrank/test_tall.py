"""Tall matrices: differences from the mean that are never formed as a whole, and distances from energies."""

import numpy as np
import pytest
import torch

import infimum
from infimum import errors, lowrank
from infimum.proof.operators.centred import SAMPLE, centred
from infimum.proof.operators.dense import Dense
from infimum.proof.operators.differences import Differences
from infimum.proof.operators.energies import distance_from_energies
from infimum.proof.rounding import ROOM

ROWS, COLUMNS = 180_000, 6


def tall(offset=1.0, spread=1.0, complex_=False):
    rng = np.random.default_rng(0)
    M = rng.standard_normal((ROWS, COLUMNS)) + 1j * complex_ * rng.standard_normal((ROWS, COLUMNS))
    return (M if complex_ else M.real) * np.linspace(1.0, 0.5, COLUMNS) * spread + offset


def truth(M, rank, with_mean):
    """Least error, to twice the digits: the rows less an accurate mean are exact where they are near to it."""
    wide = M.astype(np.clongdouble if np.iscomplexobj(M) else np.longdouble)
    if with_mean:
        wide = wide - wide[:1]
        wide = wide - wide.mean(axis=0)
    size = np.max(np.abs(wide)) or 1.0
    values = np.linalg.svd((wide / size).astype(np.complex128 if np.iscomplexobj(M) else np.float64), compute_uv=False)
    return float(np.sqrt(np.sum(values[rank:] ** 2)) * size)


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e8, -3e14])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_mean_does_no_harm(offset, order):
    M = np.asarray(tall(offset), order=order)
    less = centred(M, "M")
    assert isinstance(less.operator, Differences)
    result = lowrank.svd(M, 2, center=True)
    least = truth(M, 2, with_mean=True)
    c = result.certificate
    assert c.lower_bound <= least * (1 + 1e-12)
    assert least * (1 - 1e-12) <= c.value
    # a mean is known to a few of its own spacings
    assert c.ratio < 1.0 + 1e-8 + 1e-12 * abs(offset)
    infimum.verify(result, M)
    if abs(offset) <= 1.0:  # a check that looks at blocks comes to the same
        infimum.verify(result, infimum.scale.RowBlocks(np.ascontiguousarray(M), rows=50_000))


@pytest.mark.parametrize(("mean", "offset"), [(0.0, 50.0), (1.0, 100.0), (1.0, 1e9)])
def test_rows_that_mislead_about_the_mean(mean, offset):
    """The mean is guessed from a few rows; where they lie far from the others it is taken off anew."""
    M = tall(mean)
    M[:: ROWS // SAMPLE] += offset
    less = centred(M, "M")
    assert isinstance(less.operator, Differences) == (offset < 1e9)  # else all has to be scaled
    off = (M.astype(np.longdouble) - less.mean).mean(axis=0).astype(np.float64) / 2.0**less.operator.exponent
    assert np.sqrt(ROWS) * np.linalg.norm(off) <= less.allowance
    assert less.allowance <= 1e-9 * np.linalg.norm(M) / 2.0**less.operator.exponent
    plain = M - M.mean(axis=0)
    gram = less.operator.gram() * 4.0**less.operator.exponent
    np.testing.assert_allclose(gram, plain.T @ plain, rtol=1e-10, atol=1e-12 * np.sum(plain**2))
    result = lowrank.svd(M, 2, center=True)
    least = truth(M, 2, with_mean=True)
    assert result.certificate.lower_bound <= least * (1 + 1e-12)
    assert least * (1 - 1e-12) <= result.certificate.value
    infimum.verify(result, M)


@pytest.mark.parametrize("complex_", [False, True])
def test_the_product_that_is_known_is_that_with_the_image(complex_):
    """What an image has in common with the rows follows from their Gram matrix, to the allowance that is stated."""
    M = tall(complex_=complex_)
    operator = centred(M, "M").operator
    assert isinstance(operator, Differences)
    X = np.random.default_rng(1).standard_normal((COLUMNS, 3)) * [1.0, 1e-3, 1e3]
    image = operator.times(X)
    (known, off), (seen, _) = operator._products_with(image)
    apart = np.linalg.norm(known - seen, axis=1)
    assert np.all(apart <= off)
    assert np.all(off <= 1e-11 * np.linalg.norm(seen, axis=1))
    assert len(list(operator._products_with(image.copy()))) == 1


@pytest.mark.parametrize("complex_", [False, True])
def test_either_way_of_measuring_agrees_with_claims_by_the_other(complex_, monkeypatch):
    M = tall(complex_=complex_)
    for center in (False, True):
        result = lowrank.svd(M, 2, center=center)
        monkeypatch.setattr("infimum.proof.operators.centred.worth_it", lambda shape: False)
        infimum.verify(result, M)
        plain = lowrank.svd(M, 2, center=center)
        monkeypatch.undo()
        infimum.verify(plain, M)
        assert result.certificate.value == pytest.approx(plain.certificate.value, rel=1e-9)
        assert result.certificate.value >= truth(M, 2, center) * (1 - 1e-12)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kind", ["float32", "integers", "torch", "rank deficient", "constant columns", "huge", "tiny"])
def test_tall_matrices_of_every_kind(kind, center):
    M = tall()
    if kind == "integers":
        M = np.rint(100 * M).astype(np.int64)
    elif kind == "rank deficient":
        M = np.concatenate([M[:, :2], M[:, :2] @ np.ones((2, 4))], axis=1)
    elif kind == "constant columns":
        M[:, 2:] = 1e8
    else:
        M = {"float32": M.astype(np.float32), "torch": torch.asarray(M), "huge": 1e300 * M, "tiny": 1e-300 * M}[kind]
    result = lowrank.svd(M, 2, center=center)
    infimum.verify(result, M)
    least = truth(np.asarray(M).astype(np.float64), 2, center)
    size = float(np.linalg.norm(np.asarray(M).astype(np.float64) / np.max(np.abs(np.asarray(M))))) * np.max(
        np.abs(np.asarray(M))
    )
    assert result.certificate.lower_bound <= least + 1e-13 * size
    assert least <= result.certificate.value + 1e-13 * size


def test_zeros_and_entries_that_are_no_numbers():
    M = np.zeros((ROWS, COLUMNS))
    for center in (False, True):
        assert lowrank.svd(M, 2, center=center).certificate.value == 0.0
    for entry in (np.nan, np.inf):
        M[17, 3] = entry
        with pytest.raises(errors.NonFiniteError, match="1 of its"):
            lowrank.svd(M, 2, center=True)


def test_whoever_asks_for_all_differences_gets_them():
    M = tall()
    plain, less = M - M.mean(axis=0), centred(M, "M")
    np.testing.assert_allclose(less.operator.dense(), plain, atol=1e-12)
    assert 3 * less.operator.longest_sum >= 4 * Dense(M).longest_sum  # as the page on the theorem has it
    X = np.random.default_rng(1).standard_normal((COLUMNS, 3))
    image, product = less.operator.gram_times(X)
    np.testing.assert_allclose(image, plain @ X, atol=1e-10)
    np.testing.assert_allclose(product, plain.T @ (plain @ X), rtol=1e-9)
    for method in ("exact", "krylov", "randomized"):
        result = lowrank.svd(M, 2, center=True, method=method, rng=0)
        infimum.verify(result, M)
        assert result.certificate.value == pytest.approx(truth(M, 2, with_mean=True), rel=1e-3)


def test_energies_measure_only_what_stands_out_of_rounding():
    """Where the residual is small, or squares of the factors vanish, entries are looked at."""
    M = tall(0.0)
    operator = Dense(M)
    U, s, Vh = np.linalg.svd(M, full_matrices=False)

    def measured(left, right, room=1.0):
        product = left.conj().T @ M
        return distance_from_energies(operator.energy, product, left, right, operator.longest_sum, operator.eps, room)

    assert measured(U[:, :2], s[:2, None] * Vh[:2]) >= np.linalg.norm(s[2:])
    assert measured(U[:, :2], s[:2, None] * Vh[:2], ROOM) > measured(U[:, :2], s[:2, None] * Vh[:2])
    assert measured(U, s[:, None] * Vh) is None
    one, other = U[:, :1] * 1e-170, 1e170 * s[:1, None] * Vh[:1]
    assert measured(one, other) is None
    assert measured(1e200 * U[:, :1], other) is None
    assert operator.distance(one, other) == pytest.approx(np.linalg.norm(s[1:]), rel=1e-9)
    nothing = np.zeros((1, COLUMNS))
    assert measured(U[:, :1], nothing) == pytest.approx(np.linalg.norm(s), rel=1e-9)


def test_the_mean_is_not_found_from_far():
    M = tall(0.0)
    assert Differences(Dense(M), M.mean(axis=0)).ordinary
    assert not Differences(Dense(M), M.mean(axis=0) + 10.0).ordinary


def test_what_a_product_may_be_off_by_is_added_or_forbids_energies():
    M = tall(0.0)
    operator = Dense(M)
    U, s, Vh = np.linalg.svd(M, full_matrices=False)
    left, right, product = U[:, :2], s[:2, None] * Vh[:2], U[:, :2].T @ M
    losing = sum(M.shape) * operator.eps / 2 * np.sum(s[2:] ** 2)

    def measured(off):
        off = np.full(2, off / np.sum(s[:2]))
        parts = (operator.energy, product, left, right, operator.longest_sum, operator.eps)
        return distance_from_energies(*parts, ROOM, off)

    plain, doubtful = measured(0.0), measured(0.02 * losing)
    assert doubtful**2 - plain**2 >= 0.9 * ROOM * 2.0 * 0.02 * losing
    assert measured(0.6 * losing) is None


def test_a_changed_answer_of_a_tall_matrix_is_refused():
    M = tall()
    result = lowrank.svd(M, 2, center=True)
    U = result.U.copy()
    U[:20] = U[20:40]
    forged = type(result)(U=U, s=result.s, Vh=result.Vh, mean=result.mean, certificate=result.certificate)
    with pytest.raises(errors.VerificationError):
        infimum.verify(forged, M)
