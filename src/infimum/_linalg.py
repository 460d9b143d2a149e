"""Linear algebra that the array standard lacks, and norms whose rounding is accounted for.

Everything here expects `Working` precision (see `_arrays`): entries of ordinary size, float64 where the device has it.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg

from infimum._arrays import Array, is_complex, like_array, namespace, scale_back, to_numpy, working


def adjoint(array: Array) -> Array:
    """Conjugate transpose."""
    xp = namespace(array=array)
    transposed = xp.matrix_transpose(array)
    return xp.conj(transposed) if xp.isdtype(array.dtype, "complex floating") else transposed


CHUNK = 2**18  # entries that are looked at together where a whole temporary array would leave the cache


def frobenius(array: Array) -> float:
    """Frobenius norm, rows first: its relative rounding error is at most ``sum(array.shape) * eps``.

    Any order of summation obeys that bound, so it holds for every library and device.
    """
    return math.hypot(*(_plain_norm(array[rows, :]) for rows in row_chunks(array)))


def row_chunks(array: Array) -> list[slice]:
    """Cut the rows of a matrix into pieces of about `CHUNK` entries, at least one."""
    count, rows = array.shape[0], max(1, CHUNK // max(1, array.shape[1]))
    return [slice(start, min(start + rows, count)) for start in range(0, max(1, count), rows)]


def _plain_norm(array: Array) -> float:
    xp = namespace(array=array)
    return math.sqrt(float(xp.sum(xp.real(xp.vecdot(array, array)) if is_complex(array) else xp.vecdot(array, array))))


def norm(array: Array) -> float:
    """Frobenius norm of a matrix at any scale: its squares neither overflow nor vanish."""
    scaled = working(array)
    return scale_back(frobenius(scaled.array), scaled.exponent, toward=0.0)


def residual_norm(array: Array, left: Array, right: Array, eps: float) -> float:
    """Frobenius norm of ``array - left @ right``, rounded upwards; `eps` is that of `Working`.

    The allowance covers the worst case of every multiplication and sum, in any order of summation
    (N. J. Higham, Accuracy and Stability of Numerical Algorithms, section 3.5): entry by entry the product is off by at
    most k unit roundoffs of ``abs(left) @ abs(right)``, whose norm is at most the sum over the k rank-one terms.
    """
    xp, unit = namespace(array=array), eps / 2
    computed = math.hypot(*(_plain_norm(array[rows, :] - left[rows, :] @ right) for rows in row_chunks(array)))
    lengths = xp.linalg.vector_norm(left, axis=0) * xp.linalg.vector_norm(right, axis=1)
    magnitude = float(xp.sum(xp.real(lengths) if is_complex(lengths) else lengths)) + frobenius(array)
    rounding = (left.shape[1] + 4) * unit * magnitude
    return float((computed + rounding) * (1.0 + 2 * sum(array.shape) * unit))


def orthonormal_basis(array: Array) -> Array:
    """Orthonormal basis of a space that contains the columns of `array`, by Householder QR (safe at any condition)."""
    return namespace(array=array).linalg.qr(array, mode="reduced")[0]


def pivoted_qr(array: Array) -> tuple[np.ndarray, np.ndarray]:
    """Column-pivoted QR on the host: the pivots and the triangular factor as NumPy arrays (LAPACK geqp3).

    The standard has no pivoted QR and neither have the GPU libraries, so callers hand in a small sketch.
    """
    triangle, pivots = scipy.linalg.qr(to_numpy(array), mode="r", pivoting=True, check_finite=False)
    return pivots.astype(np.int64), triangle


def subtract_outer(array: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ``array - outer(x, y)`` in the memory of `array`, which must be in Fortran order (BLAS ger)."""
    if array.size == 0:
        return array
    (update,) = scipy.linalg.get_blas_funcs(("geru" if np.iscomplexobj(array) else "ger",), (array,))
    return np.asarray(update(-1.0, x, y, a=array, overwrite_a=1))


def least_squares(A: Array, B: Array, rtol: float) -> Array:
    """Return X that minimises ``norm(A @ X - B)``; directions of A below `rtol` times the largest are left out.

    The caller sets `rtol` by the precision in which X is kept: larger coefficients would lose more to rounding than
    those directions gain.
    """
    xp = namespace(A=A, B=B)
    Q, R = xp.linalg.qr(A, mode="reduced")
    # Without pivoting the diagonal of R can hide a deficiency, hence the singular values of the small factor.
    u, s, vh = xp.linalg.svd(R, full_matrices=False)
    cut = rtol * float(s[0])
    if A.shape[0] >= A.shape[1] and float(s[-1]) > cut:
        return xp.linalg.solve(R, adjoint(Q) @ B)
    kept = s > cut
    inverse = xp.where(kept, 1.0 / xp.where(kept, s, xp.ones_like(s)), xp.zeros_like(s))
    scale = xp.astype(inverse, vh.dtype)
    return adjoint(vh) @ (scale[:, None] * (adjoint(u) @ (adjoint(Q) @ B)))


def gaussian(rng: np.random.Generator, shape: tuple[int, ...], like: Array) -> Array:
    """Draw a standard Gaussian array in the library, device and dtype of `like`; same seed, same numbers."""
    xp = namespace(like=like)
    values = rng.standard_normal(shape)
    if xp.isdtype(like.dtype, "complex floating"):
        values = (values + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)
    return xp.astype(like_array(values, like), like.dtype)
