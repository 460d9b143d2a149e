"""Inverses by elimination, where every singular value counts, by far: no singular vector is needed then."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

from infimum._arrays import Array, Working, namespace
from infimum._linalg import adjoint, frobenius

SMALL = 40  # smaller side up to which a singular value decomposition takes no more time
CONDITION = 1e8  # product of the norms of a matrix and of its inverse up to which that inverse is taken


class Eliminated(NamedTuple):
    """A well-conditioned matrix A, or its adjoint where it is wide: ``Q @ core``, and the inverse of that core.

    Q has orthonormal columns; it is None, for the identity, where A is square. What elimination loses of an inverse is
    what singular vectors lose: a spacing times the condition number.
    """

    Q: Array | None
    core: Array
    inverse: Array


def eliminated(A: Working, rtol: float) -> Eliminated | None:
    """Decompose; None where the matrix is small, or singular values near `rtol` times the largest may occur."""
    xp, (rows, columns) = A.xp, A.array.shape
    if min(rows, columns) <= SMALL:
        return None
    Q, core = None, A.array
    if rows != columns:
        Q, core = xp.linalg.qr(A.array if rows > columns else adjoint(A.array), mode="reduced")
    try:
        inverse = _inverse(core)
    except (np.linalg.LinAlgError, RuntimeError):  # that of PyTorch is one, too
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # an inverse may be of any length
        condition = frobenius(core) * frobenius(inverse)  # at least the condition number
    if not condition * max(rtol, 1.0 / CONDITION) < 1.0:  # nor is it for NaN
        return None
    return Eliminated(Q, core, inverse)


def _inverse(matrix: Array) -> Array:
    """Invert: on the host from the triangular factors themselves, which takes two thirds of solving for the identity.

    The transpose is inverted. So it is ``matrix @ inverse`` that is near the identity, as in the loss of `pinv`
    (N. J. Higham, Accuracy and Stability of Numerical Algorithms, section 14.3).
    """
    if not isinstance(matrix, np.ndarray):
        return namespace(matrix=matrix).linalg.inv(matrix)
    getrf, getri, getri_lwork = scipy.linalg.get_lapack_funcs(("getrf", "getri", "getri_lwork"), (matrix,))
    factors, pivots, singular = getrf(matrix.T)
    if singular:
        raise np.linalg.LinAlgError("a pivot is zero")
    return getri(factors, pivots, lwork=int(getri_lwork(len(matrix))[0].real), overwrite_lu=True)[0].T
