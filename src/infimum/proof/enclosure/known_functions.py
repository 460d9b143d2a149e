"""Python objects that are piecewise polynomials, and known exactly: tables, splines and polynomials of NumPy and SciPy.

What is not recognised is a black box. Of a spline in another form at least the knots are known.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.interpolate

from infimum.errors import NonFiniteError, OptionError
from infimum.proof.enclosure.piecewise import Piecewise, Polynomial

MOST_PIECES = 2000  # beyond, every piece costs more than is gained: the function is a black box

# Three-term recurrences p[k + 1] = ((a x + b) p[k] - c p[k - 1]) / d as (a, b, c, d) for k >= 1; p[1] is written out.
Recurrence = tuple[tuple[int, int], Callable[[int], tuple[int, int, int, int]]]
BASES: dict[type, Recurrence] = {
    np.polynomial.Chebyshev: ((1, 0), lambda k: (2, 0, 1, 1)),
    np.polynomial.Legendre: ((1, 0), lambda k: (2 * k + 1, 0, k, k + 1)),
    np.polynomial.Hermite: ((2, 0), lambda k: (2, 0, 2 * k, 1)),
    np.polynomial.HermiteE: ((1, 0), lambda k: (1, 0, k, 1)),
    np.polynomial.Laguerre: ((-1, 1), lambda k: (-1, 2 * k + 1, k, k + 1)),
}


def table(x: Any, y: Any, name: str = "f") -> Piecewise:
    """Return the function that joins the points (x, y) by straight lines, as `numpy.interp` does, on [x[0], x[-1]]."""
    nodes, values = np.asarray(x), np.asarray(y)
    advice = (
        f"{name}: a table is a pair (x, y) of vectors of one length, at least 2 and at most {MOST_PIECES}, x increasing"
    )
    numbers = nodes.dtype.kind in "iuf" and values.dtype.kind in "iuf"
    if not numbers or nodes.ndim != 1 or nodes.shape != values.shape or not 2 <= nodes.size <= MOST_PIECES:
        raise OptionError(f"{advice}; got shapes {nodes.shape} and {values.shape}, {nodes.dtype} and {values.dtype}")
    nodes, values = nodes.astype(np.float64), values.astype(np.float64)
    if not (np.all(np.isfinite(nodes)) and np.all(np.isfinite(values))):
        raise NonFiniteError(f"{advice}; all finite")
    if not np.all(nodes[:-1] < nodes[1:]):
        raise OptionError(f"{advice}; these are not increasing")
    pieces = _lines(nodes.tolist(), values.tolist())
    ends = float(nodes[0]), float(nodes[-1])
    joined = functools.partial(np.interp, xp=nodes, fp=values, left=np.nan, right=np.nan)
    return Piecewise("table", tuple(nodes[1:-1].tolist()), pieces, joined, ends)


def recognised(f: Any) -> Piecewise | None:
    """Return a Python object as the piecewise polynomial that it stands for; None if it is none, or not known so."""
    try:
        return _recognised(f)
    except (ValueError, TypeError, OverflowError, AttributeError):  # complex, empty or not finite: not for us to say
        return None


def knots_of(f: Any) -> tuple[float, ...]:
    """Return where a Python function may have kinks or jumps, as far as it shows them."""
    places: Any = ()
    if isinstance(f, scipy.interpolate.BSpline):
        places = f.t
    elif isinstance(f, scipy.interpolate.PPoly | scipy.interpolate.BPoly | scipy.interpolate.interp1d):
        places = f.x
    elif isinstance(f, scipy.interpolate.UnivariateSpline):
        places = f.get_knots()
    elif isinstance(f, functools.partial) and f.func is np.interp:
        places = f.keywords.get("xp", ())
    found = np.unique(np.asarray(places, dtype=np.float64))
    return tuple(found[np.isfinite(found)].tolist()) if found.size <= MOST_PIECES else ()


def _recognised(f: Any) -> Piecewise | None:
    name = type(f).__name__
    if isinstance(f, scipy.interpolate.PPoly) and type(f).__call__ is scipy.interpolate.PPoly.__call__:
        return _of_pieces(name, f)
    if isinstance(f, functools.partial) and f.func is np.interp:
        return _of_interp(f)
    if type(f) is np.poly1d:
        return Piecewise(name, (), ((Fraction(0), _fractions(f.coeffs[::-1])),), f)
    if type(f) is np.polynomial.Polynomial or type(f) in BASES:
        return Piecewise(name, (), (_of_series(f),), f)
    return None


def _fractions(numbers: Any) -> tuple[Fraction, ...]:
    """Doubles as exact numbers; refuses what is not finite or not real."""
    values = np.asarray(numbers)
    if values.dtype.kind not in "iuf":
        raise TypeError("real numbers were expected")
    return tuple(Fraction(value) for value in values.tolist())


def _of_pieces(name: str, f: scipy.interpolate.PPoly) -> Piecewise | None:
    x = np.asarray(f.x, dtype=np.float64)
    if f.c.ndim != 2 or f.extrapolate not in (True, False) or not np.all(x[:-1] < x[1:]) or x.size > MOST_PIECES:
        return None
    pieces = tuple((Fraction(base), _fractions(f.c[::-1, i])) for i, base in enumerate(x[:-1].tolist()))
    domain = (-math.inf, math.inf) if f.extrapolate else (float(x[0]), float(x[-1]))
    return Piecewise(name, tuple(x[1:-1].tolist()), pieces, f, domain)


def _of_interp(f: functools.partial[Any]) -> Piecewise | None:
    """``functools.partial(numpy.interp, xp=..., fp=...)``: straight lines, and constants outside."""
    if f.args or set(f.keywords) != {"xp", "fp"}:
        return None
    inner = table(f.keywords["xp"], f.keywords["fp"])
    values = np.asarray(f.keywords["fp"], dtype=np.float64).tolist()
    low, high = inner.domain
    ends = (Fraction(low), (Fraction(values[0]),)), (Fraction(high), (Fraction(values[-1]),))
    return Piecewise("interp", (low, *inner.nodes, high), (ends[0], *inner.pieces, ends[1]), f)


def _lines(x: Sequence[float], y: Sequence[float]) -> tuple[Polynomial, ...]:
    exact = [(Fraction(a), Fraction(b)) for a, b in zip(x, y, strict=True)]
    return tuple((a, (u, (v - u) / (b - a))) for (a, u), (b, v) in itertools.pairwise(exact))


def _of_series(f: Any) -> Polynomial:
    """Sum ``c[k] p_k(u)`` in powers of x - base, where u is the affine image of x that NumPy takes."""
    c = _fractions(f.coef)
    (a, b), (low, high) = _fractions(f.domain), _fractions(f.window)
    if a == b:
        raise ValueError("the domain must not be a point")
    slope = (high - low) / (b - a)
    centre = a - low / slope if slope else a  # there u = 0
    monomial = c if type(f) is np.polynomial.Polynomial else _monomials(c, *BASES[type(f)])
    return centre, tuple(value * slope**k for k, value in enumerate(monomial))


def _monomials(
    c: Sequence[Fraction], first: tuple[int, int], step: Callable[[int], tuple[int, int, int, int]]
) -> list[Fraction]:
    """Coefficients of powers from those of polynomials with a three-term recurrence."""
    total = [Fraction(0)] * len(c)
    last, now = [Fraction(0)] * len(c), [Fraction(1)] + [Fraction(0)] * (len(c) - 1)
    for k, coefficient in enumerate(c):
        total = [t + coefficient * value for t, value in zip(total, now, strict=True)]
        a, b, e, d = (*first, 0, 1) if k == 0 else step(k)
        following = [(a * (now[i - 1] if i else 0) + b * now[i] - e * last[i]) / Fraction(d) for i in range(len(c))]
        last, now = now, following
    return total
