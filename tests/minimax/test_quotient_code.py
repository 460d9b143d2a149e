"""Generated code of quotients: compiled and run, within the bounds that its comment states."""

import functools
import re
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from infimum import minimax
from infimum.errors import OptionError, RangeError
from infimum.minimax.formats.forms import FORMS
from infimum.proof.enclosure.machine_formats import FORMATS
from tests.minimax.compiled import HAS_COMPILER, build, machine_numbers

CASES = {
    "exp": ("exp", (3, 3), (-1.0, 1.0), {}),
    "tanh": ("tanh", (5, 4), (-2.0, 2.0), {"relative": True}),
    "cosh": ("cosh", (2, 2), (0.0, 1.0), {"relative": True}),
    "runge": ("1/(1 + 25*x**2)", (0, 2), (-1.0, 1.0), {}),
}


@functools.cache
def known(name):
    f, type_, domain, options = CASES[name]
    return minimax.rational(f, type_, domain, **options)


@pytest.fixture(scope="module")
def results():
    return {name: known(name) for name in CASES}


def exact(result, x):
    above, below = (sum(c * x**k for k, c in part.items()) for part in result.parts_of_code())
    return above / below


@functools.cache
def exact_values(name, points):
    """Values of a case in rational arithmetic, kept: every scheme and every set of flags is held against them."""
    result = known(name)
    return [exact(result, Fraction(point)) for point in points]


def is_within(name, dtype, scheme, x, y):
    """Whether every claim about rounding holds, in rational arithmetic."""
    bound = known(name).evaluation_error(dtype, scheme)
    for true, value in zip(exact_values(name, tuple(x.tolist())), y.tolist(), strict=True):
        error = abs(Fraction(value) - true)
        if error > bound.absolute:
            return False
        if np.isfinite(bound.relative) and error > Fraction(bound.relative) * abs(true) + Fraction(bound.underflow):
            return False
    return True


@pytest.mark.skipif(not HAS_COMPILER, reason="there is no compiler")
@pytest.mark.parametrize("flags", ["plain", "fused"])
def test_c_stays_within_its_bounds(results, tmp_path, flags):
    sources = {
        f"{name}_{dtype}_{scheme}": (dtype, result.to_c(dtype, scheme, f"{name}_{dtype}_{scheme}"))
        for name, result in results.items()
        for dtype in ("float32", "float64")
        for scheme in FORMS
    }
    run = build(sources, tmp_path, flags)
    for key, (dtype, _) in sources.items():
        name, _, scheme = key.split("_")
        result = results[name]
        x = machine_numbers(result.interval, dtype, 12)
        assert is_within(name, dtype, scheme, x, run(key, x)), key
        if flags == "plain":
            assert is_within(name, dtype, scheme, x, run(key, x, flush=True)), key


@pytest.mark.parametrize("scheme", FORMS)
@pytest.mark.parametrize("name", CASES)
def test_python_stays_within_its_bounds(results, name, scheme):
    result = results[name]
    for language, dtypes in (("numpy", ("float16", "float32", "float64")), ("torch", ("bfloat16", "float32"))):
        for dtype in dtypes:
            space: dict = {}
            exec(getattr(result, f"to_{language}")(dtype, scheme), space)
            machine = FORMATS[dtype]
            low, high = result.interval
            x = np.array([float(machine.round(Fraction(t))) for t in np.linspace(low, high, 61).tolist()])
            x = x[(x >= low) & (x <= high)]
            y = space["p"](torch.asarray(x)).double().numpy() if language == "torch" else space["p"](x).astype(float)
            assert is_within(name, dtype, scheme, x, y)


TOTAL = re.compile(r"Total: \|computed - f\(x\)\| <= (\S+) \|f\(x\)\|(?: \+ (\S+))? \(proven\), (\S+) units")


def test_the_total_error_is_proven(results):
    """Approximation and rounding together, against 30 digits."""
    for name in ("tanh", "cosh"):
        result = results[name]
        found = TOTAL.search(result.to_numpy("float32"))
        assert found is not None
        relative, underflow, ulp = float(found[1]), float(found[2] or 0.0), float(found[3])
        assert result.certificate.value < relative < result.certificate.value + 4e-6
        assert ulp == pytest.approx(relative * 2**24, rel=0.01)
        space: dict = {}
        exec(result.to_numpy("float32"), space)
        x = machine_numbers(result.interval, "float32", 60)
        with mpmath.workdps(30):
            for point, value in zip(x.tolist(), space["p"](x).astype(float).tolist(), strict=True):
                true = getattr(mpmath, name)(point)
                assert abs(value - true) <= relative * abs(true) + underflow


def test_totals_of_polynomials():
    absolute = minimax.polynomial("exp", 6).to_c("float32")
    rounding = re.search(r"\|computed - p\(x\)\| <= (\S+),", absolute)
    total = re.search(r"Total: \|computed - f\(x\)\| <= (\S+) \(proven\)", absolute)
    value = minimax.polynomial("exp", 6).certificate.value
    assert rounding is not None
    assert total is not None
    assert float(total[1]) == pytest.approx(float(rounding[1]) + value, rel=0.01)
    assert TOTAL.search(minimax.polynomial("sin", 7, (0, 0.7), system="odd", relative=True).to_c())
    assert "Total" not in minimax.polynomial("exp", 3, weight="1 + x**2").to_c()
    assert "Total" not in minimax.polynomial(np.exp, 3).to_c()


def test_triton_divides_as_ieee_asks(results):
    text = results["exp"].to_triton("float32")
    assert "y = tl.div_rn(p_y, q_y)" in text
    assert "y = p_y / q_y" in results["exp"].to_triton("float64")
    with pytest.raises(OptionError, match="divides in float32 and float64"):
        results["exp"].to_triton("bfloat16")


def test_a_denominator_that_may_vanish_in_the_arithmetic_is_refused():
    result = minimax.rational("1/(1.001 - x)", (0, 1), (0.0, 1.0), relative=True)
    assert "return y" in result.to_c("float64")
    with pytest.raises(RangeError, match=r"denominator may be 0|overflow"):
        result.to_torch("bfloat16")


@pytest.mark.parametrize("name", ["mask", "n", "x_ptr", "BLOCK", "expf", "fma", "main", "sinl", "printf"])
def test_names_of_the_library_are_refused(results, name):
    with pytest.raises(OptionError, match="name must be"):
        results["exp"].to_c(name=name)
