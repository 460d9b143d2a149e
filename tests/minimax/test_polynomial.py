"""Best polynomials: known optima, the cases on which other solvers fail, and every option against another method."""

import dataclasses
import importlib
import json
import math
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch

import infimum
from infimum import minimax
from infimum.errors import InfimumError, NonFiniteError, OptionError, RangeError, VerificationError
from infimum.proof.enclosure.functions import as_function
from tests.minimax.agreement import follows
from tests.minimax.optima import OPTIMA


@pytest.mark.parametrize("name", OPTIMA)
def test_known_optima_are_enclosed(name):
    f, degree, domain, options, optimum = OPTIMA[name]
    result = minimax.polynomial(f, degree, domain, **options)
    certificate = result.certificate
    printed = 6e-9 if "sigmoid" in name else 1e-15  # nine digits are given for the sigmoid
    assert certificate.rigour == "enclosed"
    assert certificate.ratio <= 1.0 + 1e-6
    assert certificate.lower_bound <= optimum * (1.0 + printed)
    assert optimum <= certificate.value * (1.0 + printed)
    assert certificate.lower_bound == pytest.approx(optimum, rel=max(printed, 1e-9))
    assert follows(certificate, infimum.verify(result, f))


@pytest.mark.slow
def test_bernstein_constant_at_degree_1000():
    certificate = minimax.polynomial("abs", 1000).certificate
    assert certificate.rigour == "enclosed"
    assert certificate.ratio <= 1.0 + 1e-6
    assert 1000.0 * certificate.lower_bound == pytest.approx(0.28016932, abs=5e-9)


# ------------------------------------------------------------------ where other solvers fail


def chebyshev_polynomial(n):
    """T_n as an expression, in powers of x."""
    exact = np.polynomial.chebyshev.cheb2poly([0] * n + [1])
    return " + ".join(f"({int(c)})*x**{k}" for k, c in enumerate(exact) if c)


@pytest.mark.parametrize(
    ("f", "degree", "domain", "optimum"),
    [
        (chebyshev_polynomial(12), 6, (-1, 1), 1.0),
        ("abs(x - 1/2)", 2, (-1, 1), 0.18),
        ("sin(x)**2 + sin(x**2)", 110, (0, 15), 1.0),
        ("abs(x) + x", 1, (-1, 1), 0.5),
        ("abs(x)", 3, (-1, 1), 0.125),
        ("0*x", 4, (-1, 1), 0.0),
        ("abs(x)", 30, (-1e30, 2e30), 0.0135321e30),
        ("1e100*exp(x)", 7, (-1, 1), None),
        ("1e-100*exp(x)", 7, (-1, 1), None),
    ],
)
def test_cases_of_chebfun(f, degree, domain, optimum):
    certificate = minimax.polynomial(f, degree, domain).certificate
    assert certificate.rigour == "enclosed"
    assert certificate.ratio <= 1.0 + 1e-6
    if optimum is not None:
        digits = 1e-5 if degree in (30, 110) else 1e-6
        assert certificate.value == pytest.approx(optimum, rel=digits)


def test_chebyshev_polynomial_of_degree_40_at_degree_20():
    """The exchange from Chebyshev points diverges elsewhere: the best polynomial is 0, with 41 alternations."""
    c = np.zeros(41)
    c[40] = 1.0
    certificate = minimax.polynomial(lambda x: np.polynomial.chebyshev.chebval(x, c), 20).certificate
    assert certificate.rigour == "sampled"
    assert certificate.lower_bound <= 1.0 <= certificate.value + 1e-9
    assert certificate.ratio <= 1.0 + 1e-9
    enclosed = minimax.polynomial("cos(40*x)", 20).certificate
    assert enclosed.rigour == "enclosed"
    assert enclosed.ratio <= 1.0 + 1e-6


def test_scaling_changes_nothing_but_the_scale():
    plain = minimax.polynomial("exp(x)", 7).certificate
    for scale in (1e100, 1e-100):
        scaled = minimax.polynomial(f"{scale}*exp(x)", 7).certificate
        assert scaled.lower_bound == pytest.approx(scale * plain.lower_bound, rel=1e-6)


# ------------------------------------------------------------------ options, against linear programming


def by_linear_programming(f, w, basis, x):
    """Least error on a grid; `basis` (points, m)."""
    rows = w[:, None] * basis
    matrix = np.block([[rows, -np.ones((x.size, 1))], [-rows, -np.ones((x.size, 1))]])
    cost = np.zeros(basis.shape[1] + 1)
    cost[-1] = 1.0
    right = np.concatenate([w * f, -w * f])
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    return scipy.optimize.linprog(cost, A_ub=matrix, b_ub=right, bounds=(None, None), options=options).fun


def grid(intervals, count=1500):
    return np.concatenate([(a + b) / 2 - (b - a) / 2 * np.cos(np.linspace(0, np.pi, count)) for a, b in intervals])


CASES: dict[str, tuple[str, int | None, Any, dict[str, Any], list[int]]] = {
    "odd, one side": ("atan(x)", 7, (0.1, 2.0), {"system": "odd"}, [1, 3, 5, 7]),
    "odd, from zero": ("atan(x)", 5, (0.0, 2.0), {"system": "odd"}, [1, 3, 5]),
    "odd, symmetric": ("tanh(x)", 5, (-2.0, 2.0), {"system": "odd"}, [1, 3, 5]),
    "even": ("cos(x)", 4, (0.0, 2.0), {"system": "even"}, [0, 2, 4]),
    "even, negative side": ("exp(x)", 4, (-2.0, -0.5), {"system": "even"}, [0, 2, 4]),
    "odd on the negative side": ("exp(x)", 5, (-2.0, -0.5), {"system": "odd"}, [1, 3, 5]),
    "listed powers": ("exp(x)", None, (0.1, 2.0), {"system": [1, 3, 7]}, [1, 3, 7]),
    "powers in steps of three": ("1", None, (0.1, 1.0), {"system": [1, 4, 7]}, [1, 4, 7]),
    "without a constant": ("exp(x) - 1", None, (-1.0, 1.0), {"system": [1, 2, 3]}, [1, 2, 3]),
    "weight": ("exp(x)", 4, (-1.0, 1.0), {"weight": "1 + 3*x**2"}, [0, 1, 2, 3, 4]),
    "weight, not even": ("abs(x)", 4, (-1.0, 1.0), {"weight": "2 + x"}, [0, 1, 2, 3, 4]),
    "relative": ("exp(2*x)", 3, (-1.0, 1.0), {"relative": True}, [0, 1, 2, 3]),
    "relative and weighted": ("exp(2*x)", 3, (-1.0, 1.0), {"relative": True, "weight": "1 + x**2"}, [0, 1, 2, 3]),
    "relative, common zero": ("sin(x)", 5, (0.0, 1.5), {"system": "odd", "relative": True}, [1, 3, 5]),
    "relative, common zero inside": ("sin(x)", 5, (-1.5, 1.5), {"relative": True}, [1, 3, 5]),
    "two intervals": ("sign(x)", 5, [(-1.0, -0.2), (0.1, 1.0)], {}, [0, 1, 2, 3, 4, 5]),
    "three intervals": ("abs(x)", 4, [(-1.0, -0.6), (-0.2, 0.4), (0.7, 1.0)], {}, [0, 1, 2, 3, 4]),
    "kink": ("max(x, 1 - 2*x)", 6, (0.0, 1.0), {}, list(range(7))),
    "jump": ("sign(x - 1/5)", 4, (-1.0, 1.0), {}, list(range(5))),
}


@pytest.mark.parametrize("name", CASES)
def test_options_against_linear_programming(name):
    f, degree, domain, options, powers = CASES[name]
    result = minimax.polynomial(f, degree, domain, **options)
    certificate = result.certificate
    kinks = {"weight, not even": [0.0], "three intervals": [0.0], "kink": [1 / 3], "jump": [0.2 - 1e-9, 0.2 + 1e-9]}
    x = np.union1d(grid(result.domain), kinks.get(name, []))
    if options.get("relative"):
        x = x[np.abs(x) > 1e-12]
    values = as_function(f)(x)
    w = np.ones_like(x)
    if "weight" in options:
        w = as_function(options["weight"])(x)
    if options.get("relative"):
        w = w / np.abs(values)
    least = by_linear_programming(values, w, x[:, None] ** np.array(powers, dtype=float), x)
    assert certificate.rigour == "enclosed"
    assert certificate.ratio <= 1.0 + 1e-6
    assert least <= certificate.value * (1.0 + 1e-7), "the grid shows that less is impossible"
    assert certificate.lower_bound <= least * (1.0 + 1e-3), "the grid has a better polynomial than the bound allows"
    seen = np.max(w * np.abs(values - result(x)))
    assert certificate.lower_bound * (1.0 - 1e-3) <= seen <= certificate.value * (1.0 + 1e-9)
    infimum.verify(result, f)


def test_functions_as_a_system():
    result = minimax.polynomial("1/(1 + x)", None, (0.0, 2.0), system=["1", "exp(-x)", "exp(-2*x)"])
    x = grid(((0.0, 2.0),))
    least = by_linear_programming(1 / (1 + x), np.ones_like(x), np.exp(-x[:, None] * np.arange(3)), x)
    assert result.certificate.rigour == "enclosed"
    assert least == pytest.approx(result.certificate.value, rel=1e-4)
    assert result.powers == ()
    assert result(x) == pytest.approx(np.exp(-x[:, None] * np.arange(3)) @ result.coefficients())


def test_a_symmetric_problem_in_the_full_space():
    direct = minimax.polynomial("sign(x)", 51, [(-1, -0.01), (0.01, 1)]).certificate
    assert direct.value == pytest.approx(0.4536579743744, rel=1e-6)
    assert direct.lower_bound == pytest.approx(0.4536579743744, rel=1e-12)


def test_arrays_stand_for_lists():
    lists = minimax.polynomial("exp", domain=(0.1, 1.0), system=[1, 3], breakpoints=[0.5])
    arrays = minimax.polynomial(
        "exp", domain=np.array([0.1, 1.0]), system=np.array([1, 3]), breakpoints=np.array([0.5])
    )
    assert arrays.to_json() == lists.to_json()


def test_breakpoints_of_a_python_function():
    def f(x):
        return np.abs(x - 0.3)

    enclosed = minimax.polynomial("abs(x - 0.3)", 9).certificate
    sampled = minimax.polynomial(f, 9, breakpoints=[0.3]).certificate
    assert sampled.rigour == "sampled"
    assert sampled.value == pytest.approx(enclosed.value, rel=1e-6)
    assert sampled.lower_bound <= enclosed.value
    assert sampled.lower_bound == pytest.approx(enclosed.lower_bound, rel=1e-9)


@pytest.mark.parametrize("degree", [0, 1])
def test_smallest_degrees(degree):
    certificate = minimax.polynomial("exp", degree, (0, 1)).certificate
    slope = math.e - 1.0
    touch = np.log(slope)
    # half the range; half the distance of the secant and the tangent parallel to it
    expected = slope / 2 if degree == 0 else (1.0 + slope * touch - np.exp(touch)) / 2
    assert certificate.lower_bound <= expected * (1 + 1e-12)
    assert certificate.value == pytest.approx(expected, rel=1e-6)


# ------------------------------------------------------------------ precision


def test_double_precision_is_honest_about_itself():
    double = minimax.polynomial("exp", 15, precision="double")
    assert double.expansion.shape[0] == 1
    assert double.certificate.lower_bound <= OPTIMA["exp 15"][-1] < 1e-16 < double.certificate.value
    multiple = minimax.polynomial("exp", 5, precision="multiple")
    assert multiple.expansion.shape[0] == 2
    assert multiple.certificate.ratio <= 1.0 + 1e-9


def test_without_certify_the_certificate_is_rounded():
    loose = minimax.polynomial("exp", 5, certify=False).certificate
    enclosed = minimax.polynomial("exp", 5).certificate
    assert loose.rigour == "sampled"
    assert loose.lower_bound <= enclosed.lower_bound <= enclosed.value
    assert loose.value == pytest.approx(enclosed.value, rel=1e-6)


def test_without_python_flint(monkeypatch):
    module = importlib.import_module("infimum.minimax.polynomial")  # the function has the same name
    monkeypatch.setattr(module, "available", lambda: False)
    result = minimax.polynomial("tanh", 9, (-3, 3))
    assert result.certificate.rigour == "sampled"
    assert result.certificate.ratio < 1.0 + 1e-9


# ------------------------------------------------------------------ the result


def test_corrupted_results_are_refused():
    result = minimax.polynomial("exp", 15)
    changed = result.expansion.copy()
    changed[1, 3] += 1e-20
    witness = dataclasses.replace(result.certificate, witness={"points": result.points * 0.99})
    smaller = float(np.nextafter(infimum.verify(result, "exp").value, 0.0))
    for corrupted in (
        dataclasses.replace(result, expansion=changed),
        dataclasses.replace(result, certificate=witness),
        dataclasses.replace(result, signs=tuple(-s for s in result.signs)),
        dataclasses.replace(result, f="cos(x)"),
        dataclasses.replace(result, expansion=result.expansion[:, :-1]),
        dataclasses.replace(result, interval=(-1.0, 1.0000001)),
        dataclasses.replace(result, certificate=dataclasses.replace(result.certificate, value=smaller)),
    ):
        with pytest.raises(VerificationError):
            infimum.verify(corrupted, "exp")
    with pytest.raises(VerificationError):
        infimum.verify(result, "sin")


def test_forged_rigour_of_a_python_function_is_refused():
    result = minimax.polynomial(np.exp, 5)
    forged = dataclasses.replace(result, certificate=dataclasses.replace(result.certificate, rigour="enclosed"))
    infimum.verify(result, np.exp)
    with pytest.raises(VerificationError, match="formulas or tables"):
        infimum.verify(forged, np.exp)


def test_values_on_every_library():
    result = minimax.polynomial("gelu", 12, (-4, 4))
    x = np.linspace(-4, 4, 50)
    for dtype, digits in ((torch.float64, 1e-13), (torch.float32, 1e-4)):
        values = result(torch.asarray(x, dtype=dtype))
        assert values.dtype == dtype
        assert np.allclose(values.numpy(), result(x), atol=digits)
    assert isinstance(result(0.5), float)
    assert result([0.5, 1.0]).shape == (2,)
    assert np.allclose(np.polynomial.polynomial.polyval(x, result.coefficients()), result(x), atol=1e-8)


def test_coefficients_in_both_bases():
    result = minimax.polynomial("sin", 5, (0.0, 1.5), system="odd")
    x = np.linspace(0.0, 1.5, 20)
    assert result.powers == (1, 3, 5)
    assert (x[:, None] ** np.array(result.powers)) @ result.coefficients() == pytest.approx(result(x), abs=1e-14)
    u = (2 * x**2 - 1.5**2) / 1.5**2
    assert x * np.polynomial.chebyshev.chebval(u, result.coefficients("chebyshev")) == pytest.approx(result(x))
    with pytest.raises(OptionError):
        result.coefficients("legendre")


def test_listed_powers_are_those_of_the_coefficients():
    result = minimax.polynomial("exp", None, (0.1, 2.0), system=[7, 1, 3])
    assert result.powers == (1, 3, 7)
    x = np.linspace(0.1, 2.0, 20)
    assert (x[:, None] ** np.array(result.powers)) @ result.coefficients() == pytest.approx(result(x))
    infimum.verify(infimum.from_json(result.to_json()), "exp")


def test_json_keeps_everything():
    for result, f in (
        (minimax.polynomial("exp", 15), "exp"),
        (minimax.polynomial("sign(x)", 5, [(-1, -0.1), (0.1, 1)], weight="1 + x**2"), "sign(x)"),
        (minimax.polynomial("exp", None, (0, 1), system=["1", "x", "sqrt(x)"]), "exp"),
    ):
        again: Any = infimum.from_json(result.to_json())
        assert np.array_equal(again.expansion, result.expansion)
        assert again.certificate == result.certificate
        infimum.verify(again, f)
    with pytest.raises(OptionError, match="expressions"):
        minimax.polynomial("exp", 3, weight=lambda x: 1 + x**2).to_json()
    assert json.loads(minimax.polynomial(np.exp, 3).to_json())["answer"]["f"].startswith("<")


def test_plot_shows_the_alternation():
    result = minimax.polynomial("sign(x)", 7, [(-1, -0.1), (0.1, 1)])
    ax = result.plot()
    assert len(ax.lines) >= 4
    with pytest.raises(OptionError, match="Python object"):
        minimax.polynomial(np.exp, 3).plot()
    assert minimax.polynomial(np.exp, 3).plot(f=np.exp).get_xlabel() == "x"


def test_signs_and_levelled_error():
    result = minimax.polynomial("exp", 3)
    error = np.exp(result.points) - result(result.points)
    assert np.array_equal(np.sign(error), result.signs)
    assert error == pytest.approx(result.levelled_error * (-1.0) ** np.arange(5), rel=1e-9)


# ------------------------------------------------------------------ hostile input

HOSTILE = [
    ("exp", -1, (-1, 1), {}, OptionError),
    ("exp", 5000, (-1, 1), {}, OptionError),
    ("exp", None, (-1, 1), {}, OptionError),
    ("exp", 2.5, (-1, 1), {}, TypeError),
    ("exp", 0, (-1, 1), {"system": "odd"}, OptionError),
    ("exp", 5, (1, -1), {}, OptionError),
    ("exp", 5, (1, 1), {}, OptionError),
    ("exp", 5, [], {}, OptionError),
    ("exp", 5, "ab", {}, OptionError),
    ("exp", 5, [(0, 1), (0.5, 2)], {}, OptionError),
    ("exp", 5, (0, np.inf), {}, NonFiniteError),
    ("1/x", 5, (-1, 1), {}, NonFiniteError),
    ("1/(x - 1/3)", 5, (0, 1), {}, NonFiniteError),
    ("tan(x)", 7, (0, 3), {}, NonFiniteError),
    ("log(x)", 5, (0, 1), {}, NonFiniteError),
    ("sqrt(x)", 5, (-1, 1), {}, NonFiniteError),
    ("1e300*exp(x)", 5, (-1, 1), {}, RangeError),
    ("sin", None, (1e200, 2e200), {"system": [1, 3]}, OptionError),
    (lambda x: x * np.nan, 5, (0, 1), {}, NonFiniteError),
    (lambda x: x[:3], 5, (0, 1), {}, OptionError),
    (lambda x: 1j * x, 5, (0, 1), {}, OptionError),
    (None, 5, (0, 1), {}, OptionError),
    ("exp", 5, (-1, 1), {"weight": "x"}, OptionError),
    ("exp", 5, (-1, 1), {"weight": "abs(x)"}, OptionError),
    ("exp", 5, (-1, 1), {"weight": "(x - 1/3)**2"}, OptionError),
    ("exp", 5, (-1, 1), {"weight": "1/(1 - x**2)"}, NonFiniteError),
    ("cos", 6, (-2, 2), {"relative": True}, OptionError),
    ("sin", 5, (0, 1), {"relative": True}, OptionError),
    ("exp", 5, (-1, 1), {"system": "odd"}, OptionError),
    ("exp", 5, (-1, 1), {"system": "cubic"}, OptionError),
    ("exp", None, (-1, 1), {"system": ["1", "x**2"]}, OptionError),
    ("exp", None, (0, 1), {"system": []}, OptionError),
    ("exp", 3, (0, 1), {"system": [1, 2]}, OptionError),
    ("exp", 3, (0, 1), {"tol": 0}, OptionError),
    ("exp", 3, (0, 1), {"precision": "half"}, OptionError),
    (np.exp, 3, (0, 1), {"precision": "multiple"}, OptionError),
    ("exp", 3, (0, 1), {"breakpoints": [np.nan]}, OptionError),
    ("exp", 3, (0, 1), {"breakpoints": ["0.5"]}, OptionError),
    ("exp", 3, (0, 1), {"breakpoints": np.full((1, 1), 0.5)}, OptionError),
]


@pytest.mark.parametrize(
    ("f", "degree", "domain", "options", "error"), HOSTILE, ids=[str(i) for i in range(len(HOSTILE))]
)
def test_hostile_input(f, degree, domain, options, error):
    with pytest.raises(error) as caught:
        minimax.polynomial(f, degree, domain, **options)
    assert isinstance(caught.value, InfimumError)
