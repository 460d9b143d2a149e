"""Functions that are known by their values only: no value below the true error, and checks that meet other samples."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import CubicSpline, PchipInterpolator

import infimum
from infimum import minimax
from infimum.errors import NonFiniteError, VerificationError
from infimum.proof.uniform_error.sampled_error import sample

NODES = np.sort(np.random.default_rng(0).uniform(-1.0, 1.0, 20))
NODES[[0, -1]] = -1.0, 1.0
HEIGHTS = np.random.default_rng(1).standard_normal(20)
CUBIC, PCHIP = CubicSpline(NODES, HEIGHTS), PchipInterpolator(NODES, HEIGHTS)


def random_table(x, seed):
    rng = np.random.default_rng(seed)
    nodes = np.sort(rng.uniform(-1.0, 1.0, 20))
    nodes[[0, -1]] = -1.0, 1.0
    return np.interp(x, nodes, rng.standard_normal(20))


FUNCTIONS: dict[str, Callable[[np.ndarray], Any]] = {
    "kink": lambda x: np.abs(x - 0.3),
    "table": lambda x: np.interp(x, NODES, HEIGHTS),
    "pchip": lambda x: PCHIP(x),
    "cubic spline": lambda x: CUBIC(x),
    "single precision": lambda x: np.exp(x.astype(np.float32)).astype(float),
    "half precision": lambda x: np.cos(3.0 * x).astype(np.float16).astype(float),
    "steep": lambda x: np.tanh(500.0 * x),
    "hardswish": lambda x: 12.0 * x * np.clip(12.0 * x + 3.0, 0.0, 6.0) / 6.0,
    "bell of width 1e-4": lambda x: np.exp(x) + np.exp(-(((x - 0.31) * 1e4) ** 2)),
    "box of width 1e-4": lambda x: np.exp(x) + (np.abs(x - 0.2345) < 5e-5),
    "tent of width 6e-5": lambda x: np.cos(x) + np.maximum(0.0, 1.0 - np.abs(x - 0.77) * 3e4),
    "step": lambda x: np.where(x > 0.1234, 1.0, 0.0),
    "oscillating": lambda x: np.sin(300.0 * x),
    "root": lambda x: np.sqrt(np.abs(x)),
    "smooth": np.exp,
}
SPECIAL = np.concatenate([NODES, [0.3, 0.31, 0.2345, 0.77, 0.1234, 0.0, -0.25, 0.25, 0.23449, 0.23451]])
DENSE = np.unique(
    np.concatenate(
        [np.linspace(-1.0, 1.0, 1_000_003), *(np.nextafter(SPECIAL, side) for side in (-9.0, 9.0)), SPECIAL]
    ).clip(-1.0, 1.0)
)


@pytest.mark.parametrize("degree", [5, 12])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_value_is_below_the_true_error(name, degree):
    f = FUNCTIONS[name]
    result = minimax.polynomial(f, degree)
    certificate = result.certificate
    assert certificate.rigour == "sampled"
    assert "sampled" in str(certificate)
    error = float(np.max(np.abs(f(DENSE) - result(DENSE))))
    assert error <= certificate.value
    assert certificate.lower_bound <= error * (1.0 + 1e-12)  # points so dense miss so little of a smooth maximum
    assert certificate.value <= error * (4.0 if "precision" in name else 1.2 if degree == 12 else 1.02)
    for rng in (None, 0, 1):
        assert infimum.verify(result, f, rng=rng).value <= certificate.value


@pytest.mark.parametrize("seed", range(12))
def test_tables_within_a_function(seed):
    """The kinks cannot be seen in the code; the optimum with the true breakpoints lies within the certificate."""

    def f(x):
        return random_table(x, seed)

    certificate = minimax.polynomial(f, 5).certificate
    rng = np.random.default_rng(seed)
    nodes = np.sort(rng.uniform(-1.0, 1.0, 20))
    nodes[[0, -1]] = -1.0, 1.0
    truth = minimax.polynomial((nodes, rng.standard_normal(20)), 5).certificate
    assert truth.rigour == "enclosed"
    assert certificate.lower_bound <= truth.value
    assert truth.lower_bound <= certificate.value
    assert certificate.value <= truth.value * (1.0 + 1e-5)


def test_the_kink_of_a_python_function():
    certificate = minimax.polynomial(lambda x: np.abs(x - 0.3), 5).certificate
    enclosed = minimax.polynomial("abs(x - 0.3)", 5).certificate
    assert certificate.lower_bound <= enclosed.value
    assert certificate.value == pytest.approx(enclosed.value, rel=1e-5)


def test_values_below_what_samples_show_are_refused():
    for f in (np.tanh, np.abs, FUNCTIONS["table"], FUNCTIONS["bell of width 1e-4"]):
        result = minimax.polynomial(f, 5)
        for part in (1e-5, 1e-2, 0.4):
            claim = dataclasses.replace(
                result.certificate, value=result.certificate.value * (1.0 - part), lower_bound=0.0
            )
            with pytest.raises(VerificationError, match="does not follow"):
                infimum.verify(dataclasses.replace(result, certificate=claim), f)


def test_a_spike_that_solving_missed_is_refused():
    """The value that smooth functions have, for a function with a spike: other samples meet it."""
    smooth = minimax.polynomial(np.exp, 9)

    def exp(x):
        return np.exp(x) + np.exp(-(((x - 0.31) * 1e4) ** 2))

    renamed = dataclasses.replace(smooth, f="<exp>")
    for rng in (None, 3):
        with pytest.raises(VerificationError):
            infimum.verify(renamed, exp, rng=rng)


def test_coefficients_that_cancel_do_not_lower_what_is_derived():
    """Functions that nearly depend on each other: what rounding may do to the sum counts against the claim."""
    system = ["1", "1 + x/10**9", "x**2"]
    result = minimax.polynomial(np.exp, None, (0.0, 1.0), system=system)
    infimum.verify(result, np.exp)
    wild = result.expansion.copy()
    wild[0, :2] += 1e20, -1e20
    claim = dataclasses.replace(result.certificate, lower_bound=0.0)
    with pytest.raises(VerificationError):
        infimum.verify(dataclasses.replace(result, expansion=wild, certificate=claim), np.exp)


def test_parts_that_cancel_stand_for_what_is_left():
    """In double precision the middle row is lost between the others; the polynomial is another one."""
    result = minimax.polynomial(np.exp, 20, (-3.0, 3.0))
    hidden = np.zeros((3, 21))
    hidden[:, 18] = 1e17, 1.0, -1e17
    hidden[0] += result.expansion[0]
    assert np.array_equal(hidden.sum(axis=0)[:18], result.expansion[0][:18])
    claim = dataclasses.replace(result.certificate, lower_bound=0.0)
    with pytest.raises(VerificationError):
        infimum.verify(dataclasses.replace(result, expansion=hidden, certificate=claim), np.exp)


def test_powers_that_cancel_do_not_lower_what_is_derived():
    """Far from 0 powers of x cancel, and evaluation in double precision says little."""

    def f(x):
        return np.exp(x - 100.0)

    result = minimax.rounded(f, 9, (100.0, 102.0), dtype="float64")
    infimum.verify(result, f)
    claim = dataclasses.replace(result.certificate, value=1e-3, lower_bound=0.0)
    with pytest.raises(VerificationError):
        infimum.verify(dataclasses.replace(result, certificate=claim), f)


def test_weights_relative_errors_and_rounding():
    weighted = minimax.polynomial(np.exp, 4, weight=lambda x: 1.0 + np.abs(x - 0.2))
    assert weighted.certificate.rigour == "sampled"
    assert infimum.verify(weighted, np.exp, rng=5).value <= weighted.certificate.value
    odd = minimax.polynomial(np.sin, 5, (-1.0, 1.0), system="odd", relative=True)
    enclosed = minimax.polynomial("sin", 5, (-1.0, 1.0), system="odd", relative=True)
    assert odd.certificate.value == pytest.approx(enclosed.certificate.value, rel=1e-5)
    assert infimum.verify(odd, np.sin, rng=5).value <= odd.certificate.value
    rounded = minimax.rounded(FUNCTIONS["kink"], 3, dtype="bfloat16")
    assert rounded.certificate.rigour == "sampled"
    error = np.max(np.abs(FUNCTIONS["kink"](DENSE) - rounded(DENSE)))
    assert error <= rounded.certificate.value <= error * (1.0 + 1e-8)
    assert infimum.verify(rounded, FUNCTIONS["kink"], rng=5).value <= rounded.certificate.value
    assert "sampled" in rounded.plot(f=FUNCTIONS["kink"]).get_title()
    found = minimax.check([0.0, 1.0, 0.5], FUNCTIONS["kink"])
    assert found.certificate.rigour == "sampled"
    assert "sampled" in found.plot().get_title()


def test_places_of_kinks_are_found_and_kept():
    result = minimax.polynomial(FUNCTIONS["kink"], 4)
    assert any(abs(point - 0.3) < 1e-12 for point in result.breakpoints)
    assert "sampled" in result.plot(f=FUNCTIONS["kink"]).get_title()
    assert "enclosed" in minimax.polynomial("abs(x - 0.3)", 4).plot().get_title()


WITHOUT_FLINT = """
import sys
sys.modules["flint"] = None
import numpy as np, infimum
from infimum import minimax
f = "exp(-((x-0.31)*10000)**2)"
result = minimax.polynomial(f, 5)
x = np.union1d(np.linspace(-1, 1, 200001), np.linspace(0.3095, 0.3105, 20001))
error = np.max(np.abs(np.exp(-((x - 0.31) * 10000) ** 2) - result(x)))
assert result.certificate.lower_bound <= error <= result.certificate.value <= 1.01 * error
for rng in (None, 1):
    assert infimum.verify(infimum.from_json(result.to_json()), f, rng=rng).rigour == "sampled"
print(result.certificate)
"""


def test_expressions_without_python_flint_say_that_they_are_sampled():
    done = subprocess.run([sys.executable, "-c", WITHOUT_FLINT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sampled" in done.stdout


def test_one_look_finds_what_lies_between_its_points():
    """Kinks, jumps, spikes and smooth maxima, to within what is promised."""
    none = np.zeros(0)
    for top, e in (
        (0.7, lambda x: 0.7 - np.abs(x - 1.0 / 3.0)),
        (1.0, lambda x: np.where(x < 1.0 / 3.0, x, -(1.0 + 1.0 / 3.0 - x))),
        (2.0, lambda x: x + np.exp(-(((x - 1.0 / 7.0) * 3e4) ** 2)) * (2.0 - x)),
        (1.0, lambda x: np.cos(40.0 * (x - 0.123456789))),
        (1.0, lambda x: np.maximum(1.0 - np.sqrt(np.abs(x - 0.2)), np.cos(5.0 * (x + 0.5)) - 1e-4)),
    ):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            found = sample(e, ((-1.0, 0.9),), none, resolution=1e-15, rng=rng, claim=True)
            assert found.largest == pytest.approx(top, rel=1e-9)
            assert found.expected >= top * (1.0 - 1e-15)
            assert found.noise < 1e-9


def test_functions_that_vanish_on_the_grid_are_seen():
    def wave(x):
        return np.sin(2.0**15 * np.pi * (x + 1.0))

    assert np.max(np.abs(wave(np.linspace(-1.0, 1.0, 2**16 + 1)))) < 1e-6
    result = minimax.polynomial(wave, 3)
    assert result.certificate.value >= 1.0
    assert infimum.verify(result, wave, rng=1).value >= 0.999


def test_noise_is_seen():
    rng = np.random.default_rng(4)
    found = sample(
        lambda x: rng.uniform(-1e-3, 1e-3, x.size) + x, ((0.0, 1.0),), np.zeros(0), resolution=0.0, rng=rng, claim=True
    )
    assert 1e-3 < found.noise < 1e-2
    assert found.largest + found.noise >= 1.001


def test_points_that_are_not_finite_are_named():
    def f(x):
        return np.where(np.abs(x - 0.3) < 1e-4, np.nan, x)

    with pytest.raises(NonFiniteError, match=r"0\.3"):
        minimax.polynomial(f, 3)


@pytest.mark.parametrize(
    ("f", "domain"),
    [
        (lambda x: np.round(3.0 * x) / 3.0, (-1.0, 1.0)),
        (lambda x: np.sign(np.sin(20.0 * x)), (-1.0, 1.0)),
        (lambda x: (9.0 * x) % 1.0, (-1.0, 1.0)),
        (lambda x: np.abs(x - 0.123) ** 0.1, (-1.0, 1.0)),
        (np.cbrt, (-1.0, 1.0)),
        (np.log, (1e-6, 1.0)),
        (lambda x: 1e250 * np.exp(x), (-1.0, 1.0)),
        (lambda x: 1e-250 * np.exp(x), (-1.0, 1.0)),
        (np.sin, (1e6, 1e6 + 3.0)),
        (np.exp, (1.0, 1.0 + 1e-9)),
        (lambda x: np.full_like(x, 2.5), (-1.0, 1.0)),
        (lambda x: np.sign(x) * np.exp(-np.abs(x)), [(-1.0, -0.1), (0.1, 1.0)]),
    ],
)
def test_jumps_cusps_and_scales(f, domain):
    for degree in (1, 5, 12):
        result = minimax.polynomial(f, degree, domain)
        for low, high in result.domain:
            near = low + (high - low) * np.geomspace(1e-16, 1.0, 2001)
            x = np.concatenate([np.linspace(low, high, 200_003), near.clip(low, high)])
            assert np.max(np.abs(f(x) - result(x))) <= result.certificate.value
        for rng in (None, 1):
            infimum.verify(result, f, rng=rng)


@pytest.mark.parametrize(
    ("f", "degree", "domain"),
    [
        ("exp(3*x)", 5, (-1, 1)),
        ("1/(1 + 25*x**2)", 50, (-1, 1)),
        ("abs(x)", 20, (-1, 1)),
        ("sqrt(x)", 10, (0, 1)),
        ("gelu", 20, ((-8, -1), (0.5, 8))),
        ("exp(x)", 13, (-1, 1)),
    ],
)
def test_fast_claims_hold_under_a_full_check(f, degree, domain):
    """Without certificate few samples are claimed; a check looks at all of them."""
    quick = minimax.polynomial(f, degree, domain, certify=False)
    best = minimax.polynomial(f, degree, domain).certificate
    assert quick.certificate.rigour == "sampled"
    assert quick.certificate.lower_bound <= best.value
    assert best.lower_bound <= quick.certificate.value
    if best.value > 1e-12:
        assert quick.certificate.value == pytest.approx(best.value, rel=1e-4)
    for seed in range(3):
        assert infimum.verify(quick, f, rng=seed).value <= quick.certificate.value
