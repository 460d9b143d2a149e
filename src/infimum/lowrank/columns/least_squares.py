"""Least squares through few columns, of arrays of any library, also where they are nearly dependent."""

from __future__ import annotations

from infimum._arrays import Array, namespace
from infimum._linalg import adjoint, reduced_qr
from infimum._spread import with_places


def least_squares(A: Array, B: Array, rtol: float) -> Array:
    """Return X that minimises ``norm(A @ X - B)``; directions of A below `rtol` times the largest are left out.

    The caller sets `rtol` by the precision in which X is kept: larger coefficients would lose more to rounding than
    those directions gain.
    """
    namespace(A=A, B=B)
    Q, R = reduced_qr(A)
    xp = namespace(R=R)
    # Without pivoting the diagonal of R can hide a deficiency, hence the singular values of the small factor.
    u, s, vh = xp.linalg.svd(R, full_matrices=False)
    cut = rtol * float(s[0])
    if A.shape[0] >= A.shape[1] and float(s[-1]) > cut:
        return with_places(_solved, adjoint(Q) @ B, R)
    kept = s > cut
    inverse = xp.where(kept, 1.0 / xp.where(kept, s, xp.ones_like(s)), xp.zeros_like(s))
    scale = xp.astype(inverse, vh.dtype)
    return adjoint(vh) @ (scale[:, None] * (adjoint(u) @ (adjoint(Q) @ B)))


def _solved(B: Array, places: range, A: Array) -> Array:
    return namespace(A=A, B=B).linalg.solve(A, B)
