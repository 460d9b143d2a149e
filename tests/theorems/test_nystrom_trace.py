"""Nystrom in the trace norm: values above, bounds below, semidefiniteness disproved, allowances as on the page."""

import math

import flint
import numpy as np
import pytest

from infimum._linalg import frobenius
from infimum.errors import NotSemidefiniteError, VerificationError
from infimum.proof.operators.kernel import EPS, Entries
from infimum.proof.operators.kernel_matrix import KernelMatrix
from infimum.proof.rounding import rounding_allowance
from infimum.proof.theorems import nystrom_trace
from infimum.proof.theorems.nystrom_trace import (
    DependentLandmarksError,
    difference,
    distance,
    landmark_bound,
    spectral_bound,
    trace_error,
)


def cholesky_form(columns, landmarks):
    return nystrom_trace.cholesky_form(columns, landmarks).F


LINEAR = {"real": lambda X, Y: X @ Y.T, "complex": lambda X, Y: X @ Y.conj().T}


def points(rng, n, d, complex_=False):
    X = rng.standard_normal((n, d)) * 10.0 ** -rng.uniform(0.0, 2.0, d)
    return X + 1j * rng.standard_normal((n, d)) if complex_ else X


def both(rng, n, d, complex_=False):
    """One matrix as a kernel, known by its entries, and as an array."""
    X = points(rng, n, d, complex_)
    K = X @ X.conj().T
    return Entries(KernelMatrix(X, lambda A, B: A @ B.conj().T)), Entries((K + K.conj().T) / 2)


def spectrum(entries):
    """Eigenvalues of the scaled matrix, descending, in multi-precision arithmetic."""
    K = entries.columns(np.arange(entries.shape[0]))
    with flint.ctx.workprec(300):
        ball = flint.acb_mat([[flint.acb(complex(v)) for v in row] for row in K])
        return sorted((v.real.mid() for v in ball.eig(algorithm="approx")), reverse=True)


def trace_norm(entries, factor):
    K = entries.columns(np.arange(entries.shape[0]))
    with flint.ctx.workprec(300):
        ball = flint.acb_mat([[flint.acb(complex(v)) for v in row] for row in K])
        F = flint.acb_mat([[flint.acb(complex(v)) for v in row] for row in factor])
        return sum(
            (abs(v.real.mid()) for v in (ball - F * F.conjugate().transpose()).eig(algorithm="approx")), flint.arb(0)
        )


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("dtype", ["double", "single"])
def test_values_are_above_the_trace_norm_and_bounds_below_every_matrix(complex_, dtype):
    rng = np.random.default_rng(0)
    for _ in range(12):
        n = int(rng.integers(2, 9))
        landmarks = rng.choice(n, size=int(rng.integers(1, n)), replace=False)
        for entries in both(rng, n, n, complex_):
            F = cholesky_form(entries.columns(landmarks), landmarks)
            narrow = np.complex64 if complex_ else np.float32
            answer = F if dtype == "double" else F.astype(narrow).astype(F.dtype)
            truth = trace_norm(entries, answer)
            value = trace_error(entries, landmarks, answer, double=dtype == "double")
            assert truth <= value <= float(truth) * (1.0 + 1e-6) + 1e-6 * float(np.sum(entries.diagonal))
            assert value <= trace_error(entries, landmarks, answer, double=dtype == "double", room=3.0)
            values = spectrum(entries)
            for rank in (0, 1, n - 1, n):
                tail = sum(values[rank:], flint.arb(0))
                bounds = [landmark_bound(entries, rank, more) for more in (landmarks, np.arange(n))]
                assert all(bound <= max(float(tail), 0.0) + 1e-300 for bound in bounds)
                assert bounds[1] >= float(tail) * (1.0 - 1e-9) - 1e-8 * float(values[0])  # all columns: the tail itself
                if entries.spectrum is not None:
                    bound = spectral_bound(entries, rank)
                    assert float(tail) * (1.0 - 1e-9) - 1e-10 * float(values[0]) <= bound <= max(float(tail), 0.0)


def test_any_factor_is_measured_whatever_it_is():
    """Factors that are off by much more than rounding: the distance covers what they miss."""
    rng = np.random.default_rng(1)
    for size in (1e-12, 1e-6, 1e-4):
        for _ in range(10):
            entries = both(rng, 7, 7)[0]
            landmarks = rng.choice(7, size=3, replace=False)
            columns = entries.columns(landmarks)
            exact = cholesky_form(columns, landmarks)
            turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
            F = exact @ turn + size * rng.standard_normal(exact.shape)
            try:
                near = distance(columns, landmarks, F)
            except DependentLandmarksError:
                continue
            off = float(np.sum(np.abs(np.linalg.eigvalsh(exact @ exact.T - F @ F.T))))
            assert off <= near.trace + 1e-14
            coefficients = np.linalg.norm(columns @ np.linalg.inv(columns[landmarks]))
            assert coefficients <= near.coefficients <= 2.0 * coefficients
            assert trace_norm(entries, F) <= trace_error(entries, landmarks, F, double=True)


@pytest.mark.parametrize("complex_", [False, True])
def test_products_with_the_inverse_are_as_near_as_is_claimed(complex_):
    """Up to the condition that is allowed, against the Nystrom matrix in multi-precision arithmetic."""
    rng, routes = np.random.default_rng(4), set()
    for _ in range(40):
        X = rng.standard_normal((9, 3)) + (1j * rng.standard_normal((9, 3)) if complex_ else 0.0)
        X = X @ np.diag(10.0 ** -rng.uniform(0.0, 3.5, 3)) @ rng.standard_normal((3, 3))
        K, landmarks = X @ X.conj().T, rng.choice(9, size=3, replace=False)
        C = np.ascontiguousarray(K[:, landmarks])
        C[landmarks] = (C[landmarks] + C[landmarks].conj().T) / 2
        try:
            F, inverse = nystrom_trace.cholesky_form(C, landmarks)
            near = distance(C, landmarks, F, 1.0, inverse)
        except DependentLandmarksError:
            continue
        routes.add(inverse is None)
        if inverse is not None:
            assert np.linalg.norm(np.linalg.inv(inverse)) * np.linalg.norm(inverse) < 2001.0
            assert near.trace >= distance(C, landmarks, F, 0.0).trace  # what measuring it finds, less its allowance
        with flint.ctx.workprec(300):
            ball, W, G = (
                flint.acb_mat([[flint.acb(complex(v)) for v in row] for row in M]) for M in (C, C[landmarks], F)
            )
            off = ball * W.inv() * ball.conjugate().transpose() - G * G.conjugate().transpose()
            assert sum((abs(v.real.mid()) for v in off.eig(algorithm="approx")), flint.arb(0)) <= near.trace
    assert routes == {True, False}


def test_what_the_inverse_misses_counts():
    """A factor that is no product with the inverse given leaves as much as the two differ by."""
    C, landmarks = np.array([[4.0, 1.0], [1.0, 3.0], [1.0, 1.0]]), np.array([0, 1])
    F, inverse = nystrom_trace.cholesky_form(C, landmarks)
    off = np.linalg.norm(C) * np.linalg.norm(np.eye(2) - F[landmarks] @ (1.01 * inverse))
    p = np.linalg.norm(F @ np.linalg.inv(F[landmarks]))
    assert distance(C, landmarks, F, 1.0, 1.01 * inverse).trace > 2.0 * p * off


ROOMS = [1.0, 3.0, 1e7]


@pytest.mark.parametrize("room", ROOMS)
def test_the_distance_has_the_form_on_the_page(room):
    rng = np.random.default_rng(2)
    entries, landmarks = both(rng, 9, 5)[0], np.array([6, 0, 3])
    C = entries.columns(landmarks)
    F = cholesky_form(C, landmarks) + 1e-5 * rng.standard_normal((9, 3))
    W, S, n, k = C[landmarks], F[landmarks], 9, 3
    f, s = np.linalg.norm(F), np.linalg.norm(S)
    a = np.linalg.norm(W - S @ S.T) + room * (k + 4) * EPS * (np.linalg.norm(W) + s**2)
    b = np.linalg.norm(C - F @ S.T) + room * (k + 4) * EPS * (np.linalg.norm(C) + f * s)
    least = np.linalg.svd(S)[1][-1] - room * rounding_allowance((3, 3), EPS, s)
    p = (1.0 + 0.1 * room) * math.sqrt(
        np.linalg.norm(F @ np.linalg.inv(S)) ** 2 + room * (n + k + 8) * EPS * (f / least) ** 2
    )
    e = b + p * a
    near = distance(C, landmarks, F, room)
    growth = 1.0 + room * 16 * (n + k) * EPS
    assert near.trace == pytest.approx((2.0 * p * b + p**2 * a + e**2 / (least**2 - a)) * growth, rel=1e-9)
    assert near.coefficients == pytest.approx((p + e / (least**2 - a)) * growth, rel=1e-9)
    assert np.allclose(near.gram, F.T @ F, rtol=1e-13)


@pytest.mark.parametrize("room", ROOMS)
def test_the_allowances_of_value_and_bounds(room):
    rng = np.random.default_rng(3)
    entries, array = both(rng, 12, 12)
    landmarks, n = np.array([2, 7]), 12
    F = cholesky_form(entries.columns(landmarks), landmarks)
    near = distance(entries.columns(landmarks), landmarks, F, room)
    left = np.sum(np.maximum(entries.diagonal - np.sum(F**2, axis=1), 0.0))
    rounding = (n + 2 + 8) * EPS * (np.sum(entries.diagonal) + np.sum(F**2))
    off = 2.0 * 2.0**-52 * np.sum(entries.diagonal)  # what is taken on trust
    assert entries.negative_part(room) == pytest.approx((off * math.sqrt(12.0), off / math.sqrt(12.0)))
    indefinite = (math.sqrt(off * math.sqrt(12.0)) + math.sqrt(off / math.sqrt(12.0)) * near.coefficients) ** 2
    expected = (left + room * rounding + 2.0 * near.trace + 2.0 * indefinite) * (1.0 + room * 16 * n * EPS)
    assert trace_error(entries, landmarks, F, double=True, room=room) == pytest.approx(expected, rel=1e-12)
    G = F.astype(np.float32).astype(float)
    narrow = trace_error(entries, landmarks, G, double=False, room=room)
    assert narrow == pytest.approx(expected + difference(F, G, room) * (1.0 + room * 16 * n * EPS), rel=1e-12)
    turned = np.sum(np.abs(np.linalg.eigvalsh(F @ F.T - G @ G.T)))
    size = (np.linalg.norm(F) + np.linalg.norm(G)) ** 2
    allowed = room * (200.0 + 16.0 * math.sqrt(12.0)) * EPS * size * 2.0
    assert difference(F, G, room) == pytest.approx(turned + allowed, rel=1e-6 if room < 10 else 1e-12)
    # the bound of landmarks
    values = np.linalg.eigvalsh(F.T @ F)[::-1]
    rounding = ((n + 8) * EPS + (200.0 + 16.0 * math.sqrt(12.0)) * EPS) * np.sum(values) * math.sqrt(2.0)
    expected = max(values[1] - near.trace - indefinite - room * rounding, 0.0)
    assert landmark_bound(entries, 1, landmarks, room) == pytest.approx(expected, rel=1e-12)
    # that of the spectrum
    values, trace = array.spectrum, np.sum(array.diagonal)
    each = room * (200.0 + 16.0 * math.sqrt(12.0)) * EPS * np.linalg.norm(values)
    tail = np.sum(values[3:]) - each * 3.0
    whole = trace - np.sum(values[:3]) - each * math.sqrt(3.0) - room * n * EPS * (trace + np.sum(values[:3]))
    expected = max(max(tail, whole) * (1.0 - room * 4 * n * EPS), 0.0)
    assert spectral_bound(array, 3, room) == pytest.approx(expected, rel=1e-11)


def test_what_an_array_lacks_counts_against_it():
    """A negative eigenvalue of the size of rounding, and what differs from the Hermitian part."""
    rng = np.random.default_rng(4)
    Q = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    K = (Q * np.array([1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.01, -4e-14])) @ Q.T
    entries = Entries((K + K.T) / 2)
    total, lowest = entries.negative_part()
    each = rounding_allowance((8, 8), EPS, float(np.linalg.norm(entries.spectrum)))
    assert lowest == pytest.approx(each - entries.spectrum[-1])
    assert total == pytest.approx(-entries.spectrum[-1] + math.sqrt(8.0) * each)
    assert entries.negative_part(3.0)[1] == pytest.approx(3.0 * each - entries.spectrum[-1])
    landmarks = np.array([0, 1, 2, 3, 4, 5])
    F = cholesky_form(entries.columns(landmarks), landmarks)
    near = distance(entries.columns(landmarks), landmarks, F)
    indefinite = 2.0 * (math.sqrt(total) + math.sqrt(lowest) * near.coefficients) ** 2
    left = np.sum(np.maximum(entries.diagonal - np.sum(F**2, axis=1), 0.0))
    rounding = (8 + 6 + 8) * EPS * (np.sum(entries.diagonal) + np.sum(F**2))
    expected = (left + rounding + 2.0 * near.trace + indefinite + entries.skew) * (1.0 + 16 * 8 * EPS)
    assert trace_error(entries, landmarks, F, double=True) == pytest.approx(expected, rel=1e-9)
    assert trace_norm(entries, F) <= expected
    assert entries.skew == 0.0
    skewed = Entries((K + K.T) / 2 + np.triu(np.full((8, 8), 1e-9), 1))
    difference_ = math.sqrt(56.0) * 1e-9 * 2.0**-skewed.exponent
    assert skewed.skew == pytest.approx(difference_ * math.sqrt(8.0), rel=1e-6)
    assert spectral_bound(skewed, 2) == pytest.approx(spectral_bound(entries, 2) - skewed.skew, rel=1e-6)


def test_no_landmarks_and_all_of_them():
    entries = both(np.random.default_rng(5), 6, 6)[0]
    none = np.zeros(0, dtype=np.int64)
    F = cholesky_form(entries.columns(none), none)
    assert F.shape == (6, 0)
    assert trace_error(entries, none, F, double=True) == pytest.approx(np.sum(entries.diagonal), rel=1e-12)
    assert trace_error(entries, none, F, double=False) >= np.sum(entries.diagonal)
    assert landmark_bound(entries, 0, none) == 0.0
    assert spectral_bound(Entries(np.eye(4)), 4) == 0.0
    assert spectral_bound(Entries(np.eye(4)), 0) == pytest.approx(4.0 / 2.0 ** Entries(np.eye(4)).exponent)
    with pytest.raises(VerificationError, match="moderate size"):
        spectral_bound(entries, 1)


def test_dependent_landmarks_are_refused():
    entries = Entries(np.ones((4, 4)))
    with pytest.raises(DependentLandmarksError):
        landmark_bound(entries, 1, np.array([0, 1]))
    with pytest.raises(DependentLandmarksError):
        distance(entries.columns(np.array([0, 1])), np.array([0, 1]), np.ones((4, 2)))
    near = np.array([[1.0, 0.0], [1.0, 1e-9]])  # a condition that rounding spoils
    with pytest.raises(DependentLandmarksError):
        distance(near @ near.T, np.array([0, 1]), near)


ENTRIES = Entries(np.diag([4.0, 3.0, 2.0]))


@pytest.mark.parametrize(
    "landmarks",
    [[0], np.array([0.0]), np.array([3]), np.array([-1]), np.array([0, 0]), np.array([[0]]), None, np.array([True])],
)
def test_landmarks_are_asked(landmarks):
    with pytest.raises(VerificationError, match="landmarks must"):
        trace_error(ENTRIES, landmarks, np.ones((3, 1)), double=True)
    with pytest.raises(VerificationError, match="landmarks must"):
        landmark_bound(ENTRIES, 1, landmarks)


@pytest.mark.parametrize(
    "factor", [np.ones((3, 2)), np.ones(3), np.ones((2, 1)), np.full((3, 1), np.nan), np.ones((3, 1), dtype=int), None]
)
def test_factors_are_asked(factor):
    with pytest.raises(VerificationError, match="factor must"):
        trace_error(ENTRIES, np.array([0]), factor, double=True)


@pytest.mark.parametrize("rank", [-1, 4, True, 1.0, None])
def test_ranks_are_asked(rank):
    for bound in (lambda: spectral_bound(ENTRIES, rank), lambda: landmark_bound(ENTRIES, rank, np.array([0]))):
        with pytest.raises(VerificationError, match="rank must"):
            bound()


INDEFINITE = {
    "large entry": lambda X, Y: np.where(X == Y.T, 1.0, 1.1 * np.exp(-((X - Y.T) ** 2))),
    "zero diagonal": lambda X, Y: np.abs(X - Y.T),
    "sign": lambda X, Y: 2.0 - np.abs(X - Y.T) ** 2,
    "not Hermitian": lambda X, Y: np.exp(-((X - Y.T) ** 2)) * (1.0 + 0.01 * (X - Y.T)),
    "flat top": lambda X, Y: 1.0 * (np.abs(X - Y.T) < 0.7),
    "small part": lambda X, Y: np.exp(-((X - Y.T) ** 2)) - 1e-2 * np.cos(9.0 * X) * np.cos(9.0 * Y.T),
}


@pytest.mark.parametrize("name", INDEFINITE)
@pytest.mark.parametrize("n", [40, 300])
def test_kernels_that_disprove_themselves_are_refused(name, n):
    entries = Entries(KernelMatrix(np.linspace(-1.0, 1.0, n)[:, None], INDEFINITE[name]))
    landmarks = np.array([3, n - 5])
    try:
        F = cholesky_form(entries.columns(landmarks), landmarks)
        with pytest.raises(NotSemidefiniteError):
            trace_error(entries, landmarks, F, double=True)
        with pytest.raises(NotSemidefiniteError):
            landmark_bound(entries, 1, landmarks)
    except DependentLandmarksError:  # zeros on the diagonal leave nothing to decompose
        assert name == "zero diagonal"
        with pytest.raises(NotSemidefiniteError):
            landmark_bound(entries, 0, np.zeros(0, dtype=np.int64))


def test_names_and_norms():
    assert nystrom_trace.THEOREM == "nystrom_trace"
    assert EPS == 2.0**-51
    assert frobenius(np.eye(3)) == pytest.approx(math.sqrt(3.0))


def test_one_allowance_is_the_default():
    entries, array = both(np.random.default_rng(7), 9, 9)
    landmarks = np.array([1, 4, 6])
    F = cholesky_form(entries.columns(landmarks), landmarks)
    G = F.astype(np.float32).astype(float)
    for call in (
        lambda *room: trace_error(entries, landmarks, F, double=True, **dict(zip(["room"], room, strict=False))),
        lambda *room: difference(F, G, *room),
        lambda *room: distance(entries.columns(landmarks), landmarks, F, *room).trace,
        lambda *room: -landmark_bound(entries, 1, landmarks, *room),
        lambda *room: -spectral_bound(array, 2, *room),
        lambda *room: array.negative_part(*room)[0] + 1e-300,
    ):
        assert call() == call(1.0) <= call(100.0)


def visible(monkeypatch, eps=1e-9):
    """A coarse spacing, so that every allowance is seen to many digits."""
    monkeypatch.setattr(nystrom_trace, "EPS", eps)
    return eps


@pytest.mark.parametrize("room", [1.0, 3.0])
@pytest.mark.parametrize("kind", ["kernel", "array", "skewed"])
def test_every_allowance_at_a_coarse_spacing(monkeypatch, room, kind):
    eps = visible(monkeypatch)
    rng = np.random.default_rng(11)
    X = rng.standard_normal((8, 8))
    if kind == "kernel":
        entries = Entries(KernelMatrix(X, LINEAR["real"]))
    else:
        entries = Entries(X @ X.T + (np.triu(np.full((8, 8), 1e-7), 1) if kind == "skewed" else 0.0))
        entries.__dict__["spectrum"] = entries.spectrum - 1e-4  # some of them below 0, seen in what follows
    assert (entries.skew > 1e-9) == (kind == "skewed")
    n, k, landmarks = 8, 3, np.array([5, 0, 3])
    C = entries.columns(landmarks)
    F = cholesky_form(C, landmarks)
    f, S, W = np.linalg.norm(F), F[landmarks], C[landmarks]
    s = np.linalg.norm(S)
    near = distance(C, landmarks, F, room)
    a = np.linalg.norm(W - S @ S.T) + room * (k + 4) * eps * (np.linalg.norm(W) + s**2)
    b = np.linalg.norm(C - F @ S.T) + room * (k + 4) * eps * (np.linalg.norm(C) + f * s)
    least = np.linalg.svd(S)[1][-1] - room * (200.0 + 16.0 * math.sqrt(3.0)) * eps * s
    square = np.linalg.norm(F @ np.linalg.inv(S)) ** 2
    p = (1.0 + 0.1 * room) * math.sqrt(square + room * (n + k + 8) * eps * (f / least) ** 2)
    e, smallest, growth = b + p * a, least**2 - a, 1.0 + room * 16 * (n + k) * eps
    close = {"rel": 1e-11, "abs": 0.0}
    loose = {"rel": 1e-6, "abs": 0.0}  # off by rounding in a and b, which the allowances exceed a million times
    assert near.trace == pytest.approx((2.0 * p * b + p**2 * a + e**2 / smallest) * growth, **loose)
    assert near.coefficients == pytest.approx((p + e / smallest) * growth, **close)
    total, lowest = entries.negative_part(room)
    assert total > 0.0
    indefinite = (math.sqrt(total) + math.sqrt(lowest) * near.coefficients) ** 2
    # the value
    left = np.sum(np.maximum(entries.diagonal - np.sum(F**2, axis=1), 0.0))
    allowed = room * (n + k + 8) * eps * (np.sum(entries.diagonal) + f**2)
    expected = (left + allowed + 2.0 * near.trace + 2.0 * indefinite + entries.skew) * (1.0 + room * 16 * n * eps)
    assert trace_error(entries, landmarks, F, double=True, room=room) == pytest.approx(expected, **close)
    bound_of_landmarks_is_as_stated(entries, landmarks, room, eps)
    if kind != "kernel":
        spectral_bound_is_as_stated(monkeypatch, entries, room, eps)


def bound_of_landmarks_is_as_stated(entries, landmarks, room, eps):
    """Of a factor that is a product with the inverse."""
    n, k = 8, 3
    C = entries.columns(landmarks)
    F, X = nystrom_trace.cholesky_form(C, landmarks)
    S, measured = F[landmarks], distance(C, landmarks, F, room)
    near = distance(C, landmarks, F, room, X)
    products = room * (k + 4) * eps * (2.0 * np.linalg.norm(S) * np.linalg.norm(X) + math.sqrt(k))
    b = np.linalg.norm(C) * (np.linalg.norm(np.eye(k) - S @ X) + products)
    least, a = nystrom_trace.resolution(C[landmarks], S, room)
    square = np.linalg.norm(F @ np.linalg.inv(S)) ** 2
    p = (1.0 + 0.1 * room) * math.sqrt(square + room * (n + k + 8) * eps * (np.linalg.norm(F) / least) ** 2)
    e, smallest, growth = b + p * a, least**2 - a, 1.0 + room * 16 * (n + k) * eps
    assert near.trace == pytest.approx((2.0 * p * b + p**2 * a + e**2 / smallest) * growth, rel=1e-6, abs=0.0)
    assert near.coefficients == pytest.approx((p + e / smallest) * growth, rel=1e-11, abs=0.0)
    assert near.trace != measured.trace
    total, lowest = entries.negative_part(room)
    indefinite = (math.sqrt(total) + math.sqrt(lowest) * near.coefficients) ** 2
    values = np.linalg.eigvalsh(F.T @ F)[::-1]
    allowed = room * ((n + 8) * eps + (200.0 + 16.0 * math.sqrt(8.0)) * eps) * np.sum(values) * math.sqrt(3.0)
    expected = values[1] + values[2] - near.trace - indefinite - allowed - entries.skew
    found = landmark_bound(entries, 1, landmarks, room)
    assert found == pytest.approx(max(expected, 0.0), rel=1e-11, abs=0.0)
    assert found > 0.0 or entries.kernel is None


def spectral_bound_is_as_stated(monkeypatch, entries, room, eps):
    """Of a spectrum, and of one that has grown: then the tail is larger than what the trace leaves."""
    monkeypatch.setattr(nystrom_trace, "spectrum_allowance", lambda values: 1e-5)
    n, trace, each, larger = 8, np.sum(entries.diagonal), room * 1e-5, set()
    for more in (0.0, 1.0):
        entries.__dict__["spectrum"] = entries.spectrum + more
        sizes = np.sort(np.abs(entries.spectrum))[::-1]
        for rank in (1, 2, 5):
            tail = np.sum(sizes[rank:]) - each * math.sqrt(n - rank)
            sums = room * n * eps * (trace + np.sum(sizes[:rank]))
            whole = trace - np.sum(sizes[:rank]) - each * math.sqrt(rank) - sums
            larger.add((more, bool(tail > whole)))
            expected = (max(tail, whole) - entries.skew) * (1.0 - room * 4 * n * eps)
            assert spectral_bound(entries, rank, room) == pytest.approx(expected, rel=1e-11, abs=0.0)
    assert (1.0, True) in larger


def test_sizes_are_taken_of_magnitudes():
    """Negative numbers on the diagonal and in the spectrum count by their size; what is left of them does not."""
    entries = Entries(np.diag([4.0, 3.0, 2.0, 1.0]))
    entries.diagonal = np.array([4.0, 3.0, 2.0, -1.0]) / 8.0
    entries.__dict__["spectrum"] = np.array([4.0, 3.0, 2.0, -3.5]) / 8.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nystrom_trace, "EPS", 1e-6)
        patch.setattr(nystrom_trace, "spectrum_allowance", lambda values: 0.0)
        patch.setattr(Entries, "negative_part", lambda self, room: (0.0, 0.0))
        none = np.zeros(0, dtype=np.int64)
        expected = (9.0 / 8.0 + 12e-6 * 10.0 / 8.0) * (1.0 + 64e-6)
        assert trace_error(entries, none, np.zeros((4, 0)), double=True) == pytest.approx(expected, rel=1e-13)
        assert spectral_bound(entries, 1) == pytest.approx(8.5 / 8.0 * (1.0 - 16e-6), rel=1e-13)
        assert spectral_bound(entries, 2) == pytest.approx(5.0 / 8.0 * (1.0 - 16e-6), rel=1e-13)
        entries.__dict__["spectrum"] = np.array([0.5, 0.1, 0.0, 0.0])
        whole = 1.0 - 0.5 - 4e-6 * (10.0 / 8.0 + 0.5)
        assert spectral_bound(entries, 1) == pytest.approx(whole * (1.0 - 16e-6), rel=1e-13)
        entries.skew = 5.0
        assert spectral_bound(entries, 1) == 0.0


def test_nothing_at_all_is_no_distance(monkeypatch):
    none = np.zeros(0, dtype=np.int64)
    monkeypatch.setattr(np.linalg, "qr", None)  # nothing is decomposed
    assert distance(np.zeros((4, 0)), none, np.zeros((4, 0)))[:2] == (0.0, 0.0)
    assert difference(np.zeros((4, 0)), np.zeros((4, 0))) == 0.0
    assert cholesky_form(np.zeros((4, 0)), none).shape == (4, 0)


def test_a_core_is_trusted_up_to_half_its_least_square():
    """The part that a factor misses must stay below half the square of its least singular value."""
    landmarks = np.array([0])
    for off, fine in ((0.04, True), (0.1, True), (0.499, True), (0.501, False), (0.9, False)):
        columns = np.array([[1.0 + off], [0.5]])
        if fine:
            assert distance(columns, landmarks, np.array([[1.0], [0.5]])).trace > off
        else:
            with pytest.raises(DependentLandmarksError):
                distance(columns, landmarks, np.array([[1.0], [0.5]]))
    for room in (1.0, 1e14):  # a least singular value below 0 after its allowance has a square above 0
        with pytest.raises(DependentLandmarksError):
            distance(np.zeros((2, 1)), landmarks, np.zeros((2, 1)), room)


def test_large_entries_are_refused_by_the_bound():
    X = np.arange(3.0)[:, None]
    table = np.array([[1.0, 0.1, 0.1], [0.1, 1.0, 1.5], [0.1, 1.5, 1.0]])
    entries = Entries(KernelMatrix(X, lambda A, B: table[np.ix_(A[:, 0].astype(int), B[:, 0].astype(int))]))
    with pytest.raises(NotSemidefiniteError, match="larger than sqrt"):
        landmark_bound(entries, 0, np.array([1]))


@pytest.mark.parametrize("landmarks", [[0], [0, 1]])
def test_entries_beyond_the_range_are_refused_with_an_error_of_the_library(landmarks):
    """Beside a small diagonal an entry may overflow when it is scaled: that is not for SciPy to say."""
    table = np.array([[1.0, 1e200, 0.0], [1e200, 1.0, 0.0], [0.0, 0.0, 1.0]]) * 1e-150
    table[0, 1] = table[1, 0] = 1e200
    X = np.arange(3.0)[:, None]
    entries = Entries(KernelMatrix(X, lambda A, B: table[np.ix_(A[:, 0].astype(int), B[:, 0].astype(int))]))
    with np.errstate(all="ignore"), pytest.raises((NotSemidefiniteError, DependentLandmarksError)):
        landmark_bound(entries, 0, np.array(landmarks))


def test_a_least_singular_value_below_its_allowance_is_none():
    """Below 0 after the allowance, its square would pass: with much room, and with the allowances themselves so."""
    landmarks, F = np.array([0]), np.array([[1.0], [0.5]])
    columns = np.array([[1.0], [0.5]])
    for below in (0.5, 95.0):  # how far the allowance of 216 spacings takes it below 0
        room = (1.0 + below) / (216.0 * EPS)
        off = room * 5 * EPS * 2.0
        assert off < 0.5 * below**2  # so that nothing but the sign refuses it
        with pytest.raises(DependentLandmarksError):
            distance(columns, landmarks, F, room)


def test_half_the_least_square_is_too_much():
    """Exactly half of it, which no allowance moves, is refused; a little less is not."""
    F = np.array([[1.0], [0.5]])
    with pytest.raises(DependentLandmarksError):
        distance(np.array([[1.5], [0.5]]), np.array([0]), F, room=0.0)
    assert distance(np.array([[1.5 - 2.0**-40], [0.5]]), np.array([0]), F, room=0.0).trace > 0.5


def test_a_square_that_rounding_makes_negative_counts_as_nothing():
    """At a condition of 1e8 and more the sum of squares is all rounding; what the allowance adds to it is not seen."""
    rng, landmarks, negative = np.random.default_rng(13), np.array([0, 1]), 0
    for _ in range(200):
        a, b = rng.uniform(0.5, 1.0, 2)
        F = np.array([[a, b], [a * (1.0 + 1e-9), b], [a, b]])
        S = F[landmarks]
        columns = F @ S.T
        try:
            near = distance(columns, landmarks, F, room=0.0)
        except DependentLandmarksError:
            continue
        inverse = np.linalg.inv(S)
        square = float(np.sum(inverse * (near.gram @ inverse)))
        negative += square < 0.0
        p = math.sqrt(max(square, 0.0))
        least = np.linalg.svd(S)[1][-1]
        off_core = frobenius(columns[landmarks] - S @ S.T)
        e = frobenius(columns - F @ S.T) + p * off_core
        assert near.coefficients == pytest.approx(p + e / (least**2 - off_core), rel=1e-6, abs=0.0)
    assert negative > 5


def test_eigenvalues_that_rounding_makes_negative_count_as_nothing(monkeypatch):
    """A computed Gram matrix may have some; how many there are of them tells how much their sum is off by."""
    eps = visible(monkeypatch, 1e-6)
    monkeypatch.setattr(nystrom_trace, "refuse_indefinite", lambda *_: None)
    monkeypatch.setattr(Entries, "negative_part", lambda self, room: (0.0, 0.0))
    entries = Entries(np.diag([4.0, 3.0, 2.0, 1.0]))
    for values in ([0.5], [2.0, 0.5], [2.0, 0.5, -0.25], [2.0, -3.0, 0.5]):
        k = len(values)
        gram = nystrom_trace.Distance(0.0, 0.0, np.diag(values))
        monkeypatch.setattr(nystrom_trace, "distance", lambda *_, gram=gram: gram)
        kept = sorted((value for value in values if value > 0.0), reverse=True)
        allowed = (12.0 + 200.0 + 16.0 * 2.0) * eps * sum(kept) * math.sqrt(k)
        for rank in range(2):
            expected = max(sum(kept[rank:]) - allowed, 0.0)
            assert landmark_bound(entries, rank, np.arange(k)) == pytest.approx(expected, rel=1e-12, abs=0.0)
