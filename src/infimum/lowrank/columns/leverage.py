"""Columns by the leading right singular vectors: leverage, DEIM and Q-DEIM, adaptive pivoting, Osinsky.

All look at the rows of V, n x k: row j says how column j of M takes part in the k leading directions.
"""

from __future__ import annotations

import numpy as np

from infimum._linalg import pivoted_qr, subtract_outer
from infimum._threads import one_thread
from infimum.lowrank.columns.reduction import Reduction
from infimum.lowrank.columns.sampling import draw, energy, largest_scores

WIDE = 2  # columns for each row from which the Gram matrix of the rows is decomposed in place of the matrix
RESOLVED = 1e-8  # squared singular values, relative to the largest, that it tells well enough for a choice


def by_leverage(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the columns of largest leverage: squared row norms of V (Jolliffe 1972; Papailiopoulos et al. 2014)."""
    return largest_scores(_scores(M, count), count)


def by_leverage_sampling(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw columns with probabilities proportional to their leverage (Drineas, Mahoney, Muthukrishnan 2008)."""
    return draw(_scores(M, count), count, rng)


def by_ridge_leverage(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the largest ridge leverage ``m* (M M* + t I)^-1 m``, t the squared tail over k (Cohen et al. 2017)."""
    s, Vh = _spectrum(M, count)
    ridge = (np.sum(s[count:] ** 2) + np.sum(M.outside)) / count
    if ridge == 0.0:
        return largest_scores(_scores(M, count), count)
    share = s**2 / (s**2 + ridge)
    return largest_scores(share @ np.abs(Vh) ** 2 + M.outside / ridge, count)


def by_deim(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the largest entry of what interpolation leaves of each singular vector (Sorensen, Embree 2016)."""
    V = right_vectors(M, count).conj().T
    chosen = [int(np.argmax(np.abs(V[:, 0])))]
    for k in range(1, count):
        coefficients = np.linalg.lstsq(V[chosen, :k], V[chosen, k])[0]
        left = np.abs(V[:, k] - V[:, :k] @ coefficients)
        left[chosen] = -1.0
        chosen.append(int(np.argmax(left)))
    return np.asarray(chosen)


def by_qdeim(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pivoted QR of the leading singular vectors (Q-DEIM, Drmač and Gugercin 2016)."""
    return pivoted_qr(right_vectors(M, count))[0][:count]


def by_adaptive_pivoting(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw by leverage, take the drawn direction out of V, and so on (Cortinovis and Kressner, arXiv:2412.13992)."""
    V = np.asfortranarray(right_vectors(M, count))
    chosen: list[int] = []
    with one_thread():
        for _ in range(count):
            j = int(draw(np.linalg.norm(V, axis=0) ** 2, 1, rng, but=chosen)[0])
            chosen.append(j)
            V = _without(V, j)
    return np.asarray(chosen)


def by_osinsky(M: Reduction, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take the column with the least residual per leverage (Osinsky, arXiv:2308.09068).

    With ``M = Z V* + E``, E orthogonal to V, taking column j into the approximation in place of its direction in V adds
    ``norm(e_j)**2 / norm(v_j)**2`` to the squared error. The least of these ratios is at most their mean with weights
    ``norm(v_j)**2``, the squared error over what is left of k: the product of all steps is k + 1 at most.
    """
    s, Vh = _spectrum(M, count)
    V, E = np.asfortranarray(Vh[:count]), np.asfortranarray(s[count:, None] * Vh[count:])
    order = _least_ratios(V, E, M, rounding=(np.finfo(float).eps * s[0]) ** 2)
    if order.size == count:
        return order
    others = energy(M)  # fewer than `count` independent columns
    others[order] = others[M.free :] = -1.0
    return np.append(order, largest_scores(others, count - order.size))


@one_thread()
def _least_ratios(V: np.ndarray, E: np.ndarray, M: Reduction, rounding: float) -> np.ndarray:
    """Take the columns of `by_osinsky` while one has more leverage than rounding leaves.

    Of columns that lose less than `rounding`, the one of most leverage is taken.
    """
    count, outside = V.shape[0], M.outside
    leverage, missing = np.linalg.norm(V, axis=0) ** 2, np.linalg.norm(E, axis=0) ** 2 + outside
    # what the steps subtract from V and E is kept as factors: columns are formed when they are looked at
    Q = np.zeros((count, count), dtype=V.dtype, order="F")
    U, W = np.zeros((E.shape[0], count), dtype=E.dtype, order="F"), np.zeros((count, E.shape[1]), dtype=E.dtype)
    taken = np.arange(missing.size) >= M.free
    chosen: list[int] = []
    for step in range(count):
        useful = ~taken & (leverage > 64.0 * np.finfo(float).eps * count)
        if not np.any(useful):
            break
        ratio = np.where(useful, (missing + rounding) / np.where(useful, leverage, 1.0), np.inf)
        j = int(np.argmax(ratio <= (1.0 + 1e-6) * np.min(ratio)))  # the first of those that rounding tells apart
        taken[j] = True
        chosen.append(j)
        direction = _outside(V[:, j], Q[:, :step])
        length = float(np.linalg.norm(direction))
        Q[:, step] = direction / length
        products = Q[:, step].conj() @ V
        weight = products / length  # M[:, i] takes weight[i] times column j
        column = E[:, j] - U[:, :step] @ W[:step, j]
        overlap = column.conj() @ E - (column.conj() @ U[:, :step]) @ W[:step]
        overlap[j] += outside[j]
        # norm(e_i - weight_i e_j)**2
        missing = missing - 2.0 * np.real(weight.conj() * overlap) + np.abs(weight) ** 2 * missing[j]
        missing, leverage = np.maximum(missing, 0.0), leverage - np.abs(products) ** 2
        U[:, step], W[step] = column, weight
    return np.asarray(chosen, dtype=np.int64)


def _outside(column: np.ndarray, Q: np.ndarray) -> np.ndarray:
    for _ in range(2):  # the second pass removes what rounding left of the first
        column = column - Q @ (Q.conj().T @ column)
    return column


def right_vectors(M: Reduction, count: int) -> np.ndarray:
    """Leading right singular vectors, as the `count` rows of ``V*``."""
    return _spectrum(M, count)[1][:count]


def _spectrum(M: Reduction, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return singular values and the rows of ``V*``, of a wide matrix by its Gram matrix if that resolves `count`."""
    rows, columns = M.matrix.shape
    if columns >= WIDE * rows:
        squares, U = np.linalg.eigh(M.matrix @ M.matrix.conj().T)
        if squares[-min(count, rows)] > RESOLVED * squares[-1]:
            image = U[:, ::-1].conj().T @ M.matrix
            lengths = np.linalg.norm(image, axis=1)
            return lengths, image / np.where(lengths > 0.0, lengths, 1.0)[:, None]
    _, s, Vh = np.linalg.svd(M.matrix, full_matrices=False)
    return s, Vh


def _scores(M: Reduction, count: int) -> np.ndarray:
    return np.asarray(np.linalg.norm(right_vectors(M, count), axis=0) ** 2)


def _without(V: np.ndarray, j: int) -> np.ndarray:
    """Take the direction of column j out of all columns; one that is nothing but rounding is left alone."""
    column = V[:, j].copy()
    square = np.linalg.norm(column) ** 2
    if square < np.finfo(float).eps ** 2:
        return V
    return subtract_outer(V, column, column.conj() @ V / square)
