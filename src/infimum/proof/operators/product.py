"""A product of two matrices as the sum of its terms, and what an approximation through some of them loses.

The terms are scaled one by one, so that their sizes may differ by any power of two: docs/theorems/gram.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from infimum._arrays import Array, is_complex, like_array, namespace, to_numpy, widen
from infimum._linalg import as_row, frobenius, norm, scaled_columns
from infimum.errors import RangeError

VANISHED = -2000  # an exponent at which every double becomes 0


@dataclass(frozen=True)
class Terms:
    """The terms of a product: ``X @ Y = 2**exponent * sum of 2**shift[i] * outer(left[:, i], right[i, :])``.

    Columns of `left` and rows of `right` are those of X and Y with their largest entry in [0.5, 1);
    ``X = left * 2**left_exponents`` and likewise for Y. `norms` are those of the terms, in units of ``2**exponent``;
    zero terms have norm 0. `eps` is the spacing of the precision, doubled for complex numbers.
    """

    left: Array
    right: Array
    left_exponents: np.ndarray
    right_exponents: np.ndarray
    shift: np.ndarray
    exponent: int
    norms: np.ndarray
    eps: float

    @property
    def smallest(self) -> float:
        """What underflow may take from a norm, summed over everything that is added up."""
        count = math.prod((*self.left.shape, self.right.shape[1]))
        return float(count * np.finfo(float).smallest_subnormal)


def terms(X: Array, Y: Array) -> Terms:
    """Scale the terms of a product."""
    left, p, left_lengths = scaled_columns(widen(X))
    right, q, right_lengths = scaled_columns(namespace(Y=Y).matrix_transpose(widen(Y)))
    present = (left_lengths > 0.0) & (right_lengths > 0.0)
    exponent = int(np.max((p + q)[present])) if np.any(present) else 0
    shift = np.where(present, np.maximum(p + q - exponent, VANISHED), VANISHED)
    eps = float(namespace(left=left).finfo(left.dtype).eps) * (2 if is_complex(left) else 1)
    norms = left_lengths * right_lengths * np.ldexp(1.0, shift)
    return Terms(left, namespace(right=right).matrix_transpose(right), p, q, shift, exponent, norms, eps)


def residual_norm(parts: Terms, kept: np.ndarray, weights: Array | None, room: float = 1.0) -> float:
    """Frobenius norm of ``X Y - X[:, kept] @ weights @ Y[kept, :]`` in units of ``2**exponent``, rounded upwards.

    Without weights, and with one for each term, this is a sum of terms again: the lost ones with factor 1, a kept one
    with what its weight leaves. The allowance is that of `_linalg.residual_norm`, as often as
    `room` says.
    """
    unit = parts.eps / 2
    if weights is None or weights.ndim == 1:
        factors = np.ones(parts.norms.size, dtype=np.float64 if weights is None else to_numpy(widen(weights)).dtype)
        factors[kept] = 0.0 if weights is None else 1.0 - to_numpy(widen(weights))
        # what is lost may be so far below the largest term that its squares vanish
        computed = norm((parts.left * as_row(factors * np.ldexp(1.0, parts.shift), parts.left)) @ parts.right)
        rounding = (parts.norms.size + 6) * unit * float(np.abs(factors) @ parts.norms)
    else:
        middle = _scaled_middle(parts, kept, to_numpy(widen(weights)))
        columns = like_array(kept, parts.left)
        left = namespace(left=parts.left).take(parts.left, columns, axis=1)
        right = namespace(right=parts.right).take(parts.right, columns, axis=0)
        whole = (parts.left * as_row(np.ldexp(1.0, parts.shift), parts.left)) @ parts.right
        computed = frobenius(whole - (left @ like_array(middle, left)) @ right)
        # every scaled column has a length of at most sqrt(n), every scaled row of sqrt(m)
        reach = math.sqrt(parts.left.shape[0] * parts.right.shape[1]) * float(np.sum(np.abs(middle)))
        rounding = unit * ((parts.norms.size + 6) * float(np.sum(parts.norms)) + (2 * kept.size + 8) * reach)
    rows = parts.left.shape[0] + parts.right.shape[1]
    return float((computed + room * rounding) * (1.0 + 2 * room * rows * unit)) + room * parts.smallest


def _scaled_middle(parts: Terms, kept: np.ndarray, middle: np.ndarray) -> np.ndarray:
    exponents = parts.left_exponents[kept][:, None] + parts.right_exponents[kept][None, :] - parts.exponent
    with np.errstate(over="ignore"):
        scaled = np.ldexp(middle.real, exponents) + (
            1j * np.ldexp(middle.imag, exponents) if np.iscomplexobj(middle) else 0.0
        )
    if not np.all(np.isfinite(scaled)):
        raise RangeError("the weights times the kept columns and rows are out of range: scale the inputs first")
    return np.asarray(scaled)
