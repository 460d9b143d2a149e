"""Generated C, compiled and run on arrays: plain, with fused multiply-add, or with subnormal numbers taken for 0."""

import ctypes
import functools
import platform
import random
import shutil
import subprocess
from fractions import Fraction

import numpy as np

from infimum.proof.enclosure.machine_formats import FORMATS

C_TYPES = {"float32": "float", "float64": "double"}
FLAGS = {"plain": ("-O0",), "fused": ("-O2", "-march=native", "-ffp-contract=fast")}
HAS_COMPILER = shutil.which("gcc") is not None
FLUSHES = platform.machine() in ("x86_64", "AMD64")

LOOP = """
static __attribute__((noinline)) void loop_{name}(const {kind} *x, {kind} *y, long n)
{{
    for (long i = 0; i < n; i++) y[i] = {name}(x[i]);
}}
void all_{name}(const {kind} *x, {kind} *y, long n, int flush)
{{
#ifdef __SSE2__
    unsigned int before = _mm_getcsr();
    if (flush) _mm_setcsr(before | 0x8040);
#endif
    loop_{name}(x, y, n);
#ifdef __SSE2__
    _mm_setcsr(before);
#endif
    (void)flush;
}}
"""


def build(sources, folder, flags):
    """Compile ``{name: (dtype, source)}``; returns a function of a name, an array and whether to flush."""
    text = ["#ifdef __SSE2__", "#include <xmmintrin.h>", "#endif"]
    for name, (dtype, source) in sources.items():
        text += [source, LOOP.format(name=name, kind=C_TYPES[dtype])]
    (folder / "code.c").write_text("\n".join(text))
    warnings = ("-std=c99", "-Wall", "-Wextra", "-Werror")
    command = ["gcc", *warnings, "-shared", "-fPIC", *FLAGS[flags], "code.c", "-o", f"{flags}.so"]
    subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / f"{flags}.so"))

    def run(name, x, flush=False):
        y = np.empty_like(x)
        places = (array.ctypes.data_as(ctypes.c_void_p) for array in (x, y))
        getattr(library, f"all_{name}")(*places, ctypes.c_long(x.size), int(flush))
        return y

    return run


def machine_numbers(domain, dtype, count, seed=0):
    """Machine numbers of a domain: its ends, 0, subnormal ones, neighbours of powers of two, and all sizes between."""
    machine, draw = FORMATS[dtype], random.Random(seed)
    kind = np.dtype(dtype).type
    info = np.finfo(kind)
    wanted = [*domain, 0.0, float(info.smallest_subnormal), float(info.smallest_normal), float(info.eps)]
    least, largest = -machine.bits + machine.least_exponent + 1, max(int(np.frexp(max(map(abs, domain)))[1]), -1000)
    for _ in range(count):
        exponent = draw.choice((draw.randint(least, largest), draw.randint(max(largest - 8, least), largest)))
        wanted += [2.0**exponent, draw.uniform(1, 2) * 2.0**exponent, draw.uniform(*domain)]
    x = np.array(wanted).astype(kind)
    x = np.concatenate([x, -x])
    x = np.concatenate([x, np.nextafter(x, kind(np.inf)), np.nextafter(x, kind(-np.inf))])
    inside = (x.astype(np.float64) >= domain[0]) & (x.astype(np.float64) <= domain[1])
    return np.unique(x[inside])


@functools.lru_cache(maxsize=64)
def exact_values(powers, coefficients, points):
    """Values of a polynomial in rational arithmetic, kept: every scheme and every set of flags is held against them."""
    pairs = list(zip(powers, coefficients, strict=True))
    return [sum(c * Fraction(point) ** power for power, c in pairs) for point in points]


def violations(result, dtype, scheme, x, y):
    """Points at which a claim of `evaluation_error` is false, in rational arithmetic."""
    bound = result.evaluation_error(dtype, scheme)
    absolute = Fraction(bound.absolute)
    points, bad = tuple(x.tolist()), []
    values = exact_values(tuple(result.powers), tuple(result.exact_coefficients()), points)
    for point, true, value in zip(points, values, y.tolist(), strict=True):
        error = abs(Fraction(value) - true)
        allowed = absolute
        if bound.relative < 1.0:
            allowed = min(absolute, Fraction(bound.relative) * abs(true) + Fraction(bound.underflow))
        if error > allowed:
            bad.append((point, float(error), float(allowed)))
    return bad
