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

from infimum.errors import VerificationError
from infimum.proof.evidence import whole
from infimum.proof.theorems.weighted_tail import EPS, Tails, ask, eigenvalue_allowance, lower_root

THEOREM = "narrowing"


@dataclass(frozen=True)
class Narrowing:
    """``Y = R W L`` as computed, L, and the most that rounding moves any of the bounds."""

    Y: np.ndarray
    L: np.ndarray
    allowance: float

    @classmethod
    def of(cls, W: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> Narrowing:
        """Prepare a weight whose inputs are in the order in which they are kept (G None: the identity matrix)."""
        ask(W, C, G)
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

    def errors(self) -> Tails:
        """Bound the error of keeping the first 0, 1, ..., n inputs, at any rank."""
        squares = np.sum(self.Y**2, axis=0)
        return Tails(np.append(np.cumsum(squares[::-1])[::-1], 0.0), self.allowance)

    def tails(self, width: int) -> Tails:
        """Bound what a rank of 0, 1, ..., min(m, width) adds to the error of the first `width` inputs."""
        Y = self.Y[:, : whole("width", width, least=1, most=self.Y.shape[1])]
        return _tails(Y @ Y.T if Y.shape[0] <= width else Y.T @ Y, self.allowance)

    def repaired(self, W: np.ndarray, width: int) -> np.ndarray:
        """Return the best matrix of full rank for the first `width` inputs: the prediction of ``W x`` from them."""
        L = self.L[:, :width]
        if not L.any():
            return W[:, :width]
        solve = scipy.linalg.solve_triangular
        return np.asarray(solve(L[:width], (W @ L).T, lower=True, trans="T", check_finite=False).T)


def row_tails(W: np.ndarray, C: np.ndarray, G: np.ndarray | None, widths: Sequence[int]) -> list[Tails]:
    """Bound the error of rank 0, 1, ... for the first k rows of W alone, for every k of `widths`, increasing.

    They are weighted tails: sums of eigenvalues of ``L' M L`` with ``M = W' G W`` and ``C >= L L'``, or of the same
    with the roles of C and G exchanged, whichever is smaller. M grows with k, so it is not formed anew.
    """
    ask(W, C, G)
    m, n = W.shape
    asked = [whole("a width", k, least=1, most=m) for k in widths]
    if asked != sorted(set(asked)):
        raise VerificationError(f"widths must increase, got {asked}")
    roots = lower_root(C), np.eye(m) if G is None else lower_root(G)
    outputs, grown = W @ C @ W.T, np.zeros((n, n))
    found: list[Tails] = []
    norms = float(np.linalg.norm(W)) ** 2 * float(np.linalg.norm(C)) * (1.0 if G is None else float(np.linalg.norm(G)))
    for start, k in itertools.pairwise((0, *asked)):
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


def _tails(K: np.ndarray, allowance: float) -> Tails:
    """Add up all but the r largest eigenvalues of K, for r = 0, 1, ...; the eigensolver's share joins the allowance."""
    values = scipy.linalg.eigvalsh((K + K.T) / 2, check_finite=False)
    sums = np.append(np.cumsum(np.maximum(values, 0.0))[::-1], 0.0)
    return Tails(sums, allowance + eigenvalue_allowance(values))
