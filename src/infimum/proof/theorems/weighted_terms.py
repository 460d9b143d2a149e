"""Weighted terms: no k terms of a product, with any weights, come nearer to it than this.

With the terms scaled to norm 1, G their Gram matrix, b their inner products with the product T and a diagonal D > 0
such that G - D is positive semidefinite, every w with at most k entries that are not 0 has for every q

    norm(T - sum of w_i terms_i)**2 >= norm(T)**2 - <q, (G - D) q> - sum of the k largest abs(b - (G - D) q)_i**2 / d_i.

Statement and proof: docs/theorems/weighted_terms.md.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from infimum._arrays import to_numpy
from infimum._linalg import adjoint
from infimum.errors import VerificationError
from infimum.proof import evidence
from infimum.proof.operators.product import Terms
from infimum.proof.theorems.gram import admissible, limited

THEOREM = "weighted_terms"
NODES = 4_000  # partial choices that the tree bounds before it gives up
STEPS = 6  # of the search for a point at each node of the tree
LARGEST = 1e120  # norms of points beyond it might overflow
LEAST_SHARE = 1e-9  # of a term that takes part in the search for a point
EPS = 2.0 * float(np.finfo(float).eps)  # spacing, doubled for complex numbers


class Fit(NamedTuple):
    """A product that is to be fitted by some of its terms, scaled to norm 1; units of ``2**exponent``.

    `unit` is the Gram matrix of the terms (entries are off by `error`), `products` their inner products with the whole
    product (off by `products_error`), `energy` its squared norm (off by `energy_error`); the true product differs from
    the one that is fitted by at most `target_error`.
    """

    unit: np.ndarray
    products: np.ndarray
    energy: float
    error: float
    products_error: float
    energy_error: float
    target_error: float

    def part(self, terms: np.ndarray) -> Fit:
        """Return the fit by these terms alone."""
        return self._replace(unit=self.unit[np.ix_(terms, terms)], products=self.products[terms])


def fit(parts: Terms) -> Fit:
    """Measure the terms of a product, each scaled to norm 1 whatever its size; one that is 0 stands alone."""
    left, right = to_numpy(adjoint(parts.left) @ parts.left), to_numpy(parts.right @ adjoint(parts.right))
    matrix = left * right.T
    lengths = np.sqrt(np.diagonal(matrix).real)
    present = lengths > 0.0
    safe = np.where(present, lengths, 1.0)
    unit = matrix / np.outer(safe, safe) + np.diag(np.where(present, 0.0, 1.0))
    rows, size = parts.left.shape[0] + parts.right.shape[1], parts.norms.size
    error, total = (rows + 6) * parts.eps, float(np.sum(parts.norms))
    products = unit @ parts.norms
    return Fit(
        unit,
        products,
        float((parts.norms @ products).real),
        error,
        (error + (size + 2) * EPS) * total,
        (error + (2 * size + 4) * EPS) * total**2,
        error * total + parts.smallest,
    )


class Relaxed:
    """A fit with an admissible diagonal: what bounds the loss of every choice of terms, whatever their weights."""

    def __init__(self, fit: Fit, diagonal: Any, room: float = 1.0) -> None:
        self.fit, self.room = fit, room
        self.d = admissible(fit.unit, fit.error, limited("the diagonal", diagonal, len(fit.unit), least=-1.0), room)
        positive = self.d > 0.0
        self.inverse = np.where(positive, 1.0 / np.where(positive, self.d, 1.0), np.inf)

    def bound(self, point: Any, kept: int, inside: int = 0) -> float:
        """Bound every choice of `kept` terms that contains the first `inside` ones, by a point."""
        fit, size = self.fit, len(self.d)
        kind: evidence.Kind = "complex" if np.iscomplexobj(fit.unit) else "real"
        q = np.asarray(to_numpy(evidence.array("the point", point, (size,), kind)))
        kept = evidence.whole("the number of kept terms", kept, least=0, most=size)
        total = float(np.sum(np.abs(q)))
        if not total < LARGEST:
            raise VerificationError(f"the entries of the point must sum to less than {LARGEST:g}, got {total:.3g}")
        image = fit.unit @ q
        doubt = fit.products_error + (fit.error + (2 * size + 8) * EPS) * total
        with np.errstate(over="ignore", invalid="ignore"):
            left = np.abs(fit.products - image + self.d * q) * (1.0 + 4 * EPS) + self.room * doubt
            gains = np.square(left) * self.inverse
        captured = float(np.sum(gains[:inside]) + np.sum(np.sort(gains[inside:])[::-1][: kept - inside]))
        quadratic = float(np.sum(q.conj() * image).real) - float(self.d @ np.abs(q) ** 2)
        doubt = fit.energy_error + (fit.error + (2 * size + 16) * EPS) * total**2
        doubt += (size + 8) * EPS * (fit.energy + abs(quadratic) + captured)
        squared = fit.energy - quadratic - captured - self.room * doubt
        return max(0.0, math.sqrt(squared) - self.room * fit.target_error) if squared > 0.0 else 0.0

    def point(self, share: np.ndarray) -> np.ndarray:
        """Return the weights that minimise the relaxed loss when every term counts to its share, 0 to 1."""
        q = np.zeros_like(self.fit.products)
        used = np.flatnonzero(share > LEAST_SHARE)
        matrix = self.fit.unit[np.ix_(used, used)] + np.diag(np.maximum(self.d, 0.0)[used] * (1.0 / share[used] - 1.0))
        try:
            q[used] = np.linalg.solve(matrix, self.fit.products[used])
        except np.linalg.LinAlgError:
            q[used] = np.linalg.lstsq(matrix, self.fit.products[used])[0]
        return q

    def shares(self, point: np.ndarray, kept: int, inside: int = 0) -> np.ndarray:
        """Return the best shares for given weights: in proportion to their size, at most 1, `kept` in sum."""
        size = np.sqrt(np.maximum(self.d, 0.0)) * np.abs(point)
        share, left = np.zeros(size.size), kept - inside
        share[:inside] = 1.0
        order = inside + np.flatnonzero(size[inside:] > 0.0)
        while order.size > left > 0:
            level = float(np.sum(size[order])) / left
            whole = size[order] >= level
            if not np.any(whole):
                share[order] = size[order] / level
                return share
            share[order[whole]] = 1.0
            left, order = left - int(np.sum(whole)), order[~whole]
        share[order] = 1.0 if left > 0 else 0.0
        return share


def optimum_bound(
    fit: Fit, kept: int, nodes: int, at_most: float, enough: float = math.inf, room: float = 1.0
) -> tuple[float, np.ndarray | None]:
    """Bound every choice of `kept` terms by a tree that decides term by term; also the best choice met.

    The tree is searched best first; it ends after so many `nodes`, or when the bound is `enough`. Some choice loses
    `at_most` so much. What is out leaves the Gram matrix, and so its least eigenvalue grows.
    """
    size = len(fit.unit)
    kept = evidence.whole("the number of kept terms", kept, least=0, most=size)
    nodes = evidence.whole("nodes", nodes, least=0, most=2 * NODES)
    tie = itertools.count()
    nothing = np.zeros(0, dtype=np.int64)
    bound, share = _node(fit, kept, nothing, np.arange(size), np.full(size, kept / size), room)
    heap = [(bound, next(tie), nothing, np.arange(size), share)]
    reached, best = at_most, None
    while heap and heap[0][0] < min(reached, enough) and nodes > 0:
        known, _, inside, free, share = heapq.heappop(heap)
        pick = int(np.argmin(np.abs(share - 0.5)))
        rest, left = np.delete(free, pick), np.delete(share, pick)
        for chosen in (np.append(inside, free[pick]), inside):
            nodes -= 1
            missing = kept - chosen.size
            if not 0 <= missing <= rest.size:
                continue
            whole = missing in (0, rest.size)
            if whole:
                chosen = np.append(chosen, rest[:missing])
            bound, shared = _node(fit, kept, chosen, nothing if whole else rest, left, room)
            bound = max(bound, known)
            if bound >= reached:
                continue
            if whole:
                reached, best = bound, np.sort(chosen)
            else:
                heapq.heappush(heap, (bound, next(tie), chosen, rest, shared))
    return (min(reached, heap[0][0]) if heap else reached), best


def _node(
    fit: Fit, kept: int, inside: np.ndarray, free: np.ndarray, share: np.ndarray, room: float
) -> tuple[float, np.ndarray]:
    """Bound the choices of what is inside and some that are free, by points that shares and weights find in turns."""
    terms = np.concatenate([inside, free])
    if not terms.size:
        return max(0.0, math.sqrt(fit.energy) - room * (math.sqrt(fit.energy_error) + fit.target_error)), share
    part = fit.part(terms)
    least = float(np.linalg.eigvalsh(part.unit)[0])
    relaxed = Relaxed(part, np.full(terms.size, min(max(least, 0.0), 1.0)), room)
    left = kept - inside.size
    share = np.clip(share[: free.size], 0.01, 1.0)
    share = np.concatenate([np.ones(inside.size), share * min(1.0, left / max(float(np.sum(share)), 0.01))])
    best, where = 0.0, share
    for _ in range(STEPS if free.size else 1):
        point = relaxed.point(share)
        bound = relaxed.bound(point, kept, inside.size)
        if bound > best:
            best, where = bound, share
        share = relaxed.shares(point, kept, inside.size)
    return best, where[inside.size :]
