"""The answer of `cr`: a few terms of a product, what they lose, and what any other choice of as many loses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import Array, Working, as_matrix, is_complex, like_array, namespace, to_numpy
from infimum._linalg import as_row
from infimum._scaling import scale_back
from infimum.errors import DTypeError, ShapeError, VerificationError
from infimum.proof import evidence, wording
from infimum.proof.answers.factored import Factored
from infimum.proof.certificate import Certificate
from infimum.proof.operators import product
from infimum.proof.theorems import column_subset, eckart_young, gram, weighted_terms

CHOICES = 20_000  # partial choices of terms with a matrix between them that are bounded at most


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
        "weighted_terms": nor does one with one weight a term. Theorem "column_subset": nor does one with any matrix
        between. Theorem "eckart_young": nor does any matrix of that rank.
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

    def chain(self) -> tuple[Array, ...]:
        """Return `C`, the weights where there are any, and `R`."""
        return (self.C, self.R) if self.weights is None else (self.C, self.weights, self.R)

    def recheck(self, X: Array, Y: Array) -> Certificate:
        """Derive the certificate from the two factors of the product and the answer alone."""
        X, Y = checked_factors(X, Y)
        kept = evidence.indices("terms", self.terms, X.shape[1])
        if np.any(np.diff(kept) < 0):
            raise VerificationError("terms must ascend")
        parts, weights = product.terms(X, Y), self._checked_parts(X, Y, kept)
        if (self.draws is None) != (self.deviation is None):
            raise VerificationError("draws and deviation belong together")
        if self.draws is not None:
            self._check_deviation(parts, kept.size)
        claimed = self.certificate
        return certify_cr(parts, kept, weights, claimed.theorem, claimed.witness, enough=claimed.lower_bound)

    def _checked_parts(self, X: Array, Y: Array, kept: np.ndarray) -> Array | None:
        """Compare C and R with the parts of the factors; return the weights."""
        xp, count = namespace(X=X, Y=Y), int(kept.size)
        kind: evidence.Kind = "complex" if is_complex(X) else "real"
        indices = like_array(kept, X)
        for name, part, source in (
            ("C", self.C, xp.take(X, indices, axis=1)),
            ("R", self.R, xp.take(Y, indices, axis=0)),
        ):
            if not bool(xp.all(evidence.array(name, part, tuple(source.shape), kind, like=X) == source)):
                raise VerificationError(f"{name} must be the kept part of the input, it differs from it")
        if self.weights is None:
            return None
        shape = (count,) if getattr(self.weights, "ndim", 2) == 1 else (count, count)
        return evidence.array("weights", self.weights, shape, kind, like=X)

    def _check_deviation(self, parts: product.Terms, count: int) -> None:
        """Compare what is said of all draws with what follows from the terms, up to rounding."""
        draws = evidence.whole("draws", self.draws, least=count, most=parts.norms.size)
        claimed = evidence.number("deviation", self.deviation, least=0.0)
        derived = deviation(parts, draws)
        # the square is a difference of two, each off by so much: below that, or of subnormal numbers, nothing is said
        doubt = 8.0 * (parts.norms.size + parts.left.shape[0] + parts.right.shape[1]) * parts.eps / draws
        ours, theirs, least = (_scaled_down(number, parts.exponent) for number in (derived, claimed, 1e-323))
        if abs(ours**2 - theirs**2) > doubt * float(np.sum(parts.norms)) ** 2 and abs(ours - theirs) > least:
            raise VerificationError(f"deviation: claimed {claimed!r}, derived {derived!r}")

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
    parts: product.Terms,
    kept: np.ndarray,
    weights: Array | None,
    theorem: str,
    witness: Mapping[str, Any],
    *,
    room: float = 1.0,
    enough: float = math.inf,
) -> Certificate:
    """Measure what the kept terms with their weights lose, and bound what any other choice loses from below.

    Where a bound is claimed that should be `enough`, a tree gets twice the nodes of the witness, since rounding may
    order them otherwise than it did for the solver.
    """
    value = product.residual_norm(parts, kept, weights, room)
    if theorem == eckart_young.THEOREM:
        bound = _tail_bound(parts, kept.size, room)
    elif theorem == gram.THEOREM and weights is None:
        relaxation = gram.Relaxation(gram.gram(parts), witness["diagonal"], room)
        if "nodes" in witness:
            nodes = evidence.whole("nodes", witness["nodes"], least=0, most=gram.NODES)
            # to the end: a check that stopped where the claim is met would derive what was claimed
            bound = gram.optimum_bound(relaxation, kept.size, nodes * (1 if math.isinf(enough) else 2), value)[0]
        else:
            bound = relaxation.bound(witness["point"], parts.norms.size - kept.size)
    elif weights is not None and theorem in (weighted_terms.THEOREM, column_subset.THEOREM):
        single = weights.ndim == 1
        bound = _bound_with_weights(parts, kept.size, single, theorem, witness, value, room=room, enough=enough)
    else:
        raise VerificationError(f"no theorem {evidence.shown(theorem)} is known for terms with weights as given")
    return Certificate(
        value=scale_back(value, parts.exponent, toward=math.inf),
        lower_bound=scale_back(bound, parts.exponent, toward=0.0),
        theorem=theorem,
        rigour="rounded",
        witness=witness,
    )


def _bound_with_weights(
    parts: product.Terms,
    count: int,
    single: bool,
    theorem: str,
    witness: Mapping[str, Any],
    value: float,
    *,
    room: float,
    enough: float,
) -> float:
    """Bound every choice of so many terms with a `single` weight each, or with any matrix between, in scaled units."""
    if theorem == column_subset.THEOREM:
        nodes = evidence.whole("nodes", witness["nodes"], least=0, most=CHOICES)
        of_any = _tail_bound(parts, count, room)
        return max(of_any, column_subset.search_terms(parts, count, nodes=nodes, at_most=value, room=room).bound)
    if not single:
        raise VerificationError("weighted_terms bounds terms with one weight each, got a matrix of weights")
    fit = weighted_terms.fit(parts)
    if "nodes" not in witness:
        return weighted_terms.Relaxed(fit, witness["diagonal"], room).bound(witness["point"], count)
    nodes = evidence.whole("nodes", witness["nodes"], least=0, most=weighted_terms.NODES)
    return weighted_terms.optimum_bound(fit, count, nodes * (1 if math.isinf(enough) else 2), value, room=room)[0]


def _scaled_down(value: float, exponent: int) -> float:
    """``value / 2**exponent``, infinite where that is out of range."""
    with np.errstate(over="ignore"):
        return float(np.ldexp(value, -exponent))


def _tail_bound(parts: product.Terms, rank: int, room: float) -> float:
    """Lower bound on ``norm(X Y - A, "fro")`` over every A of rank at most `rank`, in units of ``2**exponent``."""
    whole = (parts.left * as_row(np.ldexp(1.0, parts.shift), parts.left)) @ parts.right
    if rank >= min(whole.shape):
        return 0.0
    tail = eckart_young.tail_bound(Working(whole, 0, parts.eps, namespace(whole=whole)), rank, room=room)
    rounding = (parts.norms.size + 6) * parts.eps * float(np.sum(parts.norms)) + parts.smallest
    return max(0.0, tail - room * rounding)
