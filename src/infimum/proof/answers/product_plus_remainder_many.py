"""Many whole numbers as products plus remainders: the triples, the total of their sums, and the proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, as_array, namespace, to_numpy
from infimum.errors import DTypeError, OptionError, RangeError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import array
from infimum.proof.result import Result
from infimum.proof.theorems import product_plus_remainder as theorem


@dataclass(frozen=True)
class ProductsPlusRemainders(Result):
    """``values = a*b + c``, the answer of `product_plus_remainder_many`.

    Attributes
    ----------
    a, b, c : array of int64
        Shape, library and device of the values; ``a <= b``.
    certificate : Certificate
        Exact; `value` is the total of a + b + c. No witness: the lines to visit follow from the values.
    """

    problem: ClassVar[str] = "integers.product_plus_remainder_many"
    inputs: ClassVar[tuple[str, ...]] = ("values",)
    a: Array
    b: Array
    c: Array

    @property
    def sums(self) -> Array:
        """``a + b + c`` for every value."""
        return self.a + self.b + self.c

    def recheck(self, values: Array) -> Certificate:
        """Derive the certificate again: check every triple, and visit every line below its sum."""
        flat, shape = whole_numbers(values)
        xp = namespace(values=flat)
        parts = [array(name, getattr(self, name), shape, "integer", like=flat) for name in "abc"]
        for name, part in zip("abc", parts, strict=True):
            if part.dtype != flat.dtype:
                raise VerificationError(f"{name} must be int64, got {part.dtype}")
        a, b, c = (xp.reshape(part, (-1,)) for part in parts)
        # a <= n // b keeps the product from wrapping round
        fits = (a >= 0) & (a <= b) & (c >= 0) & ((b == 0) | (a <= flat // xp.where(b > 0, b, xp.ones_like(b))))
        if not bool(xp.all(fits & (c == flat - a * b))):
            raise VerificationError("a <= b and c, from 0 on, with a*b + c equal to the values were expected")
        return certify_sums((a, b, c), theorem.least_sums(flat)[0])

    def plot(self, ax: Any = None) -> Any:
        """Draw what every sum exceeds ``2*sqrt(n)`` by, over n."""
        ax = axes(ax)
        a, b, c = (to_numpy(item).ravel().astype(float) for item in (self.a, self.b, self.c))
        n = a * b + c
        ax.plot(n, a + b + c - 2.0 * np.sqrt(n), ".", ms=3, label="a + b + c − 2 √n")
        grid = np.geomspace(max(float(n.min(initial=1.0)), 1.0), max(float(n.max(initial=1.0)), 2.0), 100)
        ax.plot(grid, 1.18 * grid ** (1 / 6), "--", color="C1", label="1.18 n^(1/6)")
        ax.set(xscale="log", xlabel="n", ylabel="excess over 2 √n", title="Products plus remainders")
        ax.legend()
        return ax


def certify_sums(reached: tuple[Array, Array, Array], least: Array) -> Certificate:
    """Return the certificate of the total of a, b and c; no smaller sums than `least` exist."""
    value = sum(_total(part) for part in reached)  # one by one: a + b + c of one number may leave 64 bits
    return Certificate(value=value, lower_bound=_total(least), theorem=theorem.THEOREM, rigour="exact")


def _total(numbers: Array) -> int:
    return sum(to_numpy(numbers).ravel().tolist())  # Python integers: the total cannot overflow


def whole_numbers(values: Array) -> tuple[Array, tuple[int, ...]]:
    """Return the values as a flat int64 array, and their shape."""
    values = as_array(values, "values")
    xp = namespace(values=values)
    if not xp.isdtype(values.dtype, "integral"):
        raise DTypeError(f"values must be an array of integers, got dtype {values.dtype}; convert it first")
    flat = xp.reshape(values, (-1,))
    if flat.shape[0] and int(xp.max(flat)) >= 1 << 63:
        raise RangeError(
            f"values must be below 2**63, got {int(xp.max(flat))}; use product_plus_remainder for larger ones"
        )
    if flat.shape[0] and int(xp.min(flat)) < 0:
        raise OptionError(f"values must be from 0, got {int(xp.min(flat))}")
    return xp.astype(flat, xp.int64), tuple(values.shape)
