"""CR: a product of two matrices through a few of its terms, the columns of one times the rows of the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from infimum._arguments import RNGLike, one_of, rank_within, whole_number
from infimum._arrays import Array, ArrayLike, is_complex, like_array, namespace, narrow, working
from infimum._linalg import adjoint
from infimum.errors import OptionError
from infimum.lowrank.columns.least_squares import least_squares
from infimum.lowrank.columns.sampling import largest_scores
from infimum.lowrank.terms import strategies as rules
from infimum.lowrank.terms import weighted
from infimum.lowrank.terms.bound_search import witness as good_witness
from infimum.proof.answers.chosen_columns import FEW
from infimum.proof.answers.cr import CHOICES, CR, certify_cr, checked_factors, deviation
from infimum.proof.operators import product
from infimum.proof.rounding import ROOM
from infimum.proof.theorems import column_subset, eckart_young, gram, weighted_terms


def cr(
    X: ArrayLike,
    Y: ArrayLike,
    rank: int,
    *,
    method: Literal["auto", "norm", "sampling", "tuple", "greedy", "swap", "exact"] = "auto",
    tuple_size: int = 2,
    weights: Literal["none", "sampling", "diagonal", "full"] = "none",
    rng: RNGLike = None,
) -> CR:
    """Approximate a product by a few of its terms: ``X @ Y ≈ X[:, terms] @ weights @ Y[terms, :]``.

    Minimises the Frobenius norm of the difference over all choices of `rank` terms, columns of X times rows of Y.
    Choosing them is NP-hard. The choice commutes with functions of entries: ``f(X W)[:, terms] = f(X W[:, terms])``.

    Parameters
    ----------
    X : array (n, l)
        Real or complex, finite, of any library of the array API standard.
    Y : array (l, m)
        Likewise; the same library, dtype and device.
    rank : int
        Number of terms, 1 <= rank <= l.
    method : {"auto", "norm", "sampling", "tuple", "greedy", "swap", "exact"}
        "norm": the longest terms. "sampling": drawn in proportion to their norms [1]_. "tuple": drops the
        `tuple_size` terms with the shortest sum, again and again [2]_. "greedy": drops the term that adds least
        to the loss. "swap" and "auto": greedy, then exchanges of a kept and a dropped term; with weights "auto" also
        tries terms chosen by what they lose with them. "exact": branch and bound from there, for about 25 terms (15
        with a full matrix of weights).
    tuple_size : int
        How many terms "tuple" drops at a time; all subsets of so many are compared. 1 is the norm rule.
    weights : {"none", "sampling", "diagonal", "full"}
        "none": the terms as they are. "sampling": drawn with replacement and divided by their probabilities, which
        makes the product unbiased (`method` "sampling" or "auto"). "diagonal": the best factor for each term. "full":
        the best matrix between, ``pinv(C) @ X @ Y @ pinv(R)``.
    rng : int or numpy.random.Generator, optional
        Seed of the draws.

    Returns
    -------
    CR
        `terms` (rank,) int64, `weights` None, (rank,) or (rank, rank), `C` (n, rank), `R` (rank, m); draws with
        replacement may repeat a term, which then is kept once, with its weights added up.

    Raises
    ------
    ShapeError, RankError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    RangeError
        A weight does not fit the dtype of `X`.

    References
    ----------
    .. [1] P. Drineas, R. Kannan, M. Mahoney, "Fast Monte Carlo algorithms for matrices I: approximating matrix
       multiplication", SIAM J. Comput. 36 (2006).
    .. [2] Su Jianlin, Scientific Spaces 10427 (low rank 3, CR), https://kexue.fm/archives/10427.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> X, Y = np.array([[3.0, 1.0, 0.5]]), np.array([[2.0], [1.0], [-1.0]])
    >>> result = infimum.lowrank.cr(X, Y, rank=2)
    >>> result.terms.tolist(), round(result.certificate.value, 9)
    ([0, 1], 0.5)
    """
    X, Y = checked_factors(X, Y)
    rank_within("rank", rank, X.shape[1])
    one_of("method", method, ("auto", "exact", "tuple", *rules.STRATEGIES))
    tuple_size = whole_number("tuple_size", tuple_size, least=1)
    one_of("weights", weights, ("none", "sampling", "diagonal", "full"))
    if weights == "sampling" and method not in ("auto", "sampling"):
        raise OptionError(f"weights='sampling' goes with method='sampling', got {method!r}")
    generator = np.random.default_rng(rng)
    parts = product.terms(X, Y)
    if weights == "sampling":
        return _sampled(X, Y, parts, rank, generator)
    G = gram.gram(parts)
    if method == "tuple":
        kept = rules.by_tuple(G, rank, tuple_size)
    else:
        kept = rules.STRATEGIES["swap" if method in ("auto", "exact") else method](G, rank, generator)
    kept = np.sort(kept)
    if weights != "none":
        return _weighted(X, Y, parts, kept, weights, method)
    witness: dict[str, Any] = dict(good_witness(G, rank))
    if method == "exact":
        kept, witness = _improved(parts, G, kept, witness["diagonal"])
    return _result(X, Y, parts, np.sort(kept), None, gram.THEOREM, witness)


def _improved(
    parts: product.Terms, G: gram.Gram, kept: np.ndarray, diagonal: np.ndarray
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the best choice that the tree finds from a good one on, and the witness that it proves it by."""
    reached = product.residual_norm(parts, kept, None)
    dropped = gram.optimum_bound(gram.Relaxation(G, diagonal), kept.size, gram.NODES, reached)[1]
    if dropped is not None:
        other = np.flatnonzero(dropped == 0.0)
        kept = other if product.residual_norm(parts, other, None) < reached else kept
    return kept, {"diagonal": diagonal, "nodes": gram.NODES}


def _weighted(X: Array, Y: Array, parts: product.Terms, kept: np.ndarray, kind: str, method: str) -> CR:
    """Choose terms by what they lose with weights where the method is free to; take the best theorem for a bound."""
    fit, searched = weighted_terms.fit(parts), method in ("auto", "exact")
    witness, shares = weighted.witness(fit, kept.size)
    claims: list[tuple[str, Mapping[str, Any]]] = [(eckart_young.THEOREM, {})]
    choices = [kept]
    if searched:
        choices += [np.sort(weighted.greedy(fit, kept.size)), np.sort(largest_scores(shares, kept.size))]
    if kind == "diagonal":
        claims.append((weighted_terms.THEOREM, witness))
        choices = [min(choices, key=lambda chosen: weighted.loss(fit, chosen))]
        if method == "exact":
            reached = max(0.0, weighted.loss(fit, choices[0])) ** 0.5 * (1.0 + 1e-9)
            found = weighted_terms.optimum_bound(fit, kept.size, weighted_terms.NODES, reached)[1]
            choices = [choices[0] if found is None else found]
            claims = [(weighted_terms.THEOREM, {"nodes": weighted_terms.NODES})]
    elif parts.norms.size <= FEW or method == "exact":
        nodes = CHOICES if method == "exact" else parts.norms.size
        claims.append((column_subset.THEOREM, {"nodes": nodes}))
        if method == "exact":
            found = column_subset.search_terms(parts, kept.size, nodes=nodes).columns
            choices += [] if found is None else [np.sort(found)]
    make = _one_weight_each if kind == "diagonal" else _matrix_between
    made = [(chosen, make(X, Y, fit, parts, chosen)) for chosen in choices]
    chosen, weights = min(made, key=lambda pair: product.residual_norm(parts, *pair))
    results = [_result(X, Y, parts, chosen, weights, theorem, evidence) for theorem, evidence in claims]
    return max(results, key=lambda result: result.certificate.lower_bound)


def _one_weight_each(X: Array, Y: Array, fit: weighted_terms.Fit, parts: product.Terms, kept: np.ndarray) -> Array:
    """Solve the normal equations of the terms, each scaled to norm 1: ``(C*C ∘ R R*) w = (C* X ∘ R Y*) 1``."""
    part, norms = fit.part(kept), parts.norms[kept]
    solution = np.linalg.lstsq(part.unit, part.products, rcond=1e-13)[0]
    return _narrow_weights(np.where(norms > 0.0, solution / np.where(norms > 0.0, norms, 1.0), 0.0), X)


def _matrix_between(X: Array, Y: Array, fit: weighted_terms.Fit, parts: product.Terms, kept: np.ndarray) -> Array:
    xp = namespace(X=X)
    columns = like_array(kept, X)
    left, right = working(X), working(Y)
    cut = float(xp.finfo(X.dtype).eps) * max(*X.shape, Y.shape[1])
    C, R = xp.take(left.array, columns, axis=1), xp.take(right.array, columns, axis=0)
    middle = least_squares(C, left.array, cut) @ adjoint(least_squares(adjoint(R), adjoint(right.array), cut))
    return narrow(middle, X, "a weight")


def _narrow_weights(values: np.ndarray, X: Array) -> Array:
    return narrow(like_array(values if is_complex(X) else values.real, X), X, "a weight")


def _sampled(X: Array, Y: Array, parts: product.Terms, rank: int, rng: np.random.Generator) -> CR:
    """Draw terms with replacement, p proportional to their norms: the unbiased estimate of least variance."""
    total = float(np.sum(parts.norms))
    p = parts.norms / total if total > 0.0 else np.full(parts.norms.size, 1.0 / parts.norms.size)
    counts = rng.multinomial(rank, p / np.sum(p))
    kept = np.flatnonzero(counts)
    weights = _narrow_weights(counts[kept] / (rank * p[kept]), X)
    return _result(X, Y, parts, kept, weights, eckart_young.THEOREM, {}, draws=rank)


def _result(
    X: Array,
    Y: Array,
    parts: product.Terms,
    kept: np.ndarray,
    weights: Array | None,
    theorem: str,
    witness: Mapping[str, Any],
    draws: int | None = None,
) -> CR:
    columns = like_array(kept.astype(np.int64), X)
    certificate = certify_cr(parts, kept, weights, theorem, witness, room=ROOM)
    xp = namespace(X=X)
    C, R = xp.take(X, columns, axis=1), xp.take(Y, columns, axis=0)
    spread = None if draws is None else deviation(parts, draws)
    return CR(terms=columns, weights=weights, C=C, R=R, draws=draws, deviation=spread, certificate=certificate)
