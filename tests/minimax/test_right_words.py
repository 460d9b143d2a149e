"""What others call a pole, or answer with an exception of Python: found, or said in words that are right."""

import dataclasses
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import infimum
from infimum import minimax
from infimum.errors import InfimumError, NonFiniteError, OptionError, RangeError, VerificationError
from infimum.proof.enclosure.balls import working
from infimum.proof.enclosure.functions import as_function
from infimum.proof.enclosure.parsing import parse

sympy: Any = pytest.importorskip("sympy")  # PyTorch needs it

# ------------------------------------------------------------------ functions that belong to the space

MEMBERS = {
    "3": 2,
    "1/3": 0,
    "x**3 - x/3 + 1/7": 3,
    "0.1*x + 0.044715*x**3": 5,
    "x + 18446744073709551616": 2,
    "(1 + x/3)**7": 7,
    "abs(2 + x)": 4,
    "where(x < 5, x**2, 0)": 2,
}


@pytest.mark.parametrize("text", MEMBERS)
def test_members_of_the_space_are_found_exactly(text):
    result = minimax.polynomial(text, MEMBERS[text])
    assert (result.certificate.value, result.certificate.lower_bound) == (0.0, 0.0)
    assert result.certificate.ratio == 1.0
    x = Fraction(1, 3)
    value = sum(c * x**k for c, k in zip(result.exact_coefficients(), result.powers, strict=True))
    exact = eval(text.replace("where(x < 5, x**2, 0)", "x**2"), {"x": x, "abs": abs}) if "/" not in text else None
    if exact is not None and "." not in text:
        assert value == exact
    again = infimum.from_json(result.to_json())
    assert infimum.verify(again, text).value == 0.0


def test_members_of_other_spaces():
    cases: list[tuple] = [
        ("x**3/3", None, (-1, 1), {"system": "odd", "degree": 3}),
        ("x**2 + 1/3", None, (0.5, 2), {"system": [0, 2, 5]}),
        ("x/3 + x**2", 4, (-1, 1), {"weight": "exp(x)"}),
        ("1 + x/3", 4, (0, 1), {"relative": True}),
        ("1 + x + x**2/3", 4, (0, 1), {"fixed": {0: 1, 1: 1}}),
        (np.polynomial.Polynomial([1.0, 0.1, 3.0]), 3, (-1, 2), {}),
    ]
    for f, degree, domain, options in cases:
        options = {"degree": degree, **options} if degree is not None else options
        result = minimax.polynomial(f, domain=domain, **options)
        assert result.certificate.value == 0.0, f
        infimum.verify(result, f)


def test_what_no_double_and_divisor_hold_is_near():
    """Pi is no sum of doubles: the distance is that of its nearest one of two."""
    certificate = minimax.polynomial("pi*x", 2).certificate
    assert 0.0 == certificate.lower_bound < certificate.value < 1e-30


def test_a_divisor_is_asked():
    result = minimax.polynomial("x/3", 2)
    assert result.divisor == 3
    for divisor in (0, -3, 1.0, True, "3", 2**1001):
        with pytest.raises(VerificationError):
            infimum.verify(dataclasses.replace(result, divisor=divisor), "x/3")
    with pytest.raises(VerificationError):
        infimum.verify(dataclasses.replace(result, divisor=1), "x/3")


# ------------------------------------------------------------------ no false pole


@pytest.mark.slow
def test_an_error_far_below_double_precision():
    certificate = minimax.polynomial("1/(1 + 25*x**2)", 500).certificate
    assert certificate.ratio <= 1.0 + 1e-6
    assert certificate.value == pytest.approx(3.44292e-44, rel=1e-5)


def test_an_error_below_double_precision():
    certificate = minimax.polynomial("1/(1 + 25*x**2)", 200).certificate
    assert certificate.ratio <= 1.0 + 1e-6
    assert certificate.value < 1e-16


def test_a_tiny_domain():
    certificate = minimax.polynomial("sin(x)", 3, (-1e-30, 1e-30), system="odd", relative=True).certificate
    assert certificate.ratio <= 1.0 + 1e-6
    assert certificate.value == pytest.approx(1.0417e-123, rel=1e-3)


def test_a_domain_with_too_few_doubles():
    with pytest.raises(RangeError, match=r"too few doubles for the 5 different points.*write f in t"):
        minimax.polynomial("exp(x)", 3, (1.0, float(np.nextafter(1.0, 2.0))))


@pytest.mark.parametrize(("centre", "width"), [(0.3123, 1e-6), (-0.777, 1e-6), (0.9, 1e-10)])
def test_spikes_of_a_weight_are_found(centre, width):
    certificate = minimax.polynomial("exp(x)", 6, weight=f"1/({width} + (x - {centre})**2)").certificate
    assert certificate.ratio <= 1.0 + 1e-6


def test_a_jump_at_the_end_of_a_domain():
    certificate = minimax.polynomial("sign(x)", 4, (0, 1)).certificate
    assert certificate.lower_bound == pytest.approx(0.5, abs=1e-6)


def test_a_pole_is_called_one():
    for text, domain in (("1/x", (-1, 1)), ("tan(x)", (0, 2)), ("1/sin(x)", (-0.5, 0.5))):
        with pytest.raises(NonFiniteError):
            minimax.polynomial(text, 3, domain)


def test_without_certificate_far_below_double_precision():
    certificate = minimax.polynomial("exp(x)", 140, (0, 1), certify=False).certificate
    assert certificate.lower_bound <= certificate.value < 1e-13


# ------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x^2 + 1", r"\*\*, not \^: 'x\*\*2 \+ 1'"),
        ("1" * 400, "too large"),
        ("1e300*1e300*x", "too large"),
        ("where(x, 1, 2)", "one comparison"),
        ("where(0 < x < 1, 1, 2)", "one comparison"),
        ("where(x == 1, 1, 2)", "one comparison"),
        ("expx", "an expression is made of"),
        ("elu(x, 1)", r"elu takes 1 argument\(s\), got 2"),
        ("elu(" * 9 + "x" + ")" * 9, "at most 4000 characters"),
    ],
)
def test_words_of_the_parser(text, message):
    with pytest.raises(OptionError, match=message):
        parse(text)


def test_large_integers():
    assert minimax.polynomial(f"{2**64}*x + exp(x)", 3).certificate.ratio <= 1.0 + 1e-6
    assert as_function(2**70)(np.zeros(1))[0] == 2.0**70
    with pytest.raises(OptionError):
        as_function(10**400)


def test_sympy_expressions_are_taken():
    t = sympy.Symbol("t")
    cases = [
        (sympy.exp(-(t**2)) + sympy.Rational(1, 3) * sympy.Abs(t), "exp(-x**2) + abs(x)/3"),
        (sympy.Piecewise((t, t < 0), (sympy.sin(t), True)), "where(x < 0, x, sin(x))"),
        (sympy.Max(t, 0.5, -t) + sympy.pi, "max(max(x, 1/2), -x) + pi"),
        (sympy.sqrt(t + 2) / (2 - t), "sqrt(x + 2)/(2 - x)"),
    ]
    for expression, text in cases:
        result = minimax.polynomial(expression, 5)
        assert result.certificate.value == pytest.approx(minimax.polynomial(text, 5).certificate.value, rel=1e-6)
        infimum.verify(infimum.from_json(result.to_json()), expression)
    weighted = minimax.polynomial("exp", 3, weight=sympy.exp(t))
    infimum.verify(infimum.from_json(weighted.to_json()), "exp")


def test_sympy_expressions_that_are_refused():
    t, u = sympy.symbols("t u")
    for expression in (t + u, sympy.besselj(0, t), sympy.I * t, sympy.Piecewise((t, t < 0)), sympy.oo):
        with pytest.raises(OptionError):
            as_function(expression)


# ------------------------------------------------------------------ random functions end in an answer or in words

UNARY = [
    *(
        "exp",
        "sin",
        "cos",
        "tan",
        "atan",
        "erf",
        "log",
        "sqrt",
        "tanh",
        "sinh",
        "cosh",
        "expm1",
        "log1p",
        "abs",
        "relu",
    ),
    *("sigmoid", "gelu", "asin", "acos", "asinh", "acosh", "atanh", "cbrt", "log10", "elu", "hardswish", "gamma"),
    *("erfinv", "sign", "silu"),
]


def random_text(draw, depth):
    kind = draw.random()
    if depth == 0 or kind < 0.2:
        return draw.choice(["x", "x", "x", str(draw.randint(1, 9)), f"{draw.random():.3f}", "1/3", "pi"])
    if kind < 0.55:
        return f"{draw.choice(UNARY)}({random_text(draw, depth - 1)})"
    if kind < 0.95:
        return f"({random_text(draw, depth - 1)} {draw.choice('+-*/')} {random_text(draw, depth - 1)})"
    return f"({random_text(draw, depth - 1)})**{draw.choice(['2', '3', '0.5', '(1/3)', '(-1)'])}"


def random_case(seed):
    draw = random.Random(seed)
    f = random_text(draw, 3)
    low = draw.choice([-1, 0, -2, 0.1, 1, 1e-3, -0.5])
    high = low + draw.choice([1, 2, 0.5, 1e-3, 3])
    options: dict = {}
    if draw.random() < 0.15:
        options["relative"] = True
    if draw.random() < 0.15:
        options["weight"] = draw.choice(["1 + x**2", "exp(x)"])
    if draw.random() < 0.15:
        options["fixed"] = {draw.choice([0, 1, 2]): draw.choice([1, 0, 0.5, "1/3"])}
    if draw.random() < 0.15:
        options["system"] = draw.choice(["odd", "even"])
    return f, draw.choice([1, 2, 3, 5, 8]), (low, high), options


def ends_well(seed):
    """Return 1 if a random case has an answer, whose proof holds against samples, and 0 if it ended in words."""
    f, degree, domain, options = random_case(seed)
    try:
        result = minimax.polynomial(f, degree, domain, **options)
    except InfimumError:
        return 0
    x = np.linspace(domain[0], domain[1], 101)[1:-1]
    with working(256) as flint:
        values = np.array([float(parse(f).at(flint.arb(point)).mid()) for point in x.tolist()])
    with np.errstate(all="ignore"):  # f may vanish at one of the points
        weight = as_function(options.get("weight", "1"))(x) / (np.abs(values) if options.get("relative") else 1.0)
        errors, noise = weight * np.abs(values - result(x)), 1e-11 * weight * (1.0 + np.abs(values))
    seen = np.nanmax(errors - noise)
    assert seen <= result.certificate.value * (1.0 + 1e-9), (seed, f, degree, domain, options)
    return 1


def test_random_functions_end_in_an_answer_or_in_words():
    assert sum(ends_well(seed) for seed in range(3000, 3012)) >= 5


@pytest.mark.slow
def test_thousands_of_random_functions():
    assert sum(ends_well(seed) for seed in range(3000)) >= 1500
