"""Generated code is compiled and run, and stays within the bounds that its comment states."""

import ctypes
import dataclasses
import functools
import itertools
import random
import re
import shutil
import subprocess
import sys
import types
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from infimum import minimax
from infimum.errors import OptionError, RangeError
from infimum.minimax.formats.forms import FORMS, program, written_out
from infimum.minimax.formats.straight_line import evaluation_error
from infimum.proof.enclosure.machine_formats import FORMATS
from tests.minimax.compiled import exact_values

pytest.importorskip("flint")

CASES = {
    "exp": ("exp", 5, (-1.0, 1.0), {}),
    "sin": ("sin", 7, (0.0, 0.7853981633974483), {"system": "odd", "relative": True}),
    "cos": ("cos", 6, (-1.0, 1.0), {"system": "even"}),
    "sign": ("1", 5, (0.02, 1.0), {"system": "odd"}),
    "constant": ("exp", 0, (0.0, 0.5), {}),
    "cubes": ("x", None, (0.5, 2.0), {"system": [0, 3, 6]}),
    "powers": ("x**2", None, (0.5, 1.0), {"system": [5, 12]}),
}
SCHEMES = tuple(FORMS)


@pytest.fixture(scope="module")
def results():
    return {
        name: minimax.polynomial(f, degree, domain, **options) for name, (f, degree, domain, options) in CASES.items()
    }


@functools.cache
def points(domain, dtype, count=100):
    """Machine numbers of the domain, its ends among them where they are such."""
    (low, high), draw = domain, random.Random(0)
    drawn = [FORMATS[dtype].round(Fraction(draw.uniform(low, high))) for _ in range(count)]
    ends = [FORMATS[dtype].round(Fraction(end)) for end in domain]
    return [x for x in (*drawn, *ends, Fraction(0)) if low <= x <= high]


def exact(result, x):
    return sum(c * x**power for c, power in zip(result.exact_coefficients(), result.powers, strict=True))


def check(result, dtype, scheme, computed, x):
    """Compare in rational arithmetic; the bound must hold and must not be idle."""
    bound = result.evaluation_error(dtype, scheme)
    assert np.isfinite(bound.absolute)
    values = exact_values(tuple(result.powers), tuple(result.exact_coefficients()), tuple(x))
    errors = [abs(Fraction(float(y)) - value) for y, value in zip(computed, values, strict=True)]
    assert max(errors) <= Fraction(bound.absolute)
    assert len(result.powers) == 1 or max(errors) >= Fraction(bound.absolute) / 64
    if bound.relative < 1.0:
        for error, value in zip(errors, values, strict=True):
            assert error <= Fraction(bound.relative) * abs(value)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numpy(results, case, scheme, dtype):
    result = results[case]
    space: dict[str, Any] = {}
    exec(result.to_numpy(dtype, scheme, name="evaluate"), space)
    x = points(CASES[case][2], dtype)
    computed = space["evaluate"](np.array([float(point) for point in x], dtype=dtype))
    assert computed.dtype == dtype
    check(result, dtype, scheme, computed.tolist(), x)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("case", ["exp", "sin", "cos"])
def test_torch(results, case, scheme, dtype):
    result = results[case]
    space: dict[str, Any] = {}
    exec(result.to_torch(dtype, scheme), space)
    x = points(CASES[case][2], dtype)
    computed = space["p"](torch.tensor([float(point) for point in x], dtype=torch.float64))
    assert computed.dtype == getattr(torch, dtype)
    check(result, dtype, scheme, computed.tolist(), x)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("flags", [("-O0",), ("-O2", "-march=native", "-ffp-contract=fast")], ids=["plain", "fused"])
def test_c(results, flags, tmp_path):
    chosen = list(itertools.product(CASES, SCHEMES, ("float32", "float64")))
    source = [results[case].to_c(dtype, scheme, f"{case}_{scheme}_{dtype}") for case, scheme, dtype in chosen]
    kinds = {"float32": "float", "float64": "double"}
    for case, scheme, dtype in chosen:
        name, kind = f"{case}_{scheme}_{dtype}", kinds[dtype]
        source.append(f"void all_{name}(const {kind} *x, {kind} *y, int n) {{")
        source.append(f"    for (int i = 0; i < n; i++) y[i] = {name}(x[i]);\n}}")
    (tmp_path / "code.c").write_text("\n".join(source))
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags, "code.c", "-o", "code.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "code.so"))
    for case, scheme, dtype in chosen:
        x = points(CASES[case][2], dtype)
        given = np.array([float(point) for point in x], dtype=dtype)
        computed = np.empty_like(given)
        run = getattr(library, f"all_{case}_{scheme}_{dtype}")
        run(given.ctypes.data_as(ctypes.c_void_p), computed.ctypes.data_as(ctypes.c_void_p), given.size)
        check(results[case], dtype, scheme, computed.tolist(), x)


class Block(np.ndarray):
    """An array with Triton's method ``to``."""

    def to(self, dtype):
        return self.astype(dtype)


def stand_in(memory):
    """A stand-in for Triton, which needs a GPU: the operations that the code uses, on NumPy arrays."""
    language: Any = types.ModuleType("triton.language")
    language.constexpr = int
    for name in ("float16", "float32", "float64"):
        setattr(language, name, getattr(np, name))
    language.full = lambda shape, value, dtype: dtype(value)
    language.program_id = lambda axis: memory["program"]
    language.arange = np.arange
    language.load = lambda place, mask: np.where(mask, memory["x"][np.minimum(place[1], 9)], 0).view(Block)
    language.store = lambda place, value, mask: memory["y"].__setitem__(place[1][mask], value[mask])
    triton: Any = types.ModuleType("triton")
    triton.jit, triton.language = lambda function: function, language
    return {"triton": triton, "triton.language": language}


class Pointer:
    def __add__(self, offsets):
        return self, offsets


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_triton_source_with_a_stand_in(results, monkeypatch, scheme, dtype):
    result = results["exp"]
    space: dict[str, Any] = {}
    source = result.to_triton(dtype, scheme, "gauss")
    compile(source, "gauss.py", "exec")
    x = points(CASES["exp"][2], dtype)[:10]
    memory: dict[str, Any] = {"x": np.array([float(point) for point in x], dtype=dtype), "y": np.zeros(10, dtype=dtype)}
    for name, module in stand_in(memory).items():
        monkeypatch.setitem(sys.modules, name, module)
    exec(source, space)
    for memory["program"] in range(2):
        space["gauss_kernel"](Pointer(), Pointer(), 10, 8)
    bound = result.evaluation_error(dtype, scheme).absolute
    for y, point in zip(memory["y"].tolist(), x, strict=True):
        assert abs(Fraction(y) - exact(result, point)) <= Fraction(bound)


def test_bfloat16_triton_source_compiles(results):
    source = results["sin"].to_triton("bfloat16")
    compile(source, "sine.py", "exec")
    assert "tl.bfloat16" in source


def test_comment_states_the_bounds(results):
    result = results["sin"]
    source = result.to_c("float32", "estrin", "sine")
    numbers = [float(text) for text in re.findall(r"<= (\S+?)[ ,]", source)]
    bound = result.evaluation_error("float32", "estrin")
    assert numbers[0] == pytest.approx(result.certificate.value, rel=0.01)
    assert numbers[0] >= result.certificate.value
    assert numbers[1] >= bound.absolute >= 0.98 * numbers[1]
    assert numbers[2] >= bound.relative >= 0.98 * numbers[2]
    assert "|f - p| / |f|" in source
    assert "proven" in source


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    """Coefficients with cancellation, and every format, in exact emulation of rounding."""
    draw = random.Random(seed)
    dtype, scheme = draw.choice(list(FORMATS)), draw.choice(SCHEMES)
    start, stride, size = draw.randint(0, 3), draw.randint(1, 3), draw.randint(1, 7)
    coefficients = {start + stride * k: Fraction(draw.gauss(0, 1)) for k in range(size)}
    low = draw.uniform(-2, 1)
    domain = (low, low + draw.uniform(0.1, 2))
    machine = FORMATS[dtype]
    steps = program(coefficients, scheme, [domain], machine)
    operations, bound = written_out(steps), evaluation_error(steps, [domain], dtype)
    for x in points(domain, dtype, 30):
        values = {"x": x}
        for target, *items, _ in operations:
            factor, by, plus = (values[i] if isinstance(i, str) else i and machine.round(i) for i in items)
            values[target] = machine.round(factor * by)
            if plus is not None:
                values[target] = machine.round(values[target] + plus)
        true = sum(c * x**power for power, c in coefficients.items())
        assert abs(values["y"] - true) <= Fraction(bound.absolute)
        if bound.relative < 1:
            assert abs(values["y"] - true) <= Fraction(bound.relative) * abs(true)


def test_formats_agree_with_numpy_and_torch():
    draw = random.Random(0)
    numbers = [draw.gauss(0, 1) * 2.0 ** draw.randint(-30, 12) for _ in range(500)] + [0.0, 1.0, 65504.0, 2.0**-24]
    for number in numbers:
        for dtype in ("float16", "float32"):
            assert float(FORMATS[dtype].round(Fraction(number))) == float(np.dtype(dtype).type(number))
        assert float(FORMATS["bfloat16"].round(Fraction(number))) == torch.tensor(number).double().bfloat16().item()
        assert FORMATS["float64"].round(Fraction(number)) == Fraction(number)


def test_refusals(results):
    result = results["exp"]
    for arguments, call in (
        (("bfloat16",), result.to_c),
        (("float16",), result.to_c),
        (("bfloat16",), result.to_numpy),
        (("int8",), result.to_torch),
        (("float32", "clenshaw"), result.to_c),
        (("float32", "horner", "float"), result.to_c),
        (("float32", "horner", "a b"), result.to_numpy),
        (("float32", "horner", "x"), result.to_triton),
    ):
        with pytest.raises(OptionError):
            call(*arguments)
    with pytest.raises(RangeError):
        minimax.polynomial("exp", 3, (0.0, 12.0)).to_numpy("float16")
    with pytest.raises(OptionError):
        minimax.polynomial("exp", system=["1", "x"]).to_c()


@pytest.mark.parametrize("solve", [minimax.polynomial, minimax.rounded])
def test_coefficients_of_one_power_twice_are_refused(solve):
    result = solve("exp", 2)
    with pytest.raises(OptionError, match="powers must be different"):
        dataclasses.replace(result, powers=(0, 0, 1)).to_c()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", ["exp", "sin", "sign", "cubes"])
def test_decimals_are_the_same_numbers(results, case, dtype):
    pair = [results[case].to_c(dtype, decimals=decimals).partition("{")[2] for decimals in (False, True)]
    kind = np.dtype(dtype).type
    hexadecimal = [kind(float.fromhex(text)) for text in re.findall(r"0x[0-9a-f.]+p[+-]\d+", pair[0])]
    decimal = [kind(text) for text in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]\d+)?(?=f?[ ;])", pair[1])]
    assert hexadecimal
    assert decimal == hexadecimal
    assert "0x" not in pair[1]
    if shutil.which("g++"):
        command = ["g++", "-x", "c++", "-std=c++11", "-pedantic", "-Werror", "-fsyntax-only", "-"]
        subprocess.run(command, input=results[case].to_c(dtype, decimals=True), text=True, check=True)
