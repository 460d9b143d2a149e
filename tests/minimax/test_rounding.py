"""Machine numbers as coefficients: published figures, exhaustive search, formats, refusals."""

import dataclasses
import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
import torch

import infimum
from infimum import minimax
from infimum.errors import DTypeError, OptionError, RangeError, ShapeError, VerificationError
from infimum.minimax.formats import lattice
from infimum.proof.enclosure.machine_formats import FORMATS

pytest.importorskip("flint")

# f, degree, domain, system, format; largest errors of naive rounding and of fpminimax, measured with Sollya 8.0
FIGURES = [
    ("2**x", 3, (0, 1), "full", "bfloat16", 9.77e-4, 1.899e-4),
    ("2**x", 4, (0, 1), "full", "bfloat16", 1.95e-3, 9.55e-5),
    ("2**x", 6, (0, 1), "full", "float32", 1.26e-8, 2.911e-9),
    ("sin", 7, (0, 0.7853981633974483), "odd", "float32", 9.00e-9, 1.81e-9),
    ("sin", 5, (0, 1.5707963267948966), "odd", "bfloat16", 8.51e-4, 1.369e-4),
    ("1", 5, (0.02, 1), "odd", "bfloat16", 0.84829, 0.84829),
]


@pytest.mark.parametrize(("f", "degree", "domain", "system", "dtype", "naive", "sollya"), FIGURES)
def test_as_good_as_sollya(f, degree, domain, system, dtype, naive, sollya):
    result = minimax.rounded(f, degree, domain, system=system, dtype=dtype)
    certificate = infimum.verify(result, f)
    half_a_digit = 0.5 * 10.0 ** (np.floor(np.log10(sollya)) - (3 if sollya != 1.81e-9 else 2))
    assert certificate.value <= sollya + half_a_digit
    assert certificate.value < naive
    best = minimax.polynomial(f, degree, domain, system=system)
    assert result.certificate.lower_bound == best.certificate.lower_bound <= certificate.lower_bound
    for value in result.values.tolist():
        assert FORMATS[dtype].round(Fraction(value)) == Fraction(value)
    if dtype == "bfloat16":
        assert torch.equal(torch.tensor(result.values).bfloat16().double(), torch.tensor(result.values))


@pytest.mark.parametrize("seed", range(3))
def test_exhaustive_search_agrees_with_enumeration(seed):
    """Two coefficients in bfloat16: every pair in a wide box."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0.1, 1.0, 60)
    A = np.stack([np.ones_like(x), x], axis=1)
    F = np.exp(rng.uniform(-2, 2) * x) * rng.uniform(0.5, 3)
    machine = FORMATS["bfloat16"]
    start = np.linalg.lstsq(A, F)[0]
    unit = np.max(np.abs(F - A @ start))
    search = lattice.nearest(A / unit, F / unit, start, [machine, machine])
    assert search.complete
    near = [
        float(machine.round(Fraction(c))) + np.arange(-60, 61) * float(machine.spacing(Fraction(c)) / 2)
        for c in start.tolist()
    ]
    near = [[c for c in listed.tolist() if machine.round(Fraction(c)) == Fraction(c)] for listed in near]
    errors = [np.max(np.abs(F - A @ np.array(pair))) for pair in itertools.product(*near)]
    assert search.error * unit <= min(errors) * (1 + 1e-9)


def test_search_of_small_problems_ends():
    x = np.linspace(0.0, 1.0, 150)
    A = x[:, None] ** np.arange(4)
    best = minimax.polynomial("2**x", 3, (0.0, 1.0))
    unit = best.certificate.value
    search = lattice.nearest(A / unit, 2.0**x / unit, best.coefficients(), [FORMATS["bfloat16"]] * 4)
    assert search.complete


def test_formats_for_each_coefficient():
    best = minimax.polynomial("exp", 3)
    mixed = best.round(["bfloat16", "float32", "float32", "float32"])
    uniform = best.round("bfloat16")
    assert mixed.certificate.value <= uniform.certificate.value
    assert mixed.formats[0] == "bfloat16"
    double = best.round("float64")
    assert double.certificate.ratio <= 1 + 1e-6
    assert best.round(torch.bfloat16).values.tolist() == uniform.values.tolist()
    assert best.round(np.float32).formats == ("float32",) * 4


def test_a_leading_coefficient_in_two_numbers_of_float32():
    """As fpminimax: more digits for the constant alone bring the others near to the floor."""
    best = minimax.polynomial("2/sqrt(pi)*exp(-x)", 5, (0, 0.5), relative=True)
    single, double = best.round("float32"), best.round(("float32x2", *["float32"] * 5))
    assert single.certificate.value > 4.0 * double.certificate.value
    assert double.certificate.ratio < 1.01
    constant = float(double.values[0])
    high = np.float32(constant)
    assert constant == float(high) + float(np.float32(constant - float(high))) != float(high)
    assert infimum.verify(infimum.from_json(double.to_json()), double.f).value <= double.certificate.value
    forged = dataclasses.replace(double, values=np.append(np.nextafter(constant, 2.0), double.values[1:]))
    with pytest.raises(VerificationError, match="no number of float32x2"):
        infimum.verify(forged, double.f)
    code = double.to_c("float32", "parts")
    assert code.count("float y =") == 1
    assert "in two parts" in code
    errors = [double.evaluation_error("float32", form).absolute for form in ("horner", "parts")]
    assert errors[1] < errors[0]
    with pytest.raises(OptionError):
        double.to_c("float32x2")


def test_even_functions_keep_their_zeros():
    result = minimax.polynomial("gelu", 8, (-3.0, 3.0)).round("bfloat16")
    at = dict(zip(result.powers, result.values.tolist(), strict=True))
    assert [at[power] for power in (3, 5, 7)] == [0.0, 0.0, 0.0]
    assert result.certificate.value <= 0.0024


def test_weights_relative_errors_and_intervals():
    relative = minimax.rounded("sin", 5, (0.0, 0.7), system="odd", relative=True, dtype="float32")
    weighted = minimax.rounded("exp", 3, (0.0, 1.0), weight="1 + x", dtype="bfloat16")
    apart = minimax.rounded("abs(x)", 4, [(-1.0, -0.25), (0.5, 1.0)], dtype="float16")
    chosen = minimax.rounded("sin", system=[1, 3, 7], domain=(0.1, 1.0), dtype="bfloat16")
    for result, f in ((relative, "sin"), (weighted, "exp"), (apart, "abs(x)"), (chosen, "sin")):
        certificate = infimum.verify(result, f)
        assert 0 < certificate.lower_bound < certificate.value < 1000 * certificate.lower_bound


def test_call_code_and_json():
    result = minimax.rounded("2**x", 3, (0.0, 1.0))
    x = np.linspace(0.0, 1.0, 1001)
    assert np.abs(result(x) - 2.0**x).max() <= result.certificate.value
    assert result(0.5) == pytest.approx(2.0**0.5, abs=2e-4)
    assert isinstance(result(torch.ones(2)), torch.Tensor)
    exact = minimax.polynomial("2**x", 3, (0.0, 1.0))
    assert result.evaluation_error("bfloat16").absolute < exact.evaluation_error("bfloat16").absolute
    assert "0x1.64p-1f" in result.to_c()  # 0.6953125
    again = infimum.from_json(result.to_json())
    infimum.verify(again, "2**x")
    assert json.loads(result.to_json())["answer"]["formats"] == ["bfloat16"] * 4


def test_python_functions_are_rounded_with_a_sampled_certificate():
    best = minimax.polynomial(np.exp, 3, (0.0, 1.0))
    with pytest.raises(OptionError, match="give it again"):
        best.round("bfloat16")
    result = best.round("bfloat16", f=np.exp)
    assert result.certificate.rigour == "sampled"
    assert result.certificate.value == pytest.approx(minimax.rounded("exp", 3, (0.0, 1.0)).certificate.value, rel=1e-3)


def test_corruption_is_refused():
    result = minimax.rounded("2**x", 3, (0.0, 1.0))
    for field, value in (
        ("values", result.values * 1.001),
        ("values", result.values[:3]),
        ("powers", (0, 1, 2, 4)),
        ("formats", ("float16",) * 3),
        ("formats", ("int8",) * 4),
        ("signs", (1, 1, 1, 1, 1)),
        ("domain", ((0.0, 2.0),)),
    ):
        with pytest.raises(VerificationError):
            infimum.verify(dataclasses.replace(result, **{field: value}), "2**x")


def test_refusals():
    best = minimax.polynomial("exp", 2)
    with pytest.raises(OptionError):
        best.round("int8")
    with pytest.raises(ShapeError):
        best.round(["bfloat16"] * 2)
    with pytest.raises(RangeError):
        minimax.polynomial("1e6 * exp(x)", 2).round("float16")
    with pytest.raises(OptionError):
        minimax.polynomial("exp", system=["1", "x"]).round("bfloat16")
    with pytest.raises(DTypeError):
        minimax.polynomial("exp", 2, weight=lambda x: 1 + x * 0).round("bfloat16")
