"""What generated code states as its total error, against a sweep of machine numbers; the form that it chooses."""

import contextlib
import re
from typing import Any

import numpy as np
import pytest
import scipy.special

from infimum import minimax
from infimum.errors import OptionError, RangeError
from infimum.minimax.formats.forms import FORMS
from tests.minimax.compiled import FLAGS, HAS_COMPILER, build

pytest.importorskip("flint")
ODD = {"system": "odd", "relative": True}
LOG2 = 0.34657359027997264  # half of log 2
TABLES: dict[str, Any] = {
    "exp": (np.exp, minimax.polynomial, ("exp(x)", 6, (-LOG2, LOG2)), {"relative": True, "fixed": {0: 1, 1: 1}}),
    "exp2": (np.exp2, minimax.polynomial, ("exp2", 5, (0.0, 1.0)), {"relative": True}),
    "log": (np.log, minimax.polynomial, ("log(x)", 8, (10.0, 11.0)), {}),
    "log1p": (np.log1p, minimax.polynomial, ("log1p", None, (-0.25, 0.25)), {"system": [1, 2, 3, 4], "relative": True}),
    "sin": (np.sin, minimax.polynomial, ("sin", 7, (-0.785, 0.785)), ODD),
    "cos": (np.cos, minimax.polynomial, ("cos", 6, (-0.785, 0.785)), {"system": "even"}),
    "atan": (np.arctan, minimax.polynomial, ("atan(x)", 13, (-1.0, 1.0)), ODD),
    "runge": (lambda x: 1 / (1 + 25 * x * x), minimax.polynomial, ("1/(1 + 25*x**2)", 40, (-1.0, 1.0)), {}),
    "tanh": (np.tanh, minimax.rational, ("tanh", (7, 6), (-4.0, 4.0)), {"relative": True}),
    "erf": (scipy.special.erf, minimax.rational, ("erf", (5, 6), (-3.0, 3.0)), {"relative": True}),
    "sigmoid": (scipy.special.expit, minimax.rational, ("sigmoid", (5, 5), (-8.0, 8.0)), {}),
    "gelu": (lambda x: x * scipy.special.ndtr(x), minimax.polynomial, ("gelu", 16, (-4.0, 4.0)), {}),
}
TOTAL = re.compile(r"Total: \|computed - f\(x\)\| <= (\S+)( \|f\(x\)\|)?(?: \+ (\S+))? \(proven\)")


@pytest.fixture(scope="module")
def tables():
    return {name: solve(*arguments, **options) for name, (_, solve, arguments, options) in TABLES.items()}


def numbers(domain, stride):
    """Every so many-th float32 of an interval, in order."""
    low, high = (np.float32(end) for end in domain)
    size = np.arange(0, int(max(high, -low).view(np.int32)) + 1, stride, dtype=np.int32).view(np.float32)
    x = np.unique(np.concatenate([-size, size, np.linspace(low, high, 20_001, dtype=np.float32)]))
    return x[(x.astype(float) >= domain[0]) & (x.astype(float) <= domain[1])]


@pytest.mark.skipif(not HAS_COMPILER, reason="gcc is not installed")
@pytest.mark.parametrize("stride", [40_009, pytest.param(101, marks=pytest.mark.slow)])
@pytest.mark.parametrize("flags", FLAGS)
def test_the_error_over_a_sweep_of_floats_is_below_the_stated_one(tables, tmp_path, flags, stride):
    sources = {name: ("float32", result.to_c("float32", name=f"{name}_table")) for name, result in tables.items()}
    run = build({f"{name}_table": source for name, source in sources.items()}, tmp_path, flags)
    for name, result in tables.items():
        stated = TOTAL.search(sources[name][1])
        assert stated is not None, name
        bound, underflow = float(stated[1]), float(stated[3] or 0.0)
        x = numbers(TABLES[name][2][2], stride)
        true = TABLES[name][0](x.astype(np.float64))
        error = np.abs(run(f"{name}_table", x).astype(np.float64) - true)
        allowed = bound * np.abs(true) + underflow if stated[2] else np.full_like(true, bound)
        assert np.all(error <= allowed * (1.0 + 1e-8)), name
        assert np.max(error[allowed > 0] / allowed[allowed > 0]) > 1.0 / 25.0, name  # nor is it idle
        assert result.certificate.value <= bound


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_the_form_with_the_least_total_error_is_taken(tables, dtype):
    for name in ("exp2", "log", "sin", "runge", "gelu"):
        result = tables[name]
        kind = "relative" if result.relative else "absolute"
        totals = []
        for form in FORMS:
            with contextlib.suppress(RangeError):  # float16 has no numbers as small as some coefficients
                totals.append(getattr(result.evaluation_error(dtype, form), kind))
        chosen = result.certificate.value + getattr(result.evaluation_error(dtype), kind)
        assert chosen <= (result.certificate.value + min(totals)) / 0.9


def test_x_is_added_last_where_it_leads():
    options = {**ODD, "fixed": {1: 1}}
    best = minimax.polynomial("sin", 7, (-0.785, 0.785), **options)
    ulps = [minimax.total_error(best, "sin", (-0.785, 0.785), relative=True, scheme=s).ulp for s in ("lead", "horner")]
    assert ulps[0] < 1.7 < 2.3 < ulps[1]
    assert "y = r * x + x;" in best.to_c()
    assert "y = r * x + x" not in minimax.polynomial("sin", 7, (-0.785, 0.785), **ODD).to_c(scheme="lead")


def test_forms_where_powers_of_x_are_useless():
    runge = minimax.polynomial("1/(1 + 25*x**2)", 60, (-1.0, 1.0))
    assert runge.evaluation_error("float32", "horner").absolute > 1e9
    assert runge.evaluation_error("float32").absolute < 1e-5
    far = minimax.polynomial("log(x)", 6, (10.0, 11.0))
    assert far.evaluation_error("float32", "horner").absolute > 10.0 * far.evaluation_error("float32").absolute
    assert "Horner about a centre" in far.to_c()
    assert "Clenshaw" in runge.to_c()
    assert "Rounding (Horner in float32)" in minimax.polynomial("exp", 5).to_c()


S = [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4]  # Cephes, in single precision


@pytest.mark.parametrize("scheme", [*FORMS, "auto"])
def test_tables_from_anywhere(scheme):
    """The bound holds for a table in use, evaluated with numbers of the format; it is made of two parts."""
    found = minimax.total_error(
        "x + x**3*S(x**2)", "sin", (-0.785, 0.785), relative=True, tables={"S": S}, scheme=scheme
    )
    assert (
        found.approximation
        == minimax.sup_norm("x + x**3*S(x**2)", "sin", (-0.785, 0.785), relative=True, tables={"S": S})[1]
    )
    assert found.approximation + found.rounding.relative <= found.relative < 1.001 * found.relative
    assert found.ulp == found.relative * 2**24
    assert found.scheme == ("lead" if scheme == "auto" else scheme)
    x = numbers((-0.785, 0.785), 100_003)
    if scheme == "horner":
        t = x * x
        q = np.float32(S[2])
        for c in (S[1], S[0], 1.0):
            q = q * t + np.float32(c)
        error = np.abs((q * x).astype(float) - np.sin(x.astype(float)))
        assert np.all(error <= found.relative * np.abs(np.sin(x.astype(float))) + found.underflow)


def test_quotients_formats_and_absolute_errors():
    pade = ([1, "1/2", "1/12"], [1, "-1/2", "1/12"])
    found = minimax.total_error(pade, "exp", (-0.5, 0.5), dtype="float16", relative=True)
    x = np.linspace(-0.5, 0.5, 4001).astype(np.float16)
    above, below = (np.float16(1 / 12) * x + np.float16(sign * 0.5) for sign in (1, -1))
    computed = ((above * x + np.float16(1)) / (below * x + np.float16(1))).astype(float)
    error = np.abs(computed / np.exp(x.astype(float)) - 1)
    assert found.relative / 10 < np.max(error) <= found.relative
    absolute = minimax.total_error([1, 1, 0.5], "exp", (-0.1, 0.1), dtype="float64")
    assert absolute.absolute == pytest.approx(absolute.approximation + absolute.rounding.absolute)
    assert (absolute.relative, absolute.ulp) == (np.inf, np.inf)
    best = minimax.polynomial("exp", 5)
    own = minimax.total_error(best, "exp")
    assert own.rounding == best.evaluation_error("float32", "horner")


@pytest.mark.parametrize(
    ("p", "f", "options", "message"),
    [
        ("exp(x)", "exp", {}, "must be a polynomial or a quotient"),
        ([1, 1], "exp", {"dtype": "float8"}, "dtype must be"),
        ([1, 1], "exp", {"scheme": "newton"}, "scheme must be"),
        ([-0.5, 1], "x - 1/2", {"relative": True}, "f vanishes"),
        ({1: 1, 2: -2}, "exp(x)", {"relative": True}, "p has a zero"),
    ],
)
def test_what_has_no_total_error(p, f, options, message):
    with pytest.raises(OptionError, match=message):
        minimax.total_error(p, f, (-1, 1), **options)
