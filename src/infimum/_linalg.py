"""Linear algebra that the array standard lacks, and norms whose rounding is accounted for.

Everything here expects `Working` precision (see `_arrays`): entries of ordinary size, float64 where the device has it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable

import numpy as np
import scipy.linalg

from infimum._arrays import Array, is_complex, like_array, namespace, real_part, to_numpy, working
from infimum._scaling import scale_back
from infimum._spread import at_hand, in_chunks, on_device, settled
from infimum._threads import one_thread
from infimum.errors import RangeError


def adjoint(array: Array) -> Array:
    """Conjugate transpose."""
    if type(array) is np.ndarray and array.ndim == 2:
        return array.T.conj() if array.dtype.kind == "c" else array.T
    xp = namespace(array=array)
    transposed = xp.matrix_transpose(array)
    return xp.conj(transposed) if xp.isdtype(array.dtype, "complex floating") else transposed


# entries that are looked at together where a whole temporary array would leave the cache; elsewhere calls are dear
CHUNK, ON_DEVICE = 2**16, 2**24
PIECE = 2**12  # rows that are added up, or multiplied, at once where sums have to stay short
STRIP = 2**15  # bytes turned at once: what is read, and the lines that are written, stay in the cache


def frobenius(array: Array) -> float:
    """Frobenius norm: its relative rounding error is at most ``sum(array.shape) * eps``.

    Rows are summed first, or no more entries at once than that sum. Any order of summation obeys the bound then, so it
    holds for every library and device; Dask sums its chunks where they are.
    """
    if in_chunks(array):
        norms = array.map_blocks(_chunk_norm, dtype=np.float64, chunks=tuple((1,) * len(c) for c in array.chunks))
        return math.hypot(*to_numpy(norms).ravel())
    if math.prod(array.shape) <= CHUNK:
        return _plain_norm(array, sum(array.shape))
    return _norm_of_chunks((array[rows, :] for rows in row_chunks(array)), sum(array.shape))


def _chunk_norm(block: Array) -> np.ndarray:
    return np.array([[frobenius(block) if 0 not in block.shape else 0.0]])


def _norm_of_chunks(chunks: Iterable[Array], most: int) -> float:
    return math.hypot(*(_plain_norm(chunk, most) for chunk in chunks))


def row_chunks(array: Array) -> list[slice]:
    """Cut the rows of a matrix into pieces of about `CHUNK` entries, at least one."""
    count, width = array.shape
    entries = ON_DEVICE if count * width > CHUNK and on_device(array) else CHUNK
    rows = max(1, entries // max(1, width))
    return [slice(start, min(start + rows, count)) for start in range(0, max(1, count), rows)]


def _less(product: Array, array: Array) -> Array:
    """Return the difference, in the memory of the product where it fits: new memory is dear."""
    if product.dtype != array.dtype:
        return product - array
    product -= array
    return product


def _plain_norm(array: Array, most: int) -> float:
    xp = namespace(array=array)
    if math.prod(array.shape) <= min(most, CHUNK):
        array = xp.reshape(array, (1, -1))
    squares = real_part(xp.vecdot(array, array))
    if squares.shape[0] <= PIECE:
        return math.sqrt(float(squares.sum() if type(squares) is np.ndarray else xp.sum(squares)))
    return math.sqrt(math.fsum(float(xp.sum(squares[piece])) for piece in short_runs(squares.shape[0])))


def _column_lengths(array: Array) -> np.ndarray:
    xp = namespace(array=array)
    if type(array) is np.ndarray and array.size <= CHUNK:
        return np.asarray(np.sqrt(xp.vecdot(array, array, axis=-2).real.astype(np.float64)))
    if in_chunks(array):
        return np.asarray(to_numpy(xp.linalg.vector_norm(array, axis=0)), dtype=np.float64)
    squares = [to_numpy(real_part(xp.vecdot(part, part, axis=-2))) for part in (array[r, :] for r in row_chunks(array))]
    return np.asarray(np.sqrt(np.sum(squares, axis=0, dtype=np.float64)))


def _row_lengths(array: Array) -> np.ndarray:
    if type(array) is np.ndarray:
        return np.asarray(np.sqrt(np.vecdot(array, array).real.astype(np.float64)))
    return to_numpy(namespace(array=array).linalg.vector_norm(array, axis=1)).real.astype(np.float64)


def norm(array: Array) -> float:
    """Frobenius norm of a matrix at any scale: its squares neither overflow nor vanish."""
    scaled = working(array)
    return scale_back(frobenius(scaled.array), scaled.exponent, toward=0.0)


def residual_norm(
    array: Array, left: Array, right: Array, eps: float, room: float = 1.0, size: float | None = None
) -> float:
    """Frobenius norm of ``array - left @ right``, rounded upwards; `eps` is that of `Working`.

    `size` is the norm of `array`, where that is known.

    The allowance covers the worst case of every multiplication and sum, in any order of summation
    (N. J. Higham, Accuracy and Stability of Numerical Algorithms, section 3.5): entry by entry the product is off by at
    most k unit roundoffs of ``abs(left) @ abs(right)``, whose norm is at most the sum over the k rank-one terms. So
    many allowances as `room` says are added.
    """
    parts, most = row_chunks(array), sum(array.shape)
    # products so small are not worth a second thread, which other programs on its core would make all wait for
    alone = one_thread() if len(parts) > 1 else contextlib.nullcontext()
    with np.errstate(over="ignore", invalid="ignore"), alone:
        chunks = (_less(left[rows, :] @ right, array[rows, :]) for rows in parts)
        computed = _norm_of_chunks(chunks, most) if len(parts) > 1 else _plain_norm(next(chunks), most)
    return with_rounding(computed, frobenius(array) if size is None else size, left, right, eps, room)


def with_rounding(computed: float, norm: float, left: Array, right: Array, eps: float, room: float) -> float:
    """Add the allowance of `residual_norm` to a computed residual of a matrix of that norm."""
    unit, size = eps / 2, left.shape[0] + right.shape[1]
    rounding = (left.shape[1] + 4) * unit * (sum_of_terms(left, right) + norm)
    value = (computed + room * rounding) * (1.0 + 2 * room * size * unit)
    if not math.isfinite(value):
        raise RangeError("the product of the factors is beyond the range of float64; scale the input down first")
    return float(value)


ORDINARY = 2.0**400  # lengths between its reciprocal and itself can be squared and multiplied


def sum_of_terms(left: Array, right: Array) -> float:
    """Sum of the norms of the rank-one terms of ``left @ right``, also where their factors differ beyond all range."""
    xp = namespace(left=left, right=right)
    with np.errstate(over="ignore"):
        columns, rows = _column_lengths(left), _row_lengths(right)
    lengths = np.concatenate([columns, rows])
    if lengths.min(initial=1.0) > 1.0 / ORDINARY and lengths.max(initial=1.0) < ORDINARY:
        return float(columns @ rows)
    plain = np.all([(part > 1.0 / ORDINARY) & (part < ORDINARY) for part in (columns, rows)], axis=0)
    total = float(columns[plain] @ rows[plain])
    odd = like_array(np.flatnonzero(~plain), left)
    _, shifts, sizes = scaled_columns(xp.take(left, odd, axis=1))
    _, more, others = scaled_columns(xp.matrix_transpose(xp.take(right, odd, axis=0)))
    with np.errstate(over="ignore"):
        return total + float(np.sum(np.ldexp(sizes * others, shifts + more)))


def scaled_columns(array: Array) -> tuple[Array, np.ndarray, np.ndarray]:
    """Scale every column by a power of two of its own; return the exponents and the lengths as scaled."""
    xp = namespace(array=array)
    parts = [xp.real(array), xp.imag(array)] if is_complex(array) else [array]
    largest = np.max([to_numpy(xp.max(xp.abs(part), axis=0)) for part in parts], axis=0)
    exponents = np.frexp(largest)[1].astype(np.int64)
    for part in (-exponents // 2, -exponents - (-exponents // 2)):  # the whole power may be out of range
        array = array * as_row(np.ldexp(1.0, part), array)
    return array, exponents, np.asarray(to_numpy(xp.linalg.vector_norm(array, axis=0)).real)


def as_row(values: np.ndarray, like: Array) -> Array:
    """Return factors for the columns of `like`, in its library and precision."""
    moved = like_array(values, like)
    return namespace(moved=moved).astype(moved, like.dtype)[None, :]


def reduced_qr(array: Array) -> tuple[Array, Array]:
    """QR decomposition with at most as many columns of Q as `array` has; of chunks Q stays where they are."""
    Q, R = settled(*namespace(array=array).linalg.qr(array, mode="reduced"))
    return Q, at_hand(R)


def orthonormal_basis(array: Array) -> Array:
    """Orthonormal basis of a space that contains the columns of `array`, by Householder QR (safe at any condition)."""
    return reduced_qr(array)[0]


TALL, SLIM = 20, 200  # rows for each column, and columns, from and up to which a thin SVD goes through Gram matrices
CONDITION = 1e5  # of columns scaled to length 1, above which that would lose too many digits


def thin_svd(array: Array) -> tuple[Array, Array, Array]:
    """Singular value decomposition of a matrix with at least as many rows as columns, by the QR decomposition.

    That of a tall one is by Cholesky decompositions of Gram matrices, which are products alone: one where its columns,
    scaled to length 1, are nearly orthogonal, else two; U is orthonormal to rounding, as LAPACK's (Y. Yamamoto and
    others, "Roundoff error analysis of the CholeskyQR2 algorithm", ETNA 44 (2015)).
    """
    columns = array.shape[1]
    left, whole = array, np.eye(columns)
    for most in (CONDITION, 1.0 + columns) if array.shape[0] >= TALL * columns and columns <= SLIM else ():
        gram = to_numpy(adjoint(left) @ left)
        lengths = np.sqrt(np.diagonal(gram).real)
        try:
            if not (lengths.min(initial=1.0) > 0.0 and np.all(np.isfinite(lengths))):
                raise np.linalg.LinAlgError
            triangle = np.linalg.cholesky(gram / np.outer(lengths, lengths)).conj().T
            inverse = np.linalg.inv(triangle)
        except np.linalg.LinAlgError:
            break
        condition = float(np.linalg.norm(inverse) * np.linalg.norm(triangle))
        if not condition <= most:
            break
        whole = (triangle * lengths) @ whole
        step = like_array((inverse / lengths[:, None]).astype(gram.dtype), array)
        if condition <= 1.0 + columns:
            small = like_array(whole.astype(gram.dtype), array)
            u, s, wh = namespace(small=small).linalg.svd(small, full_matrices=False)
            return left @ (step @ u), s, wh
        left = left @ step
    Q, R = reduced_qr(array)
    u, s, wh = namespace(R=R).linalg.svd(R, full_matrices=False)
    return Q @ u, s, wh


def pivoted_qr(array: Array) -> tuple[np.ndarray, np.ndarray]:
    """Column-pivoted QR on the host: the pivots and the triangular factor as NumPy arrays (LAPACK geqp3).

    The standard has no pivoted QR and neither have the GPU libraries, so callers hand in a small sketch.
    """
    triangle, pivots = scipy.linalg.qr(to_numpy(array), mode="r", pivoting=True, check_finite=False)
    return pivots.astype(np.int64), triangle


def short_runs(rows: int) -> list[slice]:
    """Cut rows into runs of `PIECE`."""
    return [slice(start, min(start + PIECE, rows)) for start in range(0, rows, PIECE)]


def gram(array: Array) -> Array:
    """Multiply a matrix by its own adjoint, piece by piece: so no sum is longer than `longest_sum` says."""
    parts = (array[piece, :] for piece in short_runs(array.shape[0]))
    return sum((adjoint(part) @ part for part in parts), start=0.0)


def longest_sum(*rows: int) -> int:
    """Terms one after the other in an entry of the sum of Gram matrices of blocks of so many rows.

    The squares of `frobenius` are added up in sums of at most 16 times that. It is at least that of all rows in one
    block: what is claimed of a matrix in blocks holds for it in memory.
    """
    least = -(-sum(rows) // PIECE)
    return min(sum(rows), PIECE) + max(least, sum(-(-count // PIECE) for count in rows))


def subtract_outer(array: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ``array - outer(x, y)`` in the memory of `array`, which must be in Fortran order (BLAS ger)."""
    if array.size == 0:
        return array
    (update,) = scipy.linalg.get_blas_funcs(("geru" if np.iscomplexobj(array) else "ger",), (array,))
    return np.asarray(update(-1.0, x, y, a=array, overwrite_a=1))


def less_diagonal(matrix: np.ndarray, diagonal: np.ndarray | float) -> np.ndarray:
    """Take a diagonal off a matrix, in place: one made of it would be as large."""
    matrix[np.diag_indices_from(matrix)] -= diagonal
    return matrix


def gaussian(rng: np.random.Generator, shape: tuple[int, ...], like: Array) -> Array:
    """Draw a standard Gaussian array in the library, device and dtype of `like`; same seed, same numbers."""
    xp = namespace(like=like)
    values = rng.standard_normal(shape)
    if xp.isdtype(like.dtype, "complex floating"):
        values = (values + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)
    return xp.astype(like_array(values, like), like.dtype)


def transposed(matrix: np.ndarray) -> np.ndarray:
    """Return the transpose of a host matrix, contiguous: strip by strip, which takes a quarter of NumPy's time."""
    turned = np.empty(matrix.shape[::-1], dtype=matrix.dtype)
    rows = max(16, STRIP // max(1, matrix[:1].nbytes))
    for start in range(0, matrix.shape[0], rows):
        turned[:, start : start + rows] = matrix[start : start + rows].T
    return turned
