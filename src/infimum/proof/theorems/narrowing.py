"""Removing inputs of a linear layer: how well W is replaced by a matrix that sees only some of its inputs.

Let C and G be symmetric and semidefinite, ``C >= L L'`` with L lower triangular, ``G >= R' R``, and ``Y = R W L``.
Every W' of rank at most r that uses the first k inputs alone has ``tr(G (W - W') C (W - W')')`` at least the squared
norm of the columns of Y from k on, plus all but the r largest squared singular values of the columns before.
Statement and proof: docs/theorems/narrowing.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from infimum.proof.theorems.weighted_tail import EPS, SOLVER


@dataclass(frozen=True)
class Narrowing:
    """``Y = R W L`` as computed, L, and the most that rounding moves any of the bounds."""

    Y: np.ndarray
    L: np.ndarray
    allowance: float

    @classmethod
    def of(cls, W: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> Narrowing:
        """Prepare a weight whose inputs are in the order in which they are kept (G None: the identity matrix)."""
        (m, n), L = W.shape, lower_root(C)
        R = None if G is None else lower_root(G).T
        Y = (W if R is None else R @ W) @ L
        norm = float(np.linalg.norm(Y))
        # Entry by entry the products are off by at most m + n unit roundoffs of |R| |W| |L|. The root of each bound is
        # a distance from Y: it moves by at most the norm of that, and the bound by twice the norm of Y times it.
        entering = (1.0 if R is None else float(np.linalg.norm(R))) * float(np.linalg.norm(W) * np.linalg.norm(L))
        product = (m + n + 2) * EPS * entering
        # sums of the eigenvalues of Y Y' move by at most the nuclear norm of the rounding of that product
        gram = (m + n) * min(m, n) ** 0.5 * EPS * norm**2
        return cls(Y, L, product * (2.0 * norm + product) + gram)

    def errors(self) -> np.ndarray:
        """Lower bounds on the error of keeping the first 0, 1, ..., n inputs, at any rank."""
        squares = np.sum(self.Y**2, axis=0)
        return np.maximum(np.append(np.cumsum(squares[::-1])[::-1], 0.0) - self.allowance, 0.0)

    def tails(self, width: int) -> np.ndarray:
        """Lower bounds on what a rank of 0, 1, ..., min(m, width) adds to the error of the first `width` inputs."""
        Y = self.Y[:, :width]
        return _tails(Y @ Y.T if Y.shape[0] <= width else Y.T @ Y, self.allowance)

    def repaired(self, W: np.ndarray, width: int) -> np.ndarray:
        """Return the best matrix of full rank for the first `width` inputs: the prediction of ``W x`` from them."""
        L = self.L[:, :width]
        if not L.any():
            return W[:, :width]
        solve = scipy.linalg.solve_triangular
        return np.asarray(solve(L[:width], (W @ L).T, lower=True, trans="T", check_finite=False).T)


def row_tails(W: np.ndarray, C: np.ndarray, G: np.ndarray | None, widths: Sequence[int]) -> list[np.ndarray]:
    """Lower bounds on the error of rank 0, 1, ... for the first k rows of W alone, for every k of `widths`, increasing.

    They are weighted tails: sums of eigenvalues of ``L' M L`` with ``M = W' G W`` and ``C >= L L'``, or of the same
    with the roles of C and G exchanged, whichever is smaller. M grows with k, so it is not formed anew.
    """
    m, n = W.shape
    roots = lower_root(C), np.eye(m) if G is None else lower_root(G)
    outputs, grown = W @ C @ W.T, np.zeros((n, n))
    found: list[np.ndarray] = []
    norms = float(np.linalg.norm(W)) ** 2 * float(np.linalg.norm(C)) * (1.0 if G is None else float(np.linalg.norm(G)))
    for start, k in itertools.pairwise((0, *widths)):
        old, new = W[:start], W[start:k]
        if G is None:
            grown += new.T @ new
        else:
            cross = (old.T @ G[:start, start:k]) @ new
            grown += cross + cross.T + (new.T @ G[start:k, start:k]) @ new
        M, L = (outputs[:k, :k], roots[1][:k, :k]) if k <= n else (grown, roots[0])
        K = L.T @ M @ L
        # what M is off by counts at most the largest eigenvalue of C or G; the products with L add rounding of theirs
        products = 2.0 * len(K) * float(np.linalg.norm(L)) ** 2 * float(np.linalg.norm(M))
        found.append(_tails(K, len(K) ** 0.5 * EPS * (2.0 * (m + n + len(found)) * norms + products)))
    return found


def _tails(K: np.ndarray, allowance: float) -> np.ndarray:
    """Add up all but the r largest eigenvalues of K, for r = 0, 1, ..., less an allowance and that of the solver."""
    p = len(K)
    solver = (SOLVER * p + 2.0 * p) * p**0.5 * EPS * float(np.linalg.norm(K))
    values = np.maximum(scipy.linalg.eigvalsh((K + K.T) / 2, check_finite=False), 0.0)
    return np.asarray(np.maximum(np.append(np.cumsum(values)[::-1], 0.0) - allowance - solver, 0.0))


def lower_root(C: np.ndarray) -> np.ndarray:
    """Return a lower triangular L with ``L L' <= C`` in the order of symmetric matrices.

    The computed Cholesky factor of ``C - shift I`` is exact for a matrix that differs by at most
    ``(n + 1) * eps / 2 * trace``, less than the shift. What `weighted_tail.semidefinite` returns has a factor at the
    first try, whatever the order of its rows; where no shift below the trace gives one, 0 is returned.
    """
    trace = float(np.trace(C))
    shift = (C.shape[0] + 1) * EPS * trace
    while shift < trace:
        try:
            return np.asarray(scipy.linalg.cholesky(C - shift * np.eye(C.shape[0]), lower=True, check_finite=False))
        except np.linalg.LinAlgError:
            shift *= 4.0
    return np.zeros_like(C)
