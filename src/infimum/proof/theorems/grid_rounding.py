"""How well a matrix can be rounded to a grid when errors are weighted on both sides.

For C and G symmetric and positive semidefinite, ``0 <= diag(e) <= C`` and ``0 <= diag(g) <= G`` in the order of
symmetric matrices, every Q on the grid has ``tr(G (W - Q) C (W - Q)')`` at least ``sum g_i e_j d_ij**2``, where d_ij is
the distance of W_ij from the numbers that it may become. A diagonal G may be given as the vector of its diagonal.
Statement and proof: docs/theorems/grid_rounding.md.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from infimum.errors import VerificationError
from infimum.proof.evidence import doubles, whole
from infimum.proof.grid import FLOAT32, Grid
from infimum.proof.theorems.weighted_tail import lower_root

THEOREM = "grid_rounding"
EPS = float(np.finfo(np.float64).eps)
BITS = 8  # the most that an integer may have
DIGITS = 24  # significant bits of a scale: times a whole number of nine bits it is exact in float64


def ask_grid(grid: Grid, shape: tuple[int, int]) -> None:
    """Ask that a grid is one for matrices of a shape: groups that divide the columns, exact scales, whole zeros."""
    m, n = shape
    whole("bits", grid.bits, least=1, most=BITS)
    groups = doubles("scales", grid.scales, (m, None)).shape[1]
    doubles("zeros", grid.zeros, (m, groups))
    if groups == 0 or n % groups:
        raise VerificationError(f"the groups must divide the {n} columns, got {groups}")
    mantissas = np.frexp(grid.scales)[0] * 2.0**DIGITS
    if np.any(grid.scales < 0.0) or np.any(mantissas != np.rint(mantissas)):
        raise VerificationError(f"scales must not be negative and have at most {DIGITS} significant bits")
    if np.any(grid.zeros < 0.0) or np.any(grid.zeros > grid.top) or np.any(grid.zeros != np.rint(grid.zeros)):
        raise VerificationError(f"zeros must be whole numbers from 0 to {grid.top}")
    if grid.precision is not None and np.any(grid.scales * grid.top > grid.precision.largest):
        raise VerificationError(f"scales times {grid.top} must be at most {grid.precision.largest:g}")
    if grid.offsets is not None:
        _ask_offsets(grid, doubles("offsets", grid.offsets, grid.scales.shape))


def _ask_offsets(grid: Grid, offsets: np.ndarray) -> None:
    """Ask that offsets and products are numbers of float32.

    Then a difference is rounded as float32 rounds it, though float64 is asked first: it is exact in float64, or so
    near the larger number that no float32 but this one is near.
    """
    if grid.precision != FLOAT32:
        raise VerificationError("with offsets the numbers must be rounded to float32")
    digits = DIGITS - grid.bits
    mantissas = np.frexp(grid.scales)[0] * 2.0**digits
    if np.any(mantissas != np.rint(mantissas)) or np.any(grid.scales != FLOAT32.rounded(grid.scales)):
        raise VerificationError(f"with offsets, scales must be numbers of float32 of at most {digits} significant bits")
    if np.any(offsets != FLOAT32.rounded(offsets)) or np.any(np.abs(offsets) > FLOAT32.largest / 2.0):
        raise VerificationError("offsets must be numbers of float32, and at most half its largest")


def is_below(e: np.ndarray, C: np.ndarray, room: float = 1.0) -> bool:
    """Tell whether ``diag(e) <= C`` by proof, with `room` allowances to spare; C symmetric, e not negative.

    A completed Cholesky factorisation of ``C - diag(e) - shift I`` is exact for a matrix that differs by at most
    ``(n + 1) * eps / 2 * trace(C)``, and forming it rounds each diagonal entry twice: the shift exceeds both.
    """
    trace = float(np.trace(C))
    shift = room * (C.shape[0] + 3) * EPS * trace
    try:
        scipy.linalg.cholesky(C - np.diag(e) - shift * np.eye(C.shape[0]), lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return False
    return trace > 0.0


def loss(W: np.ndarray, Q: np.ndarray, C: np.ndarray, G: np.ndarray, *, room: float = 1.0) -> float:
    """``tr(G (W - Q) C (W - Q)')``, rounded upwards by `room` allowances."""
    lower_root(C)
    _ask_left(G, len(G))
    D = doubles("W", W, (len(G), len(C))) - doubles("Q", Q, W.shape)
    weighted = D @ C
    weighted = np.multiply(G[:, None], weighted, out=weighted) if G.ndim == 1 else G @ weighted
    weighted *= D
    computed = float(np.sum(weighted))
    norm, squares = float(np.linalg.norm(D)), float(np.linalg.norm(C)) * float(np.linalg.norm(G))
    # the products and their sum are off by at most m + n unit roundoffs of |G| |D| |C| times |D|, added up; the
    # difference itself by half an eps of its entries, in a norm of which the traces bound the eigenvalues. Both hold
    # for the vector of a diagonal, with its norm and its sum
    own = sum(W.shape) * EPS * norm**2 * squares
    rounding = EPS * norm * (float(np.trace(C)) * float(np.sum(G if G.ndim == 1 else np.diag(G)))) ** 0.5
    return float((max(computed + room * own, 0.0) ** 0.5 + room * rounding) ** 2)


def bound(
    W: np.ndarray, grid: Grid, C: np.ndarray, G: np.ndarray, e: np.ndarray, g: np.ndarray, *, room: float = 1.0
) -> float:
    """Lower bound on the loss of every matrix on the grid, less `room` allowances; e and g are evidence."""
    m, n = doubles("W", W, (None, None)).shape
    ask_grid(grid, (m, n))
    lower_root(doubles("C", C, (n, n)))
    _ask_left(G, m)
    for name, weights, side, moment, size in (("e", e, "C", C, n), ("g", g, "G", G, m)):
        doubles(name, weights, (size,))
        if np.any(weights < 0.0):
            raise VerificationError(f"{name} must not be negative, got {float(weights.min()):g}")
        below = bool(np.all(weights <= moment)) if moment.ndim == 1 else is_below(weights, moment)
        if weights.any() and not below:
            raise VerificationError(f"diag({name}) must be at most {side}, which could not be proved")
    # every term is a product of five factors that are not negative, each off by half an eps; their sums by m + n more
    squares = np.square(distances := grid.distances(W), out=distances)
    return float((g @ squares @ e) * (1.0 - room * (m + n + 6) * EPS))


def _ask_left(G: np.ndarray, m: int) -> None:
    """Ask that G is semidefinite and of m rows: by proof, or, where it is the vector of a diagonal, entry by entry."""
    if np.ndim(G) != 1:
        lower_root(doubles("G", G, (m, m)), "G")
    elif np.any(doubles("G", G, (m,)) < 0.0):
        raise VerificationError(f"G must not be negative, got {float(G.min()):g}")
