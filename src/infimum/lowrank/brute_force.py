"""Slow and obviously right optima for tiny inputs: what the contract suite, or a doubting user, compares with."""

from __future__ import annotations

import itertools
import math

import numpy as np
import scipy.optimize

from infimum._arrays import Array, to_numpy
from infimum._linalg import norm


def best_matrix(M: Array, rank: int) -> float:
    """Least Frobenius error of any matrix of the given rank, from LAPACK's singular values."""
    return float(np.linalg.norm(np.linalg.svd(to_numpy(M), compute_uv=False)[rank:]))


def best_columns(M: Array, count: int) -> float:
    """Least Frobenius error over all choices of `count` columns, by trying every one."""
    M = to_numpy(M)
    return min(_projection_error(M, list(chosen)) for chosen in itertools.combinations(range(M.shape[1]), count))


def _projection_error(M: np.ndarray, chosen: list[int]) -> float:
    return float(np.linalg.norm(M - M[:, chosen] @ np.linalg.lstsq(M[:, chosen], M)[0]))


def best_landmarks(K: Array, count: int) -> float:
    """Least trace norm of the error of a Nystrom approximation over all choices of `count` landmarks."""
    K = to_numpy(K)
    choices = itertools.combinations(range(K.shape[0]), count)
    return min(_nystrom_error(K, list(chosen)) for chosen in choices)


def _nystrom_error(K: np.ndarray, chosen: list[int]) -> float:
    size = float(np.max(np.abs(K))) or 1.0
    scaled = K / size
    inverse = np.linalg.pinv(scaled[np.ix_(chosen, chosen)], hermitian=True)
    residual = scaled - scaled[:, chosen] @ inverse @ scaled[chosen, :]
    return size * float(np.sum(np.abs(np.linalg.eigvalsh((residual + residual.conj().T) / 2))))


def best_terms(X: Array, Y: Array, count: int) -> float:
    """Least Frobenius loss over all choices of `count` terms of a product, by trying every one."""
    X, Y = to_numpy(X), to_numpy(Y)
    size = X.shape[1]
    dropped = (list(drop) for drop in itertools.combinations(range(size), size - count))
    return min(norm(X[:, drop] @ Y[drop, :]) for drop in dropped)


def best_rows_and_columns(M: Array, rows: int, columns: int) -> float:
    """Least Frobenius error over all choices of rows and columns, each with its best core."""
    M = to_numpy(M)
    spaces = [
        [_projector(array[:, list(chosen)]) for chosen in itertools.combinations(range(array.shape[1]), count)]
        for array, count in ((M, columns), (M.conj().T, rows))
    ]
    return min(norm(M - left @ M @ right) for left in spaces[0] for right in spaces[1])


def _projector(columns: np.ndarray) -> np.ndarray:
    return np.asarray(columns @ np.linalg.pinv(columns))


def nearest_to_identity(A: Array, radius: float) -> float:
    """Least ``norm(A @ B - I)`` over all B with ``norm(B) <= radius``: the Tikhonov solution of exactly that length."""
    A = to_numpy(A)
    s = np.linalg.svd(A, compute_uv=False)
    beyond = A.shape[0] - s.size

    def length(mu: float) -> float:
        return float(np.linalg.norm(s / (s**2 + mu)))

    def loss(mu: float) -> float:
        return float(np.sqrt(beyond + np.sum((mu / (s**2 + mu)) ** 2)))

    if s[0] == 0.0:
        return float(np.sqrt(A.shape[0]))
    s, radius = s / s[0], radius * float(s[0])
    smallest = 1e-40
    if length(smallest) <= radius:
        return loss(smallest)
    root = scipy.optimize.brentq(lambda log_mu: length(np.exp(log_mu)) - radius, np.log(smallest), 100.0, xtol=1e-14)
    return loss(np.exp(root))


def best_solution(A: Array, B: Array, ridge: float, radius: float) -> float:
    """Least ``sqrt(norm(A @ X - B)**2 + ridge * norm(X)**2)`` over all X; without a ridge, over those in the ball."""
    A, B = to_numpy(A), to_numpy(B)
    size, target = (float(np.max(np.abs(array))) or 1.0 for array in (A, B))
    U, s, _ = np.linalg.svd(A / size)
    energies = np.sum(np.abs(U.conj().T @ (B / target)) ** 2, axis=1)
    s = np.concatenate([s, np.zeros(A.shape[0] - s.size)])

    def length(mu: float) -> float:
        return float(np.sqrt(np.sum((s / np.where(s > 0.0, s**2 + mu, 1.0)) ** 2 * energies)))

    def loss(mu: float) -> float:
        left = np.where(s > 0.0, mu / np.where(s > 0.0, s**2 + mu, 1.0), 1.0)
        return target * float(np.sqrt(np.sum(left**2 * energies)))

    if ridge > 0.0:
        weight = ridge / size / size
        return math.hypot(loss(weight), target * weight**0.5 * length(weight))
    radius = radius / target * size
    low, high = 1e-40, 1e40
    if length(low) <= radius:
        return loss(low)
    for _ in range(300):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if length(middle) > radius else (low, middle)
    return loss(high)
