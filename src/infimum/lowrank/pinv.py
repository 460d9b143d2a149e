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
from infimum.lowrank.spectra.elimination import eliminated
from infimum.lowrank.stacks import over_stacks
from infimum.proof.answers.pinv import Products, PseudoInverse, certify_pinv
from infimum.proof.operators.sparse import with_zeros
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import tikhonov_dual

POINTS, ZOOMS = 86, 4  # multipliers on a grid, and grids each of which looks between two points of the last


@over_stacks(1)
def pinv(A: ArrayLike, *, rtol: float | None = None) -> PseudoInverse:
    """Pseudo-inverse of a matrix: the B that brings ``A @ B`` nearest to the identity, and the shortest such B.

    Minimises the Frobenius norm ``norm(A @ B - I)`` over all matrices B that are no longer than the answer
    (``norm(B) <= norm(matrix)``); a longer B would have to live on singular values that count as zero. The least
    possible loss is near ``sqrt(m - rank)``, and a gap in the certificate means that the rank decision is doubtful.

    Parameters
    ----------
    A : array (m, n), or a stack (..., m, n)
        Real or complex, finite, of any library of the array API standard, or a sparse matrix (SciPy, PyTorch), which
        gets its zeros.
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
    A = as_matrix(with_zeros(A), "A")  # the answer has no zeros to leave out
    if rtol is None:
        rtol = max(A.shape) * float(namespace(A=A).finfo(A.dtype).eps)
    if not 0.0 <= rtol < 1.0:
        raise OptionError(f"rtol must be at least 0 and below 1, got {rtol!r}")
    scaled = working(A)
    matrix, values, rank = _decomposed(scaled, rtol)
    matrix = narrow(times_power_of_two(matrix, -scaled.exponent), A, "the pseudo-inverse")
    products = Products.of(scaled, matrix)
    real, penrose = real_part(A), like_array(products.penrose_residuals()[0], A)
    return PseudoInverse(
        matrix=matrix,
        rank=rank,
        rtol=float(rtol),
        singular_values=narrow(like_array(times_power_of_two(values, scaled.exponent), A), real, "a singular value"),
        penrose=narrow(penrose, real, "a Penrose residual"),
        certificate=certify_pinv(products, _best_multiplier, values, room=ROOM),
    )


def _decomposed(A: Working, rtol: float) -> tuple[Array, np.ndarray, int]:
    """Return the pseudo-inverse, all singular values, and how many of them count."""
    found = eliminated(A, rtol)
    if found is not None:  # with the values alone that costs less than singular vectors do
        values = to_numpy(A.xp.linalg.svdvals(A.array)).astype(np.float64)
        if values[-1] > rtol * values[0]:
            inverse = found.inverse if found.Q is None else found.inverse @ adjoint(found.Q)
            wide = A.array.shape[0] < A.array.shape[1]
            return adjoint(inverse) if wide else inverse, values, values.size
    xp = A.xp
    U, s, Vh = xp.linalg.svd(A.array, full_matrices=False)
    values = to_numpy(s).astype(np.float64)
    rank = int(np.sum(values > rtol * values[0]))
    scale = xp.astype(1.0 / s[:rank], U.dtype)
    return (adjoint(Vh[:rank, :]) * scale[None, :]) @ adjoint(U[:, :rank]), values, rank


def _best_multiplier(values: np.ndarray, rows: int, radius: float) -> float:
    """Multiplier with the highest dual value (the dual is concave in mu)."""
    with np.errstate(divide="ignore", over="ignore"):
        if float(np.linalg.norm(1.0 / values)) <= radius:  # its slope at 0 is at most 0
            return 0.0
    # the dual has one hump in mu, but it is flat (clipped at 0) far away: first a coarse grid, then finer ones
    centre, reach = -37.5 + 2.0 * math.log(values[0] or 1.0), 42.5
    for _ in range(ZOOMS):
        grid = np.linspace(centre - reach, centre + reach, POINTS)
        duals = tikhonov_dual.dual_values(values, rows, radius, np.exp(grid))
        centre, reach = float(grid[int(np.argmax(duals))]), 2.0 * reach / POINTS
    return math.exp(centre)
