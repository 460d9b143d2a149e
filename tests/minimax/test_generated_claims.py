"""Every error that generated code states is true at every machine number of its domain; what cannot be is refused."""

import itertools

import numpy as np
import pytest

from infimum import minimax
from infimum.errors import RangeError
from infimum.minimax.formats.forms import FORMS
from tests.minimax.compiled import FLAGS, FLUSHES, HAS_COMPILER, build, machine_numbers, violations

pytest.importorskip("flint")
compiled = pytest.mark.skipif(not HAS_COMPILER, reason="gcc is not installed")

ODD = {"system": "odd", "relative": True}
CASES = {
    # q(t) * x, whose relative error is that of q and one rounding more
    "sin": ("sin", 7, (-0.3, 0.3), ODD),
    "sinh": ("sinh", 5, (-0.3, 0.3), ODD),
    "tan": ("tan", 5, (-0.3, 0.3), ODD),
    "erf": ("erf", 3, (-0.3, 0.3), ODD),
    "log1p": ("log1p", None, (-0.25, 0.25), {"system": [1, 2, 3, 4], "relative": True}),
    "expm1": ("expm1", None, (-0.25, 0.25), {"system": [1, 2, 3], "relative": True}),
    "lead": ("sin", 7, (-0.78, 0.78), {**ODD, "fixed": {1: 1}}),
    "parts": ("exp", 6, (-0.4, 0.3), {"relative": True, "fixed": {0: (1.0, 2.0**-26)}}),
    "half": ("sin", 5, (0.0, 0.7), ODD),
    # far from 1: constants and intermediate results near the ends of the exponents
    "large": ("exp(x/10**8)", 4, (-1e8, 1e8), {}),
    "larger": ("exp(x/10**60)", 4, (-1e60, 1e60), {}),
    "small": ("exp(x*10**6)", 4, (-1e-6, 1e-6), {}),
    # where powers of x lose digits: far from 0, and of a high degree
    "far": ("log(x)", 6, (10.0, 11.0), {}),
    "farther": ("exp(x)", 4, (7.0, 7.75), {"relative": True}),
    "runge": ("1/(1 + 25*x**2)", 30, (-1.0, 1.0), {}),
    "high": ("tanh(4*x)*x", 24, (-0.5, 1.0), {}),
    "smaller": ("sin(x*10**30)", 5, (-1e-30, 1e-30), ODD),
    # nothing relative can be said
    "zero": ("sin", 5, (-1.0, 2.0), {}),
    "cubes": ("x**5", None, (-0.5, 0.5), {"system": [5, 7]}),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """All programs that are offered, and how to run them under each set of flags."""
    chosen, sources = {}, {}
    for (case, (f, degree, domain, options)), dtype in itertools.product(CASES.items(), ("float32", "float64")):
        result = minimax.polynomial(f, degree, domain, **options)
        forms = FORMS if domain[0] != -domain[1] else set(FORMS) - {"centred"}  # which is Horner's about 0
        for scheme in sorted(forms):
            name = f"{case}_{dtype}_{scheme}"
            try:
                sources[name] = dtype, result.to_c(dtype, scheme, name)
            except RangeError:
                continue
            chosen[name] = result, domain, dtype, scheme
    assert len(chosen) >= 90
    return chosen, {flags: build(sources, tmp_path_factory.mktemp(flags), flags) for flags in FLAGS}


@compiled
@pytest.mark.parametrize("flush", [False, pytest.param(True, marks=pytest.mark.skipif(not FLUSHES, reason="x86"))])
@pytest.mark.parametrize("flags", FLAGS)
def test_claims_hold_at_awkward_numbers(programs, flags, flush):
    chosen, run = programs
    for name, (result, domain, dtype, scheme) in chosen.items():
        x = machine_numbers(domain, dtype, 4)
        assert not violations(result, dtype, scheme, x, run[flags](name, x, flush)), name


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("flags", FLAGS)
def test_claims_hold_at_many_more(programs, flags):
    chosen, run = programs
    for name, (result, domain, dtype, scheme) in chosen.items():
        x = machine_numbers(domain, dtype, 400, seed=1)
        for flush in (False, FLUSHES):
            assert not violations(result, dtype, scheme, x, run[flags](name, x, flush)), name


def float32_numbers(domain, stride):
    """Every so many-th float32 of a domain, in order."""
    low, high = (np.float32(end) for end in domain)
    positive = np.arange(0, max(high, -low, np.float32(0)).view(np.int32) + 1, stride, dtype=np.int32).view(np.float32)
    x = np.concatenate([-positive[::-1], positive])
    return x[(x >= low) & (x <= high)]


@compiled
@pytest.mark.parametrize("stride", [50021, pytest.param(211, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", ["sin", "log1p", "small", "zero"])
def test_claims_hold_over_all_of_float32(programs, case, stride):
    """A float64 evaluation is exact to 1e-8 of what float32 may lose."""
    chosen, run = programs
    for scheme in ("horner", "estrin", "chebyshev"):
        name = f"{case}_float32_{scheme}"
        result, domain, dtype, _ = chosen[name]
        x = float32_numbers(domain, stride)
        bound, dense = result.evaluation_error(dtype, scheme), np.zeros(max(result.powers) + 1)
        dense[list(result.powers)] = [float(c) for c in result.exact_coefficients()]
        true = np.polynomial.polynomial.polyval(x.astype(np.float64), dense)
        for flags, flush in itertools.product(FLAGS, {False, FLUSHES}):
            error = np.abs(run[flags](name, x, flush) - true)
            assert np.max(error) <= bound.absolute * (1 + 1e-7)
            if bound.relative < 1.0:
                assert np.all(error <= bound.relative * (1 + 1e-7) * np.abs(true) + bound.underflow)


def test_a_product_with_x_is_rounded_once_more_than_its_factor():
    """The sum of two relative errors is lost in 1 + error - 1."""
    for f, scheme in itertools.product(("sin", "sinh", "tanh", "tan", "erf"), ("horner", "estrin")):
        result = minimax.polynomial(f, 5, (-0.3, 0.3), **ODD)
        bound = result.evaluation_error("float64", scheme)
        assert 2.0**-52 < bound.relative < 2.0**-49
        assert 0.0 < bound.underflow < 1e-307


@pytest.mark.parametrize(
    ("f", "domain", "dtype"),
    [
        ("exp(x/10**78)", (-1e78, 1e78), "float64"),
        ("cos(x/10**6)", (-1e6, 1e6), "float32"),
        ("exp(x/10**20)", (-1e20, 1e20), "float32"),
        ("exp(x/10**15)", (-1e15, 1e15), "bfloat16"),
        ("exp(x)/10**40", (-1.0, 1.0), "float32"),
    ],
)
def test_constants_that_the_format_loses_are_refused(f, domain, dtype):
    result = minimax.polynomial(f, 6 if f.startswith("cos") else 4, domain)
    with pytest.raises(RangeError, match="below the normal numbers"):
        result.to_torch(dtype, "horner")
    with pytest.raises(RangeError, match="below the normal numbers"):
        result.evaluation_error(dtype, "horner")
    if "/10**40" in f:  # nor do other forms help
        with pytest.raises(RangeError, match="below the normal numbers"):
            result.to_torch(dtype)
    else:
        assert "Chebyshev" in result.to_torch(dtype)


def test_constants_too_small_to_matter_are_not_refused():
    result = minimax.polynomial("exp", system=[0, 1, 2], domain=(0.0, 1.0))
    small = minimax.polynomial("exp(x) + x**2/10**40", 2, (0.0, 1.0))
    assert small.evaluation_error("float32").absolute == result.evaluation_error("float32").absolute


def test_an_overflow_before_the_sum_is_seen():
    """60000 x**2 - 60000 fits float16 on (0, 1.4), but 60000 x**2 does not."""
    with pytest.raises(RangeError, match="overflow"):
        minimax.polynomial("60000*x**2 - 60000", 2, (0.0, 1.4)).to_torch("float16")
