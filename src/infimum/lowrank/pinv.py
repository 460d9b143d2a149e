"""Moore-Penrose pseudo-inverse, with the rank decision made visible."""

from __future__ import annotations

import math

import numpy as np

from infimum._arrays import (
    Array,
    ArrayLike,
    Working,
    as_matrix,
    like_array,
    namespace,
    narrow,
    real_part,
    times_power_of_two,
    to_numpy,
    working,
)
from infimum._linalg import adjoint
from infimum.errors import OptionError
from infimum.lowrank.stacks import over_stacks
from infimum.proof.answers.pinv import PseudoInverse, certify_pinv, penrose_residuals
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import tikhonov_dual

POINTS, ZOOMS = 86, 4  # multipliers on a grid, and grids each of which looks between two points of the last
SMALL = 100  # smaller side up to which one decomposition is quicker than two that cost less
WELL_CONDITIONED = 1e-4  # least singular value, relative to the largest, from which an inverse goes through QR


@over_stacks(1)
def pinv(A: ArrayLike, *, rtol: float | None = None) -> PseudoInverse:
    """Pseudo-inverse of a matrix: the B that brings ``A @ B`` nearest to the identity, and the shortest such B.

    Minimises the Frobenius norm ``norm(A @ B - I)`` over all matrices B that are no longer than the answer
    (``norm(B) <= norm(matrix)``); a longer B would have to live on singular values that count as zero. The least
    possible loss is near ``sqrt(m - rank)``, and a gap in the certificate means that the rank decision is doubtful.

    Parameters
    ----------
    A : array (m, n), or a stack (..., m, n)
        Real or complex, finite, of any library of the array API standard.
    rtol : float, optional
        Singular values up to `rtol` times the largest count as zero, 0 <= rtol < 1. Default: ``max(m, n)`` times the
        spacing of the dtype of `A`.

    Returns
    -------
    PseudoInverse
        `matrix` (n, m): library, dtype and device of `A`; `rank`, `singular_values`, `cut`, `gap`,
        `ambiguous`, `penrose`; `certificate`. Of a stack a
        `Batch`: their fields stacked, one array of certificates.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    RangeError
        An entry of the answer does not fit the dtype of `A`.

    References
    ----------
    .. [1] R. Penrose, "On best approximate solutions of linear matrix equations",
       Math. Proc. Camb. Phil. Soc. 52 (1956).
    .. [2] Su Jianlin, Scientific Spaces 10366 (low rank 1, the pseudo-inverse), https://kexue.fm/archives/10366.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> result = infimum.lowrank.pinv(np.array([[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]]))
    >>> result.rank, round(result.certificate.lower_bound, 4)
    (1, 1.4142)
    """
    A = as_matrix(A, "A")
    if rtol is None:
        rtol = max(A.shape) * float(namespace(A=A).finfo(A.dtype).eps)
    if not 0.0 <= rtol < 1.0:
        raise OptionError(f"rtol must be at least 0 and below 1, got {rtol!r}")
    scaled = working(A)
    matrix, values, rank = _decomposed(scaled, rtol)
    matrix = narrow(times_power_of_two(matrix, -scaled.exponent), A, "the pseudo-inverse")
    real, penrose = real_part(A), like_array(penrose_residuals(A, matrix)[0], A)
    return PseudoInverse(
        matrix=matrix,
        rank=rank,
        rtol=float(rtol),
        singular_values=narrow(like_array(times_power_of_two(values, scaled.exponent), A), real, "a singular value"),
        penrose=narrow(penrose, real, "a Penrose residual"),
        certificate=certify_pinv(A, matrix, _best_multiplier, values, room=ROOM),
    )


def _decomposed(A: Working, rtol: float) -> tuple[Array, np.ndarray, int]:
    """Return the pseudo-inverse, all singular values, and how many of them count.

    Where all do, and by far, a QR decomposition gives the inverse: with the values alone it costs half as much as the
    vectors.
    """
    xp, tall = A.xp, A.array.shape[0] >= A.array.shape[1]
    if min(A.array.shape) > SMALL:
        values = to_numpy(xp.linalg.svdvals(A.array)).astype(np.float64)
        if values[-1] > max(rtol, WELL_CONDITIONED) * values[0]:
            Q, R = xp.linalg.qr(A.array if tall else adjoint(A.array), mode="reduced")
            inverse = xp.linalg.solve(R, adjoint(Q))
            return inverse if tall else adjoint(inverse), values, values.size
    U, s, Vh = xp.linalg.svd(A.array, full_matrices=False)
    values = to_numpy(s).astype(np.float64)
    rank = int(np.sum(values > rtol * values[0]))
    scale = xp.astype(1.0 / s[:rank], U.dtype)
    return (adjoint(Vh[:rank, :]) * scale[None, :]) @ adjoint(U[:, :rank]), values, rank


def _best_multiplier(values: np.ndarray, rows: int, radius: float) -> float:
    """Multiplier with the highest dual value (the dual is concave in mu); relative to the input scaled to unit size."""
    # the dual has one hump in mu, but it is flat (clipped at 0) far away: first a coarse grid, then finer ones
    centre, reach = -37.5, 42.5
    for _ in range(ZOOMS):
        grid = np.linspace(centre - reach, centre + reach, POINTS)
        duals = tikhonov_dual.dual_values(values, rows, radius, np.exp(grid))
        centre, reach = float(grid[int(np.argmax(duals))]), 2.0 * reach / POINTS
    return math.exp(centre)
