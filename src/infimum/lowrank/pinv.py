"""Moore-Penrose pseudo-inverse, with the rank decision made visible."""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize

from infimum._arrays import (
    ArrayLike,
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
    U, s, Vh = scaled.xp.linalg.svd(scaled.array, full_matrices=False)
    values = to_numpy(s).astype(np.float64)
    rank = int(np.sum(values > rtol * values[0]))
    inverse = scaled.xp.astype(1.0 / s[:rank], U.dtype)
    matrix = (adjoint(Vh[:rank, :]) * inverse[None, :]) @ adjoint(U[:, :rank])
    matrix = narrow(times_power_of_two(matrix, -scaled.exponent), A, "the pseudo-inverse")
    real, penrose = real_part(A), like_array(penrose_residuals(A, matrix)[0], A)
    return PseudoInverse(
        matrix=matrix,
        rank=rank,
        rtol=float(rtol),
        singular_values=narrow(times_power_of_two(s, scaled.exponent), real, "a singular value"),
        penrose=narrow(penrose, real, "a Penrose residual"),
        certificate=certify_pinv(A, matrix, _best_multiplier, values, room=ROOM),
    )


def _best_multiplier(values: np.ndarray, rows: int, radius: float) -> float:
    """Multiplier with the highest dual value (the dual is concave in mu); relative to the input scaled to unit size."""

    def loss(log_mu: float) -> float:
        return -tikhonov_dual.dual_value(values, rows, radius, math.exp(log_mu))

    # the dual has one hump in mu, but it is flat (clipped at 0) far away: look on a coarse grid first
    grid = np.linspace(-80.0, 5.0, 171)
    start = grid[int(np.argmin([loss(point) for point in grid]))]
    search = scipy.optimize.minimize_scalar(loss, bounds=(start - 0.5, start + 0.5), method="bounded")
    return math.exp(float(search.x if search.fun < loss(start) else start))
