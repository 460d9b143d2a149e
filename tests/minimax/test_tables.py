"""Tables, splines and polynomials of NumPy and SciPy: enclosed as exact piecewise polynomials."""

import functools
import itertools
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.interpolate

import infimum
from infimum import minimax
from infimum.errors import InfimumError, NonFiniteError, OptionError, VerificationError
from infimum.proof.enclosure.balls import hull, working
from infimum.proof.enclosure.functions import BlackBox, as_function
from infimum.proof.enclosure.piecewise import Piecewise
from infimum.proof.enclosure.taylor_model import Cell

RNG = np.random.default_rng(0)
X = np.sort(RNG.uniform(-1.0, 1.0, 20))
X[[0, -1]] = -1.0, 1.0
Y = RNG.standard_normal(20)
C = RNG.standard_normal(12)

KNOWN = {
    "table": (X, Y),
    "lists": (X.tolist(), Y.tolist()),
    "interp": functools.partial(np.interp, xp=X, fp=Y),
    "interp beyond its nodes": functools.partial(np.interp, xp=X[3:-4], fp=Y[3:-4]),
    "CubicSpline": scipy.interpolate.CubicSpline(X, Y),
    "Pchip": scipy.interpolate.PchipInterpolator(X, Y),
    "Akima": scipy.interpolate.Akima1DInterpolator(X, Y),
    "extrapolated": scipy.interpolate.CubicSpline(X[5:-5], Y[5:-5]),
    "jump": scipy.interpolate.PPoly(np.array([[1.0, -1.0], [0.2, 0.1]]), [-1.0, 0.3, 1.0]),
    "derivative": scipy.interpolate.CubicSpline(X, Y).derivative(),
    "poly1d": np.poly1d(C),
    "Polynomial": np.polynomial.Polynomial(C, domain=[-0.7, 2.1], window=[-1.3, 1.0]),
    "Chebyshev": np.polynomial.Chebyshev(C),
    "Legendre": np.polynomial.Legendre(C, domain=[-2.0, 2.5]),
    "Laguerre": np.polynomial.Laguerre(C),
    "Hermite": np.polynomial.Hermite(C),
    "HermiteE": np.polynomial.HermiteE(C),
}


def values(f, x):
    return np.interp(x, *f) if isinstance(f, tuple) else f(x)


@pytest.mark.parametrize("name", KNOWN)
def test_piecewise_polynomials_are_enclosed(name):
    f = KNOWN[name]
    result = minimax.polynomial(f, 4)
    certificate = result.certificate
    assert certificate.rigour == "enclosed"
    assert certificate.ratio <= 1.0 + 1e-6
    x = np.union1d(np.linspace(-1.0, 1.0, 100_001), X)
    size = float(np.max(np.abs(values(f, x))))
    error = float(np.max(np.abs(values(f, x) - result(x))))
    assert error <= certificate.value + 1e-13 * size
    assert certificate.value <= error * (1.0 + 1e-3) + 1e-13 * size
    infimum.verify(infimum.from_json(result.to_json()), f)
    ax = result.plot(f=f)
    assert "enclosed" in ax.get_title()
    plt.close(ax.figure)


@pytest.mark.parametrize("name", KNOWN)
def test_exact_values_and_models(name):
    """Balls at points, and models on cells within, across and up to nodes, hold what exact arithmetic gives."""
    f = as_function(KNOWN[name])
    assert isinstance(f, Piecewise)

    def exact(x):
        base, coefficients = f.pieces[int(np.searchsorted(f.nodes, x, side="right"))]
        return sum((c * (Fraction(x) - base) ** k for k, c in enumerate(coefficients)), Fraction(0))

    nodes = [node for node in f.nodes if -1.0 < node < 1.0] or [0.25]
    ends = sorted({-1.0, 1.0, *nodes})
    cells = [*itertools.pairwise(ends), (-1.0, 1.0), (nodes[0] - 1e-3, nodes[0] + 1e-3)]
    scale = max(1.0, float(np.max(np.abs(f(np.linspace(-1.0, 1.0, 101))))))
    with working(128) as flint:
        for low, high in cells:
            cell = Cell(*hull(max(low, -1.0), min(high, 1.0)))
            model = f.model(cell, 6)
            assert model.is_finite()
            for s in np.linspace(-1.0, 1.0, 9)[1:-1].tolist():
                x = float(cell.centre + cell.radius * s)
                truth = exact(x)
                ball = flint.arb(flint.fmpq(truth.numerator, truth.denominator))
                assert (f.series(flint.arb_series([x]))[0] - ball).contains(0)
                place = (flint.arb(x) - cell.centre) / cell.radius
                sums = sum((c * place**i for i, c in enumerate(model.coefficients)), flint.arb(0))
                assert (ball - sums).abs_lower() <= model.tail + scale * flint.arb(10) ** -30
        assert float(exact(0.1)) == pytest.approx(float(f(np.array([0.1]))[0]), rel=1e-9, abs=1e-9 * scale)


def test_what_is_not_known_exactly_is_sampled_at_its_knots():
    for f in (
        scipy.interpolate.make_interp_spline(X, Y, k=1),
        scipy.interpolate.interp1d(X, Y),
        scipy.interpolate.UnivariateSpline(X, Y, k=1, s=0),
        functools.partial(np.interp, xp=X, fp=Y, left=0.0),
        functools.partial(np.interp, xp=X, fp=Y, period=2.0),
    ):
        function = as_function(f)
        assert isinstance(function, BlackBox)
        assert set(X[1:-1]) <= set(function.nodes)
        result = minimax.polynomial(f, 4)
        assert result.certificate.rigour == "sampled"
        assert result.certificate.value >= np.max(np.abs(f(X) - result(X)))


def test_a_spline_that_answers_otherwise_is_a_black_box():
    class Loud(scipy.interpolate.CubicSpline):
        def __call__(self, x):
            return 2.0 * super().__call__(x)

    assert isinstance(as_function(Loud(X, Y)), BlackBox)
    periodic = scipy.interpolate.CubicSpline(X, np.append(Y[:-1], Y[0]), bc_type="periodic")
    assert isinstance(as_function(periodic), BlackBox)
    assert isinstance(as_function(scipy.interpolate.CubicSpline(X, np.stack([Y, Y], axis=1))), BlackBox)
    assert isinstance(as_function(np.poly1d([1.0 + 1.0j, 2.0])), BlackBox)


def test_weights_quotients_and_rounding_of_tables():
    table = (X, np.abs(X))
    quotient = minimax.rational(table, (2, 2))
    infimum.verify(quotient, table)
    x = np.linspace(-1.0, 1.0, 100_001)
    assert np.max(np.abs(np.interp(x, *table) - quotient(x))) <= quotient.certificate.value * (1.0 + 1e-12)
    rounded = minimax.rounded(table, 3, dtype="float16")
    assert rounded.certificate.rigour == "enclosed"
    infimum.verify(rounded, table)
    weighted = minimax.polynomial("exp", 4, weight=([-1.0, 0.0, 1.0], [1.0, 2.0, 0.5]))
    assert weighted.certificate.rigour == "enclosed"
    infimum.verify(weighted, "exp")
    lower, upper = minimax.sup_norm([0.0], ([-1.0, 0.0, 1.0], [1.0, 3.0, 0.5]))
    assert lower <= 3.0 <= upper <= 3.0 + 1e-5


def test_a_result_about_another_table_is_refused():
    result = minimax.polynomial((X, Y), 4)
    with pytest.raises(VerificationError):
        infimum.verify(result, (X, Y * 1.5))
    with pytest.raises(VerificationError):
        infimum.verify(result, (X[:-1], Y[:-1]))


@pytest.mark.parametrize(
    ("table", "error"),
    [
        (([0.0, 1.0], [1.0]), OptionError),
        (([0.0], [1.0]), OptionError),
        (([[0.0, 1.0]], [[1.0, 2.0]]), OptionError),
        (([1.0, 0.0], [1.0, 2.0]), OptionError),
        (([0.0, 0.0], [1.0, 2.0]), OptionError),
        (([-1.0, 1.0], [1.0, np.nan]), NonFiniteError),
        (([-1.0, np.inf], [1.0, 1.0]), NonFiniteError),
        (([-1.0, 1.0], [1j, 1.0]), OptionError),
        ((["a", "b"], [1.0, 1.0]), OptionError),
        ((np.arange(3000.0), np.arange(3000.0)), OptionError),
        (([-1.0, 0.5], [1.0, 2.0]), NonFiniteError),
        ((1.0, 2.0), OptionError),
        ((None, None), OptionError),
    ],
)
def test_tables_that_are_none(table, error):
    with pytest.raises(InfimumError) as caught:
        minimax.polynomial(table, 3)
    assert isinstance(caught.value, error)
