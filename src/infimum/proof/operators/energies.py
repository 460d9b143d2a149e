"""The distance of a tall matrix from a product of thin factors, from energies: no entry of the difference is formed.

``norm(M - L R)**2 = norm(M)**2 - 2 Re <L* M, R> + <L* L, R R*>``: one product with M, in place of one and a difference.
"""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import Array, to_numpy
from infimum._linalg import ORDINARY, gram

TALL, LARGE = 20, 2**20  # rows for each column, and entries, from which this saves time


def distance_from_energies(
    energy: float,
    product: Array,
    left: Array,
    right: Array,
    longest: int,
    eps: float,
    room: float = 1.0,
    off: np.ndarray | float = 0.0,
) -> float | None:
    """Return ``norm(M - left @ right)``, rounded upwards; None where rounding counts.

    `energy` is ``norm(M)**2``, and `product` ``left* @ M``, a sum of at most `longest` terms one after the other; its
    rows may be off by `off` besides.

    With u the unit roundoff, t the sum of the norms of the rank-one terms, and l that length and what small products
    add to it, the parts are off by at most ``16 l u norm(M)**2`` (see `longest_sum`), ``2 l u norm(M) t`` and ``l u
    t**2``. That may be ``(m + n) u`` of the whole, half of what `residual_norm` may lose in adding up squares: its
    allowances are added, too, so a claim made by either follows from a check by the other.
    """
    count, width = right.shape
    unit, size = eps / 2, math.sqrt(energy)
    with np.errstate(over="ignore", invalid="ignore"):
        own, seen, rows = (to_numpy(part) for part in (gram(left), product, right))
        columns, lengths = np.sqrt(np.diagonal(own).real), np.sqrt(np.vecdot(rows, rows).real)
        if not _can_be_squared(columns) or not _can_be_squared(lengths[np.any(rows, axis=1)]):
            return None
        total = float(columns @ lengths)
        met = float(np.sum(np.vecdot(rows, seen).real))
        square = energy - 2.0 * met + float(np.sum((own * (rows.conj() @ rows.T)).real))
        # the last factor makes up for rounding in these sizes
        rounding = (longest + width + 2 * count + 8) * unit * (16.0 * energy + 2.0 * size * total + total**2)
        rounding = (rounding + 2.0 * float(np.sum(off * lengths))) * 1.001
    losing: float = (left.shape[0] + width) * unit
    if not rounding <= losing * square:
        return None
    computed = math.sqrt(square + room * rounding)
    return float(computed + room * (count + 4) * unit * (total + size)) * (1.0 + 2 * room * losing)


def _can_be_squared(lengths: np.ndarray) -> bool:
    """Tell whether squares of vectors of such lengths neither overflow nor vanish."""
    return bool(np.all((lengths > 1.0 / ORDINARY) & (lengths < ORDINARY)))


def worth_it(shape: tuple[int, int]) -> bool:
    """Tell whether a matrix is so tall and large that a look at a few rows at a time saves much."""
    return shape[0] >= TALL * shape[1] and shape[0] * shape[1] >= LARGE
