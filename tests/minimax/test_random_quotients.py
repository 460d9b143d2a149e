"""Random functions, types and domains: no quotient is worse than one of a smaller type, and no claim is false.

Claims are held against 50 digits, with the coefficients of powers of x as rational numbers.
"""

import random

import mpmath
import numpy as np
import pytest

from infimum import minimax

pytest.importorskip("flint")
DIGITS, INNER = 50, 120  # of functions; of numerator and denominator, which cancel
FUNCTIONS = {
    "exp(x)": mpmath.exp,
    "sqrt(x + 2.01)": lambda x: mpmath.sqrt(x + mpmath.mpf("2.01")),
    "abs(x - 0.2)": lambda x: abs(x - mpmath.mpf("0.2")),
    "log(x + 2.05)": lambda x: mpmath.log(x + mpmath.mpf("2.05")),
    "1/(1 + 25*x**2)": lambda x: 1 / (1 + 25 * x * x),
    "tanh(3*x)": lambda x: mpmath.tanh(3 * x),
    "erf(x)": mpmath.erf,
    "x**3 - x": lambda x: x**3 - x,
    "sin(4*x)": lambda x: mpmath.sin(4 * x),
    "gelu(x)": lambda x: x * (1 + mpmath.erf(x / mpmath.sqrt(2))) / 2,
    "exp(-x**2)*cos(3*x)": lambda x: mpmath.exp(-x * x) * mpmath.cos(3 * x),
    "atan(5*x)": lambda x: mpmath.atan(5 * x),
    "abs(x)**0.3": lambda x: abs(x) ** mpmath.mpf("0.3"),
    "max(x, 0)": lambda x: max(x, mpmath.mpf(0)),
    "softplus(2*x)": lambda x: mpmath.log(1 + mpmath.exp(2 * x)),
}


def cases(seed, count, largest):
    draw = random.Random(seed)
    for _ in range(count):
        f, low = draw.choice(list(FUNCTIONS)), draw.choice([-2.0, -1.0, -0.5, 0.0])
        high = low + draw.choice([1.0, 2.0, 2.7, 3.0])
        yield f, (draw.randint(1, largest), draw.randint(1, largest)), (low, high)


def in_many_digits(result, x):
    with mpmath.workdps(INNER):
        above, below = (
            mpmath.fsum(mpmath.mpf(c.numerator) / c.denominator * x**k for k, c in part.items())
            for part in result.parts_of_code()
        )
        return above / below


def is_closed(f, type_, domain):
    """Check one case; whether its optimum is known to a hundredth."""
    smaller = minimax.rational(f, (type_[0] - 1, type_[1] - 1), domain).certificate
    result = minimax.rational(f, type_, domain)
    certificate, points = result.certificate, result.points.tolist()
    assert certificate.value <= smaller.value * (1.0 + 1e-6)
    with mpmath.workdps(DIGITS):
        rounding = mpmath.mpf(10) ** (3 - DIGITS)
        places = map(mpmath.mpf, [*np.linspace(domain[0], domain[1], 60).tolist(), *points])
        errors = [abs(FUNCTIONS[f](x) - in_many_digits(result, x)) for x in places]
        assert max(errors) <= certificate.value + rounding
        assert certificate.lower_bound <= min(errors[-len(points) :]) + rounding
    return certificate.ratio <= 1.01


@pytest.mark.parametrize("seed", range(1, 6))
def test_some(seed):
    assert all(is_closed(*case) for case in cases(seed, 4, 5))


def test_a_pole_that_is_met_on_the_way_makes_no_noise():
    assert is_closed("x**3 - x", (1, 3), (-1.0, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_five_hundred(seed):
    assert sum(is_closed(*case) for case in cases(seed, 50, 9)) >= 48
