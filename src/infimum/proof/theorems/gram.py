"""Gram: a lower bound on what is lost by dropping terms of a product, from the Gram matrix of the terms.

With ``G_ij = <x_i y_i, x_j y_j>`` the squared loss is ``g* G g``, g the 0/1 vector of the dropped terms. For every
diagonal D with G - D positive semidefinite it equals the convex ``f(g) = g* (G - D) g + d* g`` on 0/1 vectors, and lies
above any tangent of f. Statement and proof: docs/theorems/gram.md.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import NamedTuple

import numpy as np
import scipy.linalg

from infimum._arrays import to_numpy
from infimum._linalg import adjoint, less_diagonal
from infimum.errors import VerificationError
from infimum.proof import evidence
from infimum.proof.operators.product import Terms

THEOREM = "gram"
NODES = 20_000  # partial choices that the tree bounds before it gives up
NEGLIGIBLE = 1e-140  # terms so much shorter than the longest count as 0 in the bound: their squares would underflow
STEPS = 30  # of the search for a tangent point at each node of the tree


class Gram(NamedTuple):
    """Gram matrix of the terms, units of ``4**exponent``; entry ij is off by at most ``error * norms_i * norms_j``."""

    matrix: np.ndarray
    norms: np.ndarray
    error: float

    @property
    def unit(self) -> np.ndarray:
        """Real part with every term scaled to norm 1; a term that vanished stands alone."""
        present = self.norms > 0.0
        safe = np.where(present, self.norms, 1.0)
        scaled = np.outer(safe, safe)
        np.divide(self.matrix.real, scaled, out=scaled)
        return less_diagonal(scaled, np.where(present, 0.0, -1.0))

    @property
    def allowance(self) -> float:
        """How far any quadratic form with coefficients in [0, 1], and its tangents, are off through rounding."""
        size = len(self.norms)
        unit = np.finfo(float).eps
        return float(16.0 * (self.error + (2 * size + 16) * unit) * np.sum(self.norms) ** 2)


def gram(parts: Terms) -> Gram:
    """Form the Gram matrix of the terms from those of the factors: the terms themselves are n m long."""
    left = to_numpy(adjoint(parts.left) @ parts.left)
    right = to_numpy(parts.right @ adjoint(parts.right))
    present = parts.norms > NEGLIGIBLE
    sizes = np.where(present, np.ldexp(1.0, parts.shift), 0.0)
    rows = parts.left.shape[0] + parts.right.shape[1]
    matrix = left * right.T
    for factor in (sizes[:, None], sizes[None, :]):
        matrix *= factor
    return Gram(matrix, np.where(present, parts.norms, 0.0), (rows + 4) * parts.eps)


class Relaxation:
    """``f(g) = g* (G - D) g + d* g``, convex, and equal to the squared loss at 0/1 vectors.

    ``d_i = diagonal_i * norms_i**2``, lowered until a Cholesky decomposition shows that G - D is positive semidefinite.
    """

    def __init__(self, G: Gram, diagonal: np.ndarray, room: float = 1.0) -> None:
        size = len(G.norms)
        diagonal = limited("the diagonal", diagonal, size, least=-1.0)
        self.d = admissible(G.unit, G.error, diagonal, room) * G.norms**2
        self.H = less_diagonal(G.matrix.real.copy(), self.d)
        self.G, self.allowance = G, room * G.allowance

    def tangent(self, point: np.ndarray) -> np.ndarray:
        """Gradient of f."""
        return np.asarray(2.0 * (self.H @ point) + self.d)

    def bound(self, point: np.ndarray, dropped: int) -> float:
        """Least value of the tangent at `point` over all 0/1 vectors with so many ones, in norm, less rounding."""
        point = limited("the point", point, len(self.d), least=0.0)
        dropped = evidence.whole("the number of dropped terms", dropped, least=0, most=len(self.d))
        gradient = self.tangent(point)
        least = float(np.sum(np.sort(gradient)[:dropped]) - point @ (self.H @ point))
        return math.sqrt(max(0.0, least - self.allowance))


def optimum_bound(
    relaxation: Relaxation, kept: int, nodes: int, at_most: float, enough: float = math.inf
) -> tuple[float, np.ndarray | None]:
    """Bound every choice of `kept` terms by a tree that decides term by term, best first; also the best choice met.

    At a node some terms are dropped and some kept; a tangent of f with the others free bounds all choices below it.
    The tree ends after so many `nodes`, or when the bound is `enough`. Some choice loses `at_most` so much.
    """
    G, size = relaxation.G, len(relaxation.d)
    kept = evidence.whole("the number of kept terms", kept, least=0, most=size)
    nodes = evidence.whole("nodes", nodes, least=0, most=2 * NODES)
    tie = itertools.count()
    start = np.full(size, (size - kept) / size)
    bound, point = _node(relaxation, start, np.zeros(size), np.ones(size), size - kept)
    heap = [(bound, next(tie), np.zeros(size), np.ones(size), point)]
    reached, best = at_most, None
    while heap and heap[0][0] < min(reached, enough) and nodes > 0:
        _, _, low, high, point = heapq.heappop(heap)
        free = np.flatnonzero(low != high)
        pick = free[np.argmin(np.abs(point[free] - 0.5))]
        for value in (0.0, 1.0):
            nodes -= 1
            lower, upper = low.copy(), high.copy()
            lower[pick] = upper[pick] = value
            missing = size - kept - int(np.sum(lower))
            open_ = int(np.sum(upper - lower))
            if not 0 <= missing <= open_:
                continue
            if missing in (0, open_):
                g = lower if missing == 0 else upper
                loss = math.sqrt(max(0.0, float(g @ (G.matrix.real @ g)) - relaxation.allowance))
                if loss < reached:
                    reached, best = loss, g
                continue
            bound, inside = _node(relaxation, point, lower, upper, size - kept)
            if bound < reached:
                heapq.heappush(heap, (bound, next(tie), lower, upper, inside))
    return (min(reached, heap[0][0]) if heap else reached), best


def admissible(unit: np.ndarray, error: float, diagonal: np.ndarray, room: float) -> np.ndarray:
    """Lower a diagonal until `unit` less it is positive semidefinite; `unit` has a diagonal of ones, off by `error`.

    The decomposition of A succeeds only if A + dA is positive semidefinite with norm(dA) at most
    ``(size + 2) * eps * trace(A)`` (Rump 2006), and no entry on the diagonal of A is above 2. The norm of `unit` is off
    by `size` times `error`. Complex products round twice as often, each by up to twice as much.
    """
    size = len(diagonal)
    slack = size * error + 2.0 * (size + 2) * np.finfo(float).eps * size * (4.0 if np.iscomplexobj(unit) else 1.0)
    shift = 0.0
    for attempt in range(60):
        # with more room than one it must succeed so far inside that it will succeed on every machine
        if definite(less_diagonal(unit.copy(), diagonal - shift + (room - 1.0) * slack)):
            return np.asarray(diagonal - shift - room * slack)
        shift = slack * 4.0**attempt
    raise VerificationError("no multiple of the diagonal makes the Gram matrix of the terms semidefinite")


def definite(matrix: np.ndarray) -> bool:
    """Tell whether the Cholesky decomposition of a symmetric matrix succeeds; it is overwritten."""
    (potrf,) = scipy.linalg.get_lapack_funcs(("potrf",), (matrix,))
    # the columns of the transpose lie in memory one after the other, as LAPACK wants them: nothing is copied
    return bool(potrf(matrix.T, lower=1, clean=0, overwrite_a=1)[1] == 0)


def limited(name: str, vector: np.ndarray, size: int, least: float) -> np.ndarray:
    """Return a vector of so many numbers from `least` to 1."""
    if not (isinstance(vector, np.ndarray) and vector.dtype == np.float64 and vector.shape == (size,)):
        vector = np.asarray(to_numpy(evidence.array(name, vector, (size,))), dtype=np.float64)
    if size and not (float(np.min(vector)) >= least and float(np.max(vector)) <= 1.0):
        raise VerificationError(f"{name} must hold numbers from {least:g} to 1, got {evidence.shown(vector.tolist())}")
    return vector


def _node(
    relaxation: Relaxation, point: np.ndarray, low: np.ndarray, high: np.ndarray, dropped: int
) -> tuple[float, np.ndarray]:
    """Bound f over ``low <= g <= high, sum g = dropped`` by tangents along a conditional-gradient search."""
    point = _within(point, low, high, dropped)
    best, where = 0.0, point
    image = relaxation.H @ point
    for _ in range(STEPS):
        gradient = 2.0 * image + relaxation.d
        vertex = low.copy()
        free = np.flatnonzero(low != high)
        vertex[free[np.argsort(gradient[free], kind="stable")[: dropped - int(np.sum(low))]]] = 1.0
        least = float(gradient @ vertex - point @ image)
        bound = math.sqrt(max(0.0, least - relaxation.allowance))
        if bound > best:
            best, where = bound, point
        step = vertex - point
        along = relaxation.H @ step
        slope, curvature = float(gradient @ step), float(step @ along)
        if slope >= 0.0:
            break
        length = min(1.0, -slope / (2.0 * curvature)) if curvature > 0.0 else 1.0
        point = point + length * step
        image = relaxation.H @ point
    return best, where


def _within(point: np.ndarray, low: np.ndarray, high: np.ndarray, total: int) -> np.ndarray:
    """Move a point into the box, then along the box to the right sum."""
    point = np.clip(point, low, high)
    excess = float(np.sum(point)) - total
    room = point - low if excess > 0.0 else high - point
    return np.asarray(point - room * (excess / max(float(np.sum(room)), np.finfo(float).tiny)))
