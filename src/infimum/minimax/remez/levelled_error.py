"""The levelled error on a reference: the best approximation on m + 1 points, in double or in multiple precision.

A `Level` takes a reference and returns h, the error that alternates on it, and the error function of the approximation
that has it. Points are always doubles: the bound they give is second order in their distance from the best ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import scipy.fft

from infimum.errors import OptionError
from infimum.proof.enclosure.balls import Ball, working
from infimum.proof.enclosure.point_values import values_at, weights_at
from infimum.proof.enclosure.spaces import Functions, Powers
from infimum.proof.enclosure.task import Task
from infimum.proof.theorems.alternation import divided_difference

ErrorFunction = Callable[[np.ndarray], np.ndarray]
NOISE = 4.0 * float(np.finfo(float).eps)  # relative to the weighted function
CHUNK = 1 << 16  # entries of a distance matrix, few enough for the caches of a processor


class Level(Protocol):
    """The levelled error on a reference of `size` + 1 points, in increasing order.

    `noise` is what rounding does to errors on the last reference.
    """

    size: int
    noise: float

    def __call__(self, x: np.ndarray) -> tuple[float, ErrorFunction]:
        """Return h and the error ``w (f - p)``, times the sign of ``x**start``, as a function of arrays of points."""
        ...

    def coefficients(self, parts: int) -> np.ndarray:
        """Coefficients of the approximation on the last reference: `parts` rows of doubles whose sum they are."""
        ...


class Barycentric:
    """Levelled errors for ``x**start * P(x**stride)``, by Lagrange interpolation in double precision."""

    def __init__(self, task: Task, interval: tuple[float, float]) -> None:
        assert isinstance(task.space, Powers)
        self.task, self.space, self.size = task, task.space, task.space.size
        self.interval, self.noise = interval, 0.0
        self._nodes = np.zeros(0)
        self._values = self._nodes
        self._lambda = self._nodes

    def __call__(self, x: np.ndarray) -> tuple[float, ErrorFunction]:
        """Interpolate ``f - h * signs / w`` at all points of the reference, which is consistent for one h."""
        t = self._scaled(x)
        differences = t[:, None] - t[None, :]
        np.fill_diagonal(differences, 1.0)
        logarithms = np.sum(np.log2(np.abs(differences)), axis=1)
        signs = np.where(np.sum(differences < 0.0, axis=1) % 2, -1.0, 1.0)
        self._lambda = signs * np.exp2(logarithms.min() - logarithms)
        power = x**self.space.start
        f, inverse = self.task.f(x) / power, 1.0 / (self.task.weights(x) * np.abs(power))
        h = float(np.sum(self._lambda * f) / np.sum(np.abs(self._lambda) * inverse))
        self._nodes, self._values = t, f - signs * h * inverse
        self.noise = NOISE * float(np.max(np.abs(f) / inverse))
        return h, self._error

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        low, high = self.interval
        return np.asarray((x**self.space.stride - (low / 2 + high / 2)) / (high / 4 - low / 4))  # capacity 1

    def _polynomial(self, t: np.ndarray) -> np.ndarray:
        result = np.empty_like(t)
        step = max(1, CHUNK // self._nodes.size)
        both = np.stack([self._lambda * self._values, self._lambda], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            for i in range(0, t.size, step):
                inverse = t[i : i + step, None] - self._nodes
                above, below = (np.reciprocal(inverse, out=inverse) @ both).T
                result[i : i + step] = above / below
        at_node = ~np.isfinite(result)
        if np.any(at_node):
            nearest = np.argmin(np.abs(t[at_node, None] - self._nodes), axis=1)
            result[at_node] = self._values[nearest]
        return result

    def _error(self, x: np.ndarray) -> np.ndarray:
        approximation = x**self.space.start * self._polynomial(self._scaled(x))
        return np.asarray(signs_of(x, self.space) * self.task.weights(x) * (self.task.f(x) - approximation))

    def coefficients(self, parts: int) -> np.ndarray:
        """Chebyshev coefficients, by interpolation at Chebyshev points."""
        angles = np.pi * (np.arange(self.size) + 0.5) / self.size
        values = self._polynomial(2.0 * np.cos(angles))
        c = scipy.fft.dct(values) / self.size
        c[0] /= 2.0
        return np.asarray(np.stack([c, *[np.zeros_like(c)] * (parts - 1)]))


class MultiplePrecision:
    """The same in multiple precision (python-flint): only errors and h are rounded to doubles."""

    def __init__(self, task: Task, interval: tuple[float, float], bits: int) -> None:
        assert isinstance(task.space, Powers)
        self.task, self.space, self.size = task, task.space, task.space.size
        self.interval, self.bits, self.noise = interval, bits, 0.0
        self._polynomial: Any = None

    def __call__(self, x: np.ndarray) -> tuple[float, ErrorFunction]:
        """Interpolate as in double precision, on all points but one."""
        with working(self.bits) as module:
            points = [module.arb(value) for value in x.tolist()]
            t = [self._scaled(point) for point in points]
            weights = [w.mid() for w in divided_difference(t)]
            power = [point**self.space.start for point in points]
            f = [value / p for value, p in zip(values_at(self.task.f, points), power, strict=True)]
            inverse = [1 / (w * abs(p)) for w, p in zip(weights_at(self.task, points), power, strict=True)]
            total = sum((a * b for a, b in zip(weights, f, strict=True)), module.arb(0))
            h = (total / sum((abs(a) * b for a, b in zip(weights, inverse, strict=True)), module.arb(0))).mid()
            levelled = [v - w.sgn() * h * i for v, w, i in zip(f, weights, inverse, strict=True)]
            middle = [value.mid() for value in levelled]
            self._polynomial = _middle(
                module.arb_poly.interpolate(t[: self.size], middle[: self.size], algorithm="newton")
            )
            return float(h), self._error

    def _scaled(self, x: Ball) -> Ball:
        low, high = self.interval
        t = x**self.space.stride
        return (2 * t - low - high) / (t * 0 + high - low)

    def _error(self, x: np.ndarray) -> np.ndarray:
        with working(self.bits) as module:
            points = [module.arb(value) for value in x.ravel().tolist()]
            values, weights = values_at(self.task.f, points), weights_at(self.task, points)
            errors = []
            for point, value, weight in zip(points, values, weights, strict=True):
                approximation = point**self.space.start * self._polynomial(self._scaled(point))
                error = weight * (value - approximation)
                errors.append(float(error.mid()) if error.is_finite() else math.inf)
            return np.array(errors).reshape(x.shape) * signs_of(x, self.space)

    def coefficients(self, parts: int) -> np.ndarray:
        """Chebyshev coefficients as sums of doubles."""
        with working(self.bits) as module:
            size = self.size
            cosine = [(module.arb(j) / (2 * size)).cos_pi() for j in range(4 * size)]
            values = [self._polynomial(cosine[2 * i + 1]) for i in range(size)]
            c = []
            for k in range(size):
                total = sum((values[i] * cosine[(2 * i + 1) * k % (4 * size)] for i in range(size)), module.arb(0))
                c.append(total * (2 if k else 1) / size)
            return split(c, parts)


class Collocation:
    """Levelled errors for a space spanned by functions, by linear algebra in double precision."""

    def __init__(self, task: Task) -> None:
        assert isinstance(task.space, Functions)
        self.task, self.size = task, task.space.size
        self._functions = task.space.functions
        self._coefficients = np.zeros(self.size)
        self.noise = 0.0

    def __call__(self, x: np.ndarray) -> tuple[float, ErrorFunction]:
        """Weights that annihilate the space, h by duality, coefficients by interpolation."""
        matrix = self._matrix(x)
        scale = np.max(np.abs(matrix), axis=0)
        if not np.all(scale > 0.0):
            raise OptionError("system is no Haar system: one of its functions vanishes on the points of a reference")
        sizes = np.max(np.abs(matrix / scale), axis=1)
        sizes = np.where(sizes > 0.0, sizes, 1.0)  # near a point where all vanish the signs would be those of rounding
        basis, _ = np.linalg.qr(matrix / scale / sizes[:, None], mode="complete")
        weights = basis[:, -1] / sizes
        if not np.all(weights[:-1] * weights[1:] < 0.0):
            raise OptionError(
                f"system is no Haar system on this domain: some combination of its {self.size} functions vanishes at "
                f"{self.size} points; leave out points at which all vanish, or choose other functions"
            )
        f, inverse = self.task.f(x), 1.0 / self.task.weights(x)
        h = float(np.sum(weights * f) / np.sum(np.abs(weights) * inverse))
        levelled = f - np.sign(weights) * h * inverse
        self._coefficients = np.linalg.lstsq(matrix / scale, levelled)[0] / scale
        self.noise = NOISE * float(np.max(np.abs(f) / inverse))
        return h, self._error

    def _matrix(self, x: np.ndarray) -> np.ndarray:
        return np.stack([function(x) for function in self._functions], axis=1)

    def _error(self, x: np.ndarray) -> np.ndarray:
        shape = x.shape
        x = x.ravel()
        errors = self.task.weights(x) * (self.task.f(x) - self._matrix(x) @ self._coefficients)
        return np.asarray(errors).reshape(shape)

    def coefficients(self, parts: int) -> np.ndarray:
        """Coefficients of the functions."""
        return np.stack([self._coefficients, *[np.zeros(self.size)] * (parts - 1)])


def signs_of(x: np.ndarray, space: Powers) -> np.ndarray | float:
    """Sign of ``x**start``: times it, the error of a best approximation alternates on both sides of 0 together."""
    return np.sign(x) if space.start % 2 else 1.0


def split(numbers: list[Ball], parts: int) -> np.ndarray:
    """Rows of doubles whose sum is near the numbers: each row is what the rows above leave, rounded."""
    rows = []
    rest = [number.mid() for number in numbers]
    for _ in range(parts):
        row = [float(number) for number in rest]
        rest = [(number - value).mid() for number, value in zip(rest, row, strict=True)]
        rows.append(row)
    return np.array(rows)


def _middle(polynomial: Any) -> Any:
    return type(polynomial)([c.mid() for c in polynomial.coeffs()])
