"""The answer of `cr`: a few terms of a product, what they lose, and what any other choice of as many loses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import Array, Working, as_matrix, namespace, scale_back, to_numpy
from infimum._linalg import as_row
from infimum.errors import DTypeError, ShapeError, VerificationError
from infimum.proof import wording
from infimum.proof.answers.factored import Factored
from infimum.proof.certificate import Certificate
from infimum.proof.operators import product
from infimum.proof.theorems import eckart_young, gram


@dataclass(frozen=True)
class CR(Factored):
    """``X @ Y ≈ C @ weights @ R`` with ``C = X[:, terms]``, ``R = Y[terms, :]``, the answer of `cr`.

    Attributes
    ----------
    terms : array (r,) of int64
        Indices of the kept terms, ascending.
    weights : None, array (r,) or array (r, r)
        None: the terms as they are. A vector: one factor a term. A matrix between `C` and `R`.
    C, R : array (n, r), array (r, m)
        The kept columns of X and rows of Y.
    draws : int or None
        With ``weights="sampling"``: how many terms were drawn; some may be the same.
    deviation : float or None
        Then the root of the mean squared error over all such draws; its square is the variance of the estimate.
    certificate : Certificate
        Theorem "gram": no other choice of as many unweighted terms loses less than ``lower_bound``. Theorem
        "eckart_young": nor does any matrix of that rank, so no weights either.
    """

    problem: ClassVar[str] = "lowrank.cr"
    inputs: ClassVar[tuple[str, ...]] = ("X", "Y")
    terms: Array
    weights: Array | None
    C: Array
    R: Array
    draws: int | None
    deviation: float | None

    def factors(self) -> tuple[Array, Array]:
        """Return ``C @ weights`` and `R`."""
        if self.weights is None:
            return self.C, self.R
        weights = self.weights
        return (self.C * weights[None, :] if weights.ndim == 1 else self.C @ weights), self.R

    def recheck(self, X: Array, Y: Array) -> Certificate:
        """Derive the certificate from the two factors of the product and the answer alone."""
        X, Y = checked_factors(X, Y)
        xp = namespace(X=X, Y=Y, terms=self.terms)
        kept = to_numpy(self.terms)
        size = X.shape[1]
        if kept.ndim != 1 or np.unique(kept).size != kept.size or not np.all((kept >= 0) & (kept < size)):
            raise VerificationError(f"distinct terms below {size} were expected, got {kept.tolist()}")
        for name, part, source in (
            ("C", self.C, xp.take(X, self.terms, axis=1)),
            ("R", self.R, xp.take(Y, self.terms, axis=0)),
        ):
            if part.shape != source.shape or not bool(xp.all(part == source)):
                raise VerificationError(f"{name} must be the kept part of the input, it differs from it")
        parts = product.terms(X, Y)
        if self.weights is not None and tuple(getattr(self.weights, "shape", ())) not in {
            (kept.size,),
            (kept.size,) * 2,
        }:
            raise VerificationError(f"weights must be None, a vector or a matrix for {kept.size} terms")
        if (self.draws is None) != (self.deviation is None):
            raise VerificationError("draws and deviation belong together")
        if self.draws is not None and self.deviation is not None:
            derived = deviation(parts, self.draws)
            if not math.isclose(derived, self.deviation, rel_tol=1e-9):
                raise VerificationError(f"deviation: claimed {self.deviation!r}, derived {derived!r}")
        return certify_cr(parts, kept, self.weights, self.certificate.theorem, self.certificate.witness)

    def plot(self, ax: Any = None) -> Any:
        """Draw the size of every kept term."""
        ax = axes(ax)
        lengths = np.linalg.norm(to_numpy(self.C), axis=0) * np.linalg.norm(to_numpy(self.R), axis=1)
        ax.bar(to_numpy(self.terms), lengths, width=1.0)
        whole_numbers(ax.xaxis)
        certificate = self.certificate
        ax.set(
            xlabel="term",
            ylabel="norm of the kept term",
            title=f"{lengths.size} terms: {wording.error_and_floor(certificate)}",
        )
        return ax


def checked_factors(X: Array, Y: Array) -> tuple[Array, Array]:
    """Return the two factors as matrices that fit, of one dtype."""
    X, Y = as_matrix(X, "X"), as_matrix(Y, "Y")
    if X.shape[1] != Y.shape[0]:
        raise ShapeError(f"X (n, l) and Y (l, m) were expected, got shapes {tuple(X.shape)} and {tuple(Y.shape)}")
    namespace(X=X, Y=Y)
    if X.dtype != Y.dtype:
        raise DTypeError(f"X and Y must have one dtype, got {X.dtype} and {Y.dtype}; convert one of them first")
    return X, Y


def deviation(parts: product.Terms, rank: int) -> float:
    """Root of the mean squared error of `rank` draws: ``(sum of norms)**2 - norm(X Y)**2`` over `rank`."""
    total = float(np.sum(parts.norms))
    norm = product.residual_norm(parts, np.zeros(0, dtype=np.int64), None)
    return scale_back(math.sqrt(max(total**2 - norm**2, 0.0) / rank), parts.exponent, toward=0.0)


def certify_cr(
    parts: product.Terms, kept: np.ndarray, weights: Array | None, theorem: str, witness: Mapping[str, Any]
) -> Certificate:
    """Measure what the kept terms with their weights lose, and bound what any other choice loses from below."""
    value = product.residual_norm(parts, kept, weights)
    if theorem == "eckart_young":
        bound = _tail_bound(parts, kept.size)
    elif theorem == "gram" and weights is None:
        G = gram.gram(parts)
        diagonal = _witness_vector(witness, "diagonal", G, least=-1.0)
        if "nodes" in witness:
            bound = gram.optimum_bound(G, kept.size, diagonal, int(witness["nodes"]), value)[0]
        else:
            point = _witness_vector(witness, "point", G, least=0.0)
            bound = gram.Relaxation(G, diagonal).bound(point, point.size - kept.size)
    else:
        raise VerificationError(f"theorem must be 'eckart_young', or 'gram' without weights, got {theorem!r}")
    return Certificate(
        value=scale_back(value, parts.exponent, toward=float("inf")),
        lower_bound=scale_back(bound, parts.exponent, toward=0.0),
        theorem=theorem,
        rigour="rounded",
        witness=witness,
    )


def _witness_vector(witness: Mapping[str, Any], name: str, G: gram.Gram, least: float) -> np.ndarray:
    vector = np.asarray(to_numpy(witness[name]), dtype=np.float64)
    if vector.shape != G.norms.shape or not np.all((vector >= least) & (vector <= 1.0)):
        raise VerificationError(f"witness {name} must hold {G.norms.size} numbers from {least:g} to 1")
    return vector


def _tail_bound(parts: product.Terms, rank: int) -> float:
    """Lower bound on ``norm(X Y - A, "fro")`` over every A of rank at most `rank`, in units of ``2**exponent``."""
    whole = (parts.left * as_row(np.ldexp(1.0, parts.shift), parts.left)) @ parts.right
    if rank >= min(whole.shape):
        return 0.0
    tail = eckart_young.tail_bound(Working(whole, 0, parts.eps, namespace(whole=whole)), rank)
    rounding = (parts.norms.size + 6) * parts.eps * float(np.sum(parts.norms)) + parts.smallest
    return max(0.0, tail - rounding)
