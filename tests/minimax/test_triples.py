"""Random functions, degrees and domains: certificates against a dense check in 600 bits with code of its own."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from infimum import minimax
from infimum.errors import InfimumError

BITS = 600  # errors go down to 1e-62
MP = {
    name: getattr(mpmath, name)
    for name in ("exp", "sin", "cos", "tan", "atan", "erf", "log", "sqrt", "tanh", "sinh", "cosh", "pi")
}
MP |= {
    "abs": abs,
    "max": max,
    "min": min,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "gelu": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
}
SHAPES = (
    "exp({a}*x)",
    "sin({a}*x + {b})",
    "cos({a}*x)",
    "1/(1 + {a}*x**2)",
    "abs(x - {b})",
    "abs(x)",
    "sqrt(x - {low})",
    "sqrt(x - {low} + {a}/1000)",
    "log(x - {low} + {a}/10)",
    "tanh({a}*x)",
    "erf({a}*x)",
    "gelu(x)",
    "silu({a}*x)",
    "sigmoid({a}*x + {b})",
    "softplus({a}*x)",
    "atan({a}*x)",
    "x**3*exp(-x)",
    "max(x, {b}*x**2)",
    "min(exp(x), {a} + x)",
    "cos({a}*x)/(2 + sin(x))",
    "abs(sin({a}*x))",
    "sqrt(1 + {a}*x**2)",
    "x**7 - {a}*x**2",
    "{a}*1e-30*exp(x)",
    "1e20*tanh(x + {b})",
)


def triples(seed, count):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        middle, half = rng.uniform(-3.0, 3.0), 10.0 ** rng.uniform(-1.5, 0.7)
        low, high = middle - half, middle + half
        if rng.random() < 0.25:
            low, high = -half, half
        a, b = (f"{v:.3f}" for v in (10.0 ** rng.uniform(-0.7, 0.9), rng.uniform(low, high)))
        shape = SHAPES[rng.integers(len(SHAPES))]
        # the lowest decimal number above the lower end would leave a piece undefined: shift the domain instead
        edge = f"({Fraction(low).numerator}/{Fraction(low).denominator})"
        text = shape.format(a=a, b=f"({b})", low=edge)
        yield text, int(rng.integers(0, 31)), (low, high)


def in_mpmath(text):
    # decimal numbers mean those decimals, as in the library; whole numbers stay whole
    import re

    exact = re.sub(r"(?<![\w.])(\d+\.\d+(?:e-?\d+)?|\d+e-?\d+)", r"mpf('\1')", text)
    exact = re.sub(r"(?<![\w.'])(\d+)(?![\w.'])", r"mpf(\1)", exact)
    code = compile(exact, text, "eval")
    return lambda x: eval(code, {"__builtins__": {}}, {**MP, "mpf": mpmath.mpf, "x": x})


def check(text, degree, domain):
    result = minimax.polynomial(text, degree, domain)
    certificate = result.certificate
    assert certificate.rigour == "enclosed"
    with mpmath.workprec(BITS):
        f, p = in_mpmath(text), in_mpmath_polynomial(result)
        low, high = domain
        points = result.points.tolist()
        if is_mirrored(result):
            points += [-x for x in points]
        near = [x + d * (high - low) for x in points for d in (-1e-3, -1e-5, 0.0, 1e-5, 1e-3)]
        dense = (low + (high - low) * (1 - np.cos(np.linspace(0, np.pi, 200))) / 2).tolist()
        x = [mpmath.mpf(min(max(v, low), high)) for v in (*near, *dense)]
        largest = max(abs(f(v) - p(v)) for v in x)
        rounding = mpmath.mpf(2) ** (20 - BITS) * largest_value(f, x)  # of these 600 bits: the value may be exactly 0
        assert largest <= certificate.value + rounding, f"false value: {largest} above {certificate}"
        assert mpmath.mpf(certificate.lower_bound) <= dual(result, f), f"false bound: {certificate}"
    # where f belongs to the space, what is left is rounding of the coefficients
    return certificate.ratio if certificate.value > 1e-25 * abs(float(largest_value(f, x))) else 1.0


def largest_value(f, x):
    return max(abs(f(v)) for v in x)


def is_mirrored(result):
    """Whether f was found to be odd or even, so that only those powers are used, and one half of the points."""
    return list(result.powers) != list(range(result.degree + 1))


def in_mpmath_polynomial(result):
    exact = [mpmath.mpf(c.numerator) / c.denominator for c in result.exact_coefficients()]

    def p(x):
        with mpmath.workprec(BITS + 4 * len(exact)):
            return sum(c * x**k for c, k in zip(exact, result.powers, strict=True))

    return p


def dual(result, f):
    """Duality on the reference, on the whole degree: weights in rational numbers, which annihilate it exactly."""
    x = [Fraction(v) for v in result.points.tolist()]
    start, stride = result.powers[0], 2 if is_mirrored(result) else 1
    weights: dict[Fraction, Fraction] = {}
    for k, v in enumerate(x):
        product = v**start
        for j, other in enumerate(x):
            if j != k:
                product *= v**stride - other**stride
        if stride == 2:
            sign = -1 if start else 1
            weights[v] = weights.get(v, 0) + 1 / product
            weights[-v] = weights.get(-v, 0) + sign / product
        else:
            weights[v] = 1 / product
    for power in range(result.degree + 1):
        assert sum(w * v**power for v, w in weights.items()) == 0
    largest = max(abs(w) for w in weights.values())
    scaled = {v: w / largest for v, w in weights.items()}
    number = lambda q: mpmath.mpf(q.numerator) / q.denominator  # noqa: E731
    total = sum(number(w) * f(number(v)) for v, w in scaled.items())
    price = sum(abs(number(w)) for w in scaled.values())
    return abs(total) / price * (1 + mpmath.mpf(2) ** -100)


def run(seed, count):
    refused, wide = [], []
    for text, degree, domain in triples(seed, count):
        try:
            ratio = check(text, degree, domain)
        except InfimumError as error:
            refused.append((text, degree, domain, str(error)))
            continue
        if ratio > 1.0 + 1e-6:
            wide.append((text, degree, domain, ratio))
    return refused, wide


@pytest.mark.parametrize("seed", range(2))
def test_few_triples(seed):
    refused, _ = run(seed, 6)
    assert not refused


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
def test_three_thousand_triples(seed):
    refused, wide = run(seed, 100)
    assert len(refused) <= 2, refused
    assert len(wide) <= 2, wide
