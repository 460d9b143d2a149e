"""Eckart-Young in a weighted norm: how well a matrix of rank r can replace W when errors are weighted on both sides.

For C and G symmetric and positive semidefinite, every W' of rank at most r has ``tr(G (W - W') C (W - W')')`` at least
the sum of all but the r largest eigenvalues of ``H = T C T'``, where ``T' T = W' G W``.
Statement and proof: docs/theorems/weighted_tail.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

from infimum.errors import VerificationError
from infimum.proof.evidence import doubles, number
from infimum.proof.rounding import rounding_allowance

THEOREM = "weighted_tail"
EPS = float(np.finfo(np.float64).eps)


def semidefinite(C: np.ndarray) -> np.ndarray:
    """Return the symmetric part of C plus the multiple of the identity that makes it provably positive semidefinite.

    A moment is semidefinite, but its float64 copy need not be, and then no loss is bounded from below. A completed
    Cholesky factorisation of ``C + shift/2`` proves ``C + shift >= 0`` (S. M. Rump, "Verification of positive
    definiteness", BIT 46 (2006)): its rounding is at most ``(n + 1) * eps / 2 * trace``, less than half the shift.
    What is left of the shift lets `lower_root` prove the same of the returned matrix.
    """
    C = _square("the moment", C, None)
    C = (C + C.T) / 2
    trace = float(np.trace(C))
    if np.any(np.diag(C) < 0.0) or (trace == 0.0 and C.any()):
        raise VerificationError("a moment must not have negative numbers on its diagonal, nor zeros alone")
    shift = 8.0 * (C.shape[0] + 1) * EPS * trace
    while shift > 0.0 and _root(_shifted(C, shift / 2)) is None:
        shift *= 4.0
    return _shifted(C, shift)


def lower_root(C: np.ndarray, name: str = "C") -> np.ndarray:
    """Return a lower triangular L with ``L L' <= C`` in the order of symmetric matrices, which proves ``C >= 0``.

    The computed Cholesky factor of ``C - shift I`` is exact for a matrix that differs by at most
    ``(n + 1) * eps / 2 * trace``, less than the shift. What `semidefinite` returns has a factor, whatever the order of
    its rows; a matrix without one is refused, and of a matrix of zeros the root is zero.
    """
    C = _square(name, C, None)
    trace = float(np.trace(C))
    if not np.array_equal(C, C.T):
        raise VerificationError(f"{name} must be symmetric")
    if not C.any():
        return np.zeros_like(C)
    root = _root(_shifted(C, -(C.shape[0] + 1) * EPS * trace)) if trace > 0.0 else None
    if root is None:
        raise VerificationError(
            f"{name} must be positive semidefinite beyond rounding; weighted_tail.semidefinite makes a moment so"
        )
    return root


def ask(W: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> None:
    """Ask for the hypotheses: W real and finite, C and G of its sizes, symmetric, positive semidefinite by proof."""
    (m, n) = doubles("W", W, (None, None)).shape
    lower_root(_square("C", C, n))
    if G is not None:
        lower_root(_square("G", G, m), "G")


def split(W: np.ndarray, G: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return L and T with ``W = L T`` and ``L' G L`` the identity on the range of T (G None: the identity matrix).

    The smaller side decides the size of T, so that no root of a matrix larger than that is needed. The bound believes
    none of this: it measures how far ``T' T`` is from ``W' G W``.
    """
    m, n = W.shape
    if m <= n:
        if G is None:
            return np.eye(m), W
        values, vectors = scipy.linalg.eigh(G, check_finite=False)
        roots = np.sqrt(np.maximum(values, values[-1] * EPS))
        return (vectors / roots) @ vectors.T, ((vectors * roots) @ vectors.T) @ W
    gram = W.T @ (W if G is None else G @ W)
    values, vectors = scipy.linalg.eigh((gram + gram.T) / 2, check_finite=False)
    # directions of W below rounding are left out of L: W differs from L T there by no more than rounding
    kept = values > n * EPS * max(values[-1], 0.0)
    roots = np.sqrt(values[kept])
    return W @ (vectors[:, kept] / roots), (vectors[:, kept] * roots).T


def allowance(W: np.ndarray, T: np.ndarray, C: np.ndarray, G: np.ndarray | None) -> float:
    """How far the sums of eigenvalues of ``T C T'``, as computed, lie from those of ``C^(1/2) W' G W C^(1/2)``.

    A defect ``T' T - W' G W`` counts at most its norm times the trace of C. The defect is measured, whatever `split`
    did. All other terms are norms of what enters the rounding, not of the outcome, which can be far smaller where the
    factors nearly cancel. The eigensolver's share is not in it: see `tails`.
    """
    ask(W, C, G)
    (m, n), p = W.shape, doubles("T", T, (None, W.shape[1])).shape[0]
    trace, weight = float(np.trace(C)), 1.0 if G is None else float(np.linalg.norm(G))
    squares = float(np.linalg.norm(T)) ** 2
    measured = float(np.linalg.norm(T.T @ T - W.T @ (W if G is None else G @ W)))
    exact = G is None and np.array_equal(T, W)
    defect = 0.0 if exact else measured + EPS * (p * squares + 2 * m * weight * float(np.linalg.norm(W)) ** 2)
    product = 2.0 * n * EPS * squares * float(np.linalg.norm(C)) * p**0.5
    return float(defect * trace + product)


class Tails(NamedTuple):
    """Sums that bound an error from below, as computed, and how far rounding may have moved each of them."""

    sums: np.ndarray
    rounding: float

    def bounds(self, room: float = 1.0) -> np.ndarray:
        """Lower bounds: `room` allowances for rounding less, and not below 0."""
        return np.asarray(np.maximum(self.sums - room * self.rounding, 0.0))


def tails(eigenvalues: np.ndarray, shape: tuple[int, int], allowance: float) -> Tails:
    """Bound the error of every matrix of rank 0, 1, ..., min(m, n) by the eigenvalues of ``T C T'``."""
    (p,) = doubles("eigenvalues", eigenvalues, (None,)).shape
    allowance = number("allowance", allowance, least=0.0)
    if p > min(shape):
        raise VerificationError(f"at most {min(shape)} eigenvalues were expected for shape {shape}, got {p}")
    values = np.zeros(min(shape))
    values[:p] = np.sort(np.maximum(eigenvalues, 0.0))[::-1]
    sums = np.append(np.cumsum(values[::-1])[::-1], 0.0)
    return Tails(sums, allowance + eigenvalue_allowance(eigenvalues))


def eigenvalue_allowance(eigenvalues: np.ndarray) -> float:
    """How far sums of the computed eigenvalues of a symmetric matrix lie from the true ones.

    The solver is backward stable: the computed eigenvalues are those of a matrix that differs by `rounding_allowance`
    in the Frobenius norm, and their sums differ by its nuclear norm, at most sqrt(p) times that. Adding p numbers up
    rounds by p half eps of their sum, at most sqrt(p) times the norm; taken four times.
    """
    p, norm = len(eigenvalues), float(np.linalg.norm(eigenvalues))
    return float(p**0.5 * (rounding_allowance((p, p), EPS, norm) + 2.0 * p * EPS * norm))


def lowered(errors: np.ndarray, distance: float) -> np.ndarray:
    """Lower bounds for matrices near one of the rank: `distance` is the squared distance in the same norm."""
    doubles("errors", errors, (None,) * errors.ndim)
    distance = number("distance", distance, least=0.0)
    if np.any(errors < 0.0):
        raise VerificationError(f"errors must not be negative, got {float(np.min(errors)):g}")
    roots = np.sqrt(errors)
    rounding = 4.0 * EPS * (roots + distance**0.5)
    return np.asarray(np.maximum(roots - distance**0.5 - rounding, 0.0) ** 2 * (1.0 - EPS))


def error(
    W: np.ndarray, left: np.ndarray, right: np.ndarray, C: np.ndarray, G: np.ndarray | None, *, room: float = 1.0
) -> float:
    """``tr(G (W - left right) C (W - left right)')``, rounded upwards by `room` allowances."""
    ask(W, C, G)
    (rank, _) = doubles("right", right, (None, W.shape[1])).shape
    doubles("left", left, (W.shape[0], rank))
    difference = W - left @ right
    weighted = difference @ C
    computed = float(np.sum((weighted if G is None else G @ weighted) * difference))
    # rounding in the difference itself, entry by entry at most (rank + 4) unit roundoffs of |left||right| + |W|,
    # counts in the weighted norm by at most the largest eigenvalues of C and G, which their traces exceed
    size = float(np.sum(np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=1)) + np.linalg.norm(W))
    weight = float(np.trace(C)) * (1.0 if G is None else float(np.trace(G)))
    rounding = (rank + 4) * EPS / 2 * size * weight**0.5
    # the products and their sum are off by at most m + n unit roundoffs of |G| |D| |C| times |D|, added up
    norms = float(np.linalg.norm(C)) * (1.0 if G is None else float(np.linalg.norm(G)))
    own = sum(W.shape) * EPS * float(np.sum(difference**2)) * norms
    return float((max(computed + room * own, 0.0) ** 0.5 + room * rounding) ** 2)


def _square(name: str, item: np.ndarray, size: int | None) -> np.ndarray:
    checked = doubles(name, item, (size, size))
    if checked.shape[0] != checked.shape[1]:
        raise VerificationError(f"{name} must be square, got shape {checked.shape}")
    return checked


def _shifted(C: np.ndarray, shift: float) -> np.ndarray:
    return np.asarray(C + shift * np.eye(C.shape[0]))


def _root(C: np.ndarray) -> np.ndarray | None:
    """Lower Cholesky factor; None where the factorisation does not complete."""
    try:
        return np.asarray(scipy.linalg.cholesky(C, lower=True, check_finite=False))
    except np.linalg.LinAlgError:
        return None
