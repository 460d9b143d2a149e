"""CR: true bounds on hostile factors, the exact optimum, the rules of the posts, weights, and clear refusals."""

import dataclasses
import itertools
import math

import array_api_strict
import flint
import numpy as np
import pytest
import torch

import infimum
from infimum import errors, lowrank
from infimum.lowrank.terms import bound_search
from infimum.lowrank.terms import strategies as rules
from infimum.proof.operators import product
from infimum.proof.theorems import gram
from tests.lowrank import exact
from tests.lowrank.hostile import matrices

METHODS = ["norm", "sampling", "tuple", "greedy", "swap", "exact"]


def wide(array):
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


def least_loss(X, Y, kept):
    """Exact squared optimum over all choices, from the Gram matrix of the terms in multi-precision arithmetic."""
    with flint.ctx.workprec(exact.PRECISION):
        left, right = exact.ball_matrix(X), exact.ball_matrix(Y)
        first, second = exact.gram(left), right * right.conjugate().transpose()
        size = X.shape[1]
        G = [[(first[i, j] * second[j, i]).real for j in range(size)] for i in range(size)]
        losses = (
            sum((G[i][i] for i in out), flint.arb(0))
            + 2 * sum((G[i][j] for i, j in itertools.combinations(out, 2)), flint.arb(0))
            for out in itertools.combinations(range(size), size - kept)
        )
        return min(losses, key=lambda loss: loss.mid())


def pairs(count, seed):
    """Yield hostile factors that fit, of one dtype."""
    stream = matrices(2 * count, seed)
    for (label, X), (other, Y) in zip(stream, stream, strict=False):
        dtype = np.result_type(X.dtype, Y.dtype)
        size = min(X.shape[1], Y.shape[0], 9)
        yield f"{label} @ {other}", X[:, :size].astype(dtype), Y[:size].astype(dtype)


@pytest.mark.parametrize("count", [96, pytest.param(7000, marks=pytest.mark.slow)])
def test_no_bound_is_false(count):
    rng = np.random.default_rng(1)
    for number, (label, X, Y) in enumerate(pairs(count, seed=31)):
        kept = int(rng.integers(1, X.shape[1] + 1))
        method = METHODS[number % len(METHODS)]
        try:
            result = lowrank.cr(X, Y, kept, method=method, rng=2)
        except errors.RangeError:  # the product of the largest numbers overflows
            assert "largest" in label or "huge" in label or "mixed" in label, label
            continue
        certificate = result.certificate
        optimum = least_loss(wide(X), wide(Y), kept)
        loss = exact.squared_loss(wide(X) * 0 @ wide(Y) * 0, (_dropped(X, result), _dropped(Y.T, result).T))
        assert exact.at_most(certificate.lower_bound, optimum), (label, kept, method, certificate)
        assert exact.at_least(certificate.value, loss), (label, kept, method, certificate)
        infimum.verify(result, X, Y)


def _dropped(array, result):
    return (
        wide(np.delete(array, result.terms, axis=1)) if array.shape[1] > result.terms.size else wide(array[:, :1]) * 0
    )


@pytest.mark.parametrize("weights", ["sampling", "diagonal", "full"])
def test_weighted_bounds_and_values(weights):
    rng = np.random.default_rng(1)
    for label, X, Y in pairs(72, seed=32):
        kept = int(rng.integers(1, X.shape[1] + 1))
        try:
            result = lowrank.cr(X, Y, kept, weights=weights, rng=2)
        except errors.RangeError:
            continue
        middle = np.diag(wide(result.weights)) if result.weights.ndim == 1 else wide(result.weights)
        with flint.ctx.workprec(exact.PRECISION):
            whole = exact.ball_matrix(wide(X)) * exact.ball_matrix(wide(Y))
            parts = [exact.ball_matrix(part) for part in (wide(result.C), middle, wide(result.R))]
            residual = whole - parts[0] * parts[1] * parts[2]
            loss = sum((x.real**2 + x.imag**2 for x in residual.entries()), flint.arb(0))
        assert exact.at_least(result.certificate.value, loss), (label, kept, result.certificate)
        infimum.verify(result, X, Y)


@pytest.mark.parametrize("complex_", [False, True])
def test_exact_is_the_optimum_with_no_gap(complex_):
    rng = np.random.default_rng(3)
    for kept in (1, 4, 8, 10):
        X, Y = rng.standard_normal((7, 10)), rng.standard_normal((10, 6))
        X = X + 1j * rng.standard_normal(X.shape) if complex_ else X
        Y = Y.astype(X.dtype)
        certificate = lowrank.cr(X, Y, kept, method="exact").certificate
        assert float(least_loss(X, Y, kept).sqrt()) == pytest.approx(certificate.value, rel=1e-12, abs=1e-12)
        assert certificate.gap <= 1e-9 * max(certificate.value, 1e-3)


def test_the_search_for_a_proof_ends_where_rounding_decides():
    """In this pair of the stream the curvature of the bound is indefinite in double precision."""
    _, X, Y = next(itertools.islice(pairs(3000, seed=31), 2959, None))
    certificate, optimum = lowrank.cr(X, Y, 6).certificate, least_loss(X, Y, 6)
    assert exact.at_most(certificate.lower_bound, optimum)
    assert exact.at_least(certificate.value, optimum)


def test_orthogonal_terms_need_no_search():
    """Then the norm rule is optimal and the bound tight."""
    X, Y = np.diag([3.0, 1.0, 2.0, 5.0]), np.eye(4)
    result = lowrank.cr(X, Y, 2, method="norm")
    assert result.terms.tolist() == [0, 3]
    assert result.certificate.value == pytest.approx(np.sqrt(5.0))
    assert result.certificate.ratio <= 1.0 + 1e-6


def test_methods_improve_on_each_other():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((40, 60)) @ np.diag(rng.uniform(0.1, 2, 60)) + 1.0
    Y = rng.standard_normal((60, 30)) + 0.5
    value = {m: lowrank.cr(X, Y, 20, method=m).certificate.value for m in ("norm", "greedy", "swap", "auto")}
    assert value["auto"] == value["swap"] <= value["greedy"] < value["norm"]


def test_tuple_drops_the_shortest_pairs():
    X, Y = np.array([[1.0, -1.0, 2.0, 0.9, 4.0]]), np.ones((5, 1))
    assert lowrank.cr(X, Y, 3, method="tuple").terms.tolist() == [2, 3, 4]
    assert lowrank.cr(X, Y, 2, method="tuple").terms.tolist() == [2, 4]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_tuple_drops_the_shortest_sums_of_any_size(size):
    rng = np.random.default_rng(10)
    X, Y = rng.standard_normal((6, 11)), rng.standard_normal((11, 5))
    terms = np.stack([np.outer(X[:, i], Y[i]) for i in range(11)])

    def length(subset):
        return np.linalg.norm(terms[list(subset)].sum(axis=0))

    for kept in (1, 2, 5, 9):
        left, step = set(range(11)), size
        while len(left) > kept:
            step = min(step, len(left) - kept)
            subsets = itertools.combinations(sorted(left), step)
            left -= set(min(subsets, key=length))
        assert lowrank.cr(X, Y, kept, method="tuple", tuple_size=size).terms.tolist() == sorted(left)
    norms = lowrank.cr(X, Y, 4, method="norm")
    assert lowrank.cr(X, Y, 4, method="tuple", tuple_size=1).terms.tolist() == norms.terms.tolist()


def test_swap_ends_where_no_exchange_helps():
    rng = np.random.default_rng(5)
    G = gram.gram(product.terms(rng.standard_normal((5, 14)) + 0.4, rng.standard_normal((14, 6))))
    kept = set(rules.by_swap(G, 6, rng).tolist())

    def loss(chosen):
        g = np.array([float(i not in chosen) for i in range(14)])
        return g @ G.matrix @ g

    here = loss(kept)
    for i, j in itertools.product(kept, set(range(14)) - kept):
        assert loss(kept - {i} | {j}) >= here * (1 - 1e-9)


def test_best_weights_are_least_squares():
    rng = np.random.default_rng(6)
    X, Y = rng.standard_normal((9, 12)), rng.standard_normal((12, 8))
    product_ = X @ Y
    diagonal = lowrank.cr(X, Y, 5, weights="diagonal")
    terms = np.stack([np.outer(X[:, i], Y[i]).ravel() for i in diagonal.terms], axis=1)
    np.testing.assert_allclose(diagonal.weights, np.linalg.lstsq(terms, product_.ravel())[0], rtol=1e-9)
    full = lowrank.cr(X, Y, 5, weights="full")
    best = np.linalg.pinv(full.C) @ product_ @ np.linalg.pinv(full.R)
    np.testing.assert_allclose(full.weights, best, rtol=1e-8)
    none = lowrank.cr(X, Y, 5)
    assert full.certificate.value <= diagonal.certificate.value <= none.certificate.value
    np.testing.assert_allclose(full.to_dense(), full.C @ best @ full.R, rtol=1e-9)
    np.testing.assert_allclose(diagonal @ np.ones(8), diagonal.to_dense() @ np.ones(8), rtol=1e-9)


@pytest.mark.parametrize("weights", ["diagonal", "full"])
def test_exact_with_weights_is_the_optimum_with_no_gap(weights):
    rng = np.random.default_rng(12)
    for complex_, kept in ((False, 2), (True, 2), (False, 5), (False, 9)):
        X, Y = rng.standard_normal((5, 9)), rng.standard_normal((9, 6))
        X = X + 1j * rng.standard_normal(X.shape) if complex_ else X
        Y = Y.astype(X.dtype)
        certificate = lowrank.cr(X, Y, kept, method="exact", weights=weights).certificate
        best = min(weighted_loss(X, Y, list(S), weights) for S in itertools.combinations(range(9), kept))
        assert certificate.value == pytest.approx(best, rel=1e-10, abs=1e-10)
        assert certificate.lower_bound <= best
        assert certificate.gap <= 1e-6 * np.linalg.norm(X @ Y)
        assert certificate.lower_bound >= np.linalg.norm(np.linalg.svd(X @ Y, compute_uv=False)[kept:]) - 1e-9


def weighted_loss(X, Y, S, weights):
    target = X @ Y
    if weights == "diagonal":
        terms = np.stack([np.outer(X[:, i], Y[i]).ravel() for i in S], axis=1)
        return np.linalg.norm(target.ravel() - terms @ np.linalg.lstsq(terms, target.ravel())[0])
    return np.linalg.norm(target - X[:, S] @ np.linalg.pinv(X[:, S]) @ target @ np.linalg.pinv(Y[S]) @ Y[S])


@pytest.mark.parametrize("weights", ["diagonal", "full"])
@pytest.mark.parametrize("method", ["auto", "exact"])
def test_no_bound_with_weights_is_false(weights, method):
    """Weights to hundreds of digits: with a ridge far below them, what they lose is the optimum but for as little."""
    rng, tried = np.random.default_rng(2), 0
    for label, X, Y in pairs(150, seed=51):
        kept = int(rng.integers(1, X.shape[1] + 1))
        if math.comb(X.shape[1], kept) > 12 or tried == 40:
            continue
        try:
            result = lowrank.cr(X, Y, kept, weights=weights, method=method)
        except errors.RangeError:
            continue
        tried += 1
        with flint.ctx.workprec(exact.PRECISION):
            least = min(
                (
                    precise_loss(wide(X), wide(Y), list(S), weights)
                    for S in itertools.combinations(range(X.shape[1]), kept)
                ),
                key=lambda loss: loss.mid(),
            )
        assert exact.at_most(result.certificate.lower_bound, least), (label, kept, result.certificate)
        infimum.verify(result, X, Y)
    assert tried > 20


def precise_loss(X, Y, S, weights):
    """Squared loss of these terms with their best weights."""
    C, R = exact.ball_matrix(X[:, S]), exact.ball_matrix(Y[S])
    whole = exact.ball_matrix(X) * exact.ball_matrix(Y)
    if weights == "full":
        left, right = projector(C), projector(R.conjugate().transpose())
        return sum((x.real**2 + x.imag**2 for x in (whole - left * whole * right).entries()), flint.arb(0))
    target = flint.acb_mat([[entry] for entry in whole.entries()])
    terms = flint.acb_mat(
        [[C[i, s] * R[s, j] for s in range(len(S))] for i in range(C.nrows()) for j in range(R.ncols())]
    )
    residual = target - projector(terms) * target
    return sum((x.real**2 + x.imag**2 for x in residual.entries()), flint.arb(0))


def projector(A):
    """Projector onto the columns, each scaled to ordinary size, with a ridge of 2**-600."""
    sizes = [sum((A[i, j].abs_upper() for i in range(A.nrows())), flint.arb(0)).mid() for j in range(A.ncols())]
    unit = flint.acb_mat(
        [[A[i, j] / sizes[j] if sizes[j] > 0 else flint.acb(0) for j in range(A.ncols())] for i in range(A.nrows())]
    )
    G = unit.conjugate().transpose() * unit
    ridge = flint.acb_mat([[flint.arb(2) ** -600 * (i == j) for j in range(A.ncols())] for i in range(A.ncols())])
    return unit * (G + ridge).solve(unit.conjugate().transpose())


def test_weights_have_bounds_of_their_own():
    """Gaussian terms lose far more than any matrix of their number would."""
    rng = np.random.default_rng(13)
    X, Y = rng.standard_normal((30, 40)), rng.standard_normal((40, 25))
    tail = np.linalg.norm(np.linalg.svd(X @ Y, compute_uv=False)[10:])
    diagonal, full = (lowrank.cr(X, Y, 10, weights=weights).certificate for weights in ("diagonal", "full"))
    assert (diagonal.theorem, full.theorem) == ("weighted_terms", "column_subset")
    assert diagonal.ratio < 1.1
    assert diagonal.lower_bound > 1.5 * tail
    assert full.lower_bound > 1.04 * tail


def test_sampling_is_unbiased_with_the_stated_variance():
    rng = np.random.default_rng(7)
    X, Y = rng.standard_normal((4, 10)), rng.standard_normal((10, 5))
    results = [lowrank.cr(X, Y, 6, weights="sampling", rng=seed) for seed in range(4000)]
    mean = np.mean([result.to_dense() for result in results], axis=0)
    deviation = results[0].deviation
    assert np.linalg.norm(mean - X @ Y) <= 4 * deviation / np.sqrt(4000)
    squares = [result.certificate.value**2 for result in results]
    assert np.mean(squares) == pytest.approx(deviation**2, rel=0.05)
    norms = np.linalg.norm(X, axis=0) * np.linalg.norm(Y, axis=1)
    assert deviation**2 == pytest.approx((norms.sum() ** 2 - np.linalg.norm(X @ Y) ** 2) / 6, rel=1e-9)


def test_terms_of_very_different_scales():
    """Columns of 1e200 meet rows of 1e-200: the terms are of ordinary size, and the bound sees them."""
    rng = np.random.default_rng(8)
    scales = 10.0 ** rng.uniform(-200, 200, 12)
    X, Y = rng.standard_normal((6, 12)), rng.standard_normal((12, 6))
    plain, scaled = lowrank.cr(X, Y, 5), lowrank.cr(X * scales, Y / scales[:, None], 5)
    assert scaled.certificate.value == pytest.approx(plain.certificate.value, rel=1e-12)
    assert scaled.certificate.lower_bound == pytest.approx(plain.certificate.lower_bound, rel=1e-3)


def test_the_diagonal_is_searched_for_where_two_terms_are_nearly_the_same():
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((6, 10)), rng.standard_normal((10, 7))
    X[:, 1], Y[1] = X[:, 0], Y[0] + 1e-6 * rng.standard_normal(7)
    result = lowrank.cr(X, Y, 5)
    parts = product.terms(X, Y)
    optimum = min(product.residual_norm(parts, np.array(kept), None) for kept in itertools.combinations(range(10), 5))
    optimum *= 2.0**parts.exponent
    assert 0.95 * optimum < result.certificate.lower_bound <= optimum
    # no multiple of diag(G) can say anything: it is singular but for rounding
    G = gram.gram(parts)
    smallest = float(np.linalg.eigvalsh(G.unit)[0])
    assert smallest < 1e-9
    witness = {"diagonal": np.full(10, smallest), "point": result.certificate.witness["point"]}
    forged = dataclasses.replace(result.certificate, witness=witness)
    assert dataclasses.replace(result, certificate=forged).recheck(X, Y).lower_bound < result.certificate.lower_bound


def test_forged_witnesses_prove_nothing():
    rng = np.random.default_rng(9)
    X, Y = rng.standard_normal((6, 9)), rng.standard_normal((9, 6))
    result = lowrank.cr(X, Y, 3)
    optimum = float(least_loss(X, Y, 3).sqrt())
    G = gram.gram(product.terms(X, Y))
    for _ in range(50):
        diagonal, point = rng.uniform(-1, 1, 9), rng.uniform(0, 1, 9)
        bound = gram.Relaxation(G, diagonal).bound(point, 6)
        assert np.ldexp(bound, product.terms(X, Y).exponent) <= optimum * (1 + 1e-12)
    for witness in ({"diagonal": np.full(9, 1e9)}, {"point": np.full(9, 1e9)}, {"point": np.full(3, 0.5)}):
        forged = dataclasses.replace(result.certificate, witness={**result.certificate.witness, **witness})
        with pytest.raises(errors.VerificationError):
            infimum.verify(dataclasses.replace(result, certificate=forged), X, Y)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.complex64])
def test_narrow_dtypes(dtype):
    generator = torch.Generator().manual_seed(0)
    X, Y = (torch.randn(shape, generator=generator).to(dtype) for shape in ((8, 20), (20, 6)))
    for weights in ("none", "sampling", "diagonal", "full"):
        result = lowrank.cr(X, Y, 7, weights=weights, rng=0)
        assert result.C.dtype == result.R.dtype == dtype
        assert result.weights is None or result.weights.dtype == dtype
        infimum.verify(result, X, Y)


def test_simulated_device_is_kept():
    device = array_api_strict.Device("device1")
    X = array_api_strict.asarray(np.random.default_rng(0).standard_normal((4, 4)), device=device)
    for weights in ("none", "sampling", "diagonal", "full"):
        result = lowrank.cr(X, X, 2, weights=weights, rng=0)
        assert result.C.device == result.terms.device == device


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lowrank.cr(EYE, np.eye(4), 2), errors.ShapeError, r"\(3, 3\) and \(4, 4\)"),
        (lambda: lowrank.cr(EYE, EYE, 4), errors.RankError, "from 1 to 3"),
        (lambda: lowrank.cr(EYE, EYE, 1, method="best"), errors.OptionError, "'swap'"),
        (lambda: lowrank.cr(EYE, EYE, 1, weights="heavy"), errors.OptionError, "'diagonal'"),
        (
            lambda: lowrank.cr(EYE, EYE, 1, method="tuple", tuple_size=0),
            errors.OptionError,
            "tuple_size must be at least",
        ),
        (
            lambda: lowrank.cr(np.ones((1, 400)), np.ones((400, 1)), 1, method="tuple", tuple_size=5),
            errors.OptionError,
            "400 terms have 8.3e.10 subsets of 5",
        ),
        (lambda: lowrank.cr(EYE, EYE, 1, method="norm", weights="sampling"), errors.OptionError, "goes with"),
        (lambda: lowrank.cr(EYE, EYE.astype(np.float32), 1), errors.DTypeError, "one dtype"),
        (lambda: lowrank.cr(EYE, torch.eye(3), 1), errors.LibraryError, "one library"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("spread", [150, 120, 100])
def test_a_loss_far_below_the_largest_term_does_not_vanish(spread):
    """The squares of what is lost underflow beside the terms that are kept."""
    rng = np.random.default_rng(0)
    X, Y = (
        rng.standard_normal(shape) * np.logspace(-spread, spread, shape[0] * shape[1]).reshape(shape)
        for shape in ((4, 7), (7, 5))
    )
    result = lowrank.cr(X, Y, 3, rng=0)
    lost = [j for j in range(7) if j not in result.terms.tolist()]
    product = np.asarray(X[:, lost], dtype=np.longdouble) @ np.asarray(Y[lost], dtype=np.longdouble)
    assert 0.0 < np.sqrt(np.sum(product**2)) <= result.certificate.value
    infimum.verify(result, X, Y)


@pytest.mark.parametrize("kind", ["generic", "orthogonal", "dependent", "complex"])
def test_many_terms_are_bounded_as_few_are(monkeypatch, kind):
    """The smallest eigenvalue by Lanczos' method leads to the bound that LAPACK's leads to."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 60)), rng.standard_normal((60, 25))
    if kind == "orthogonal":
        X, Y = np.eye(60), np.eye(60)
    elif kind == "dependent":
        X[:, 30:], Y[30:] = X[:, :30], Y[:30]
    elif kind == "complex":
        X, Y = X + 1j * rng.standard_normal(X.shape), Y + 0j
    few = lowrank.cr(X, Y, 6, rng=0)
    monkeypatch.setattr(bound_search, "WHOLE", 20)
    many = lowrank.cr(X, Y, 6, rng=0)
    assert many.certificate.value == few.certificate.value
    assert many.certificate.lower_bound == pytest.approx(few.certificate.lower_bound, rel=1e-6)
    infimum.verify(many, X, Y)
