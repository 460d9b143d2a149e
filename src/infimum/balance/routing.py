"""Balanced routing: every token to its k best experts, as far as the loads of the experts allow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from infimum._arguments import one_of, whole_number
from infimum._arrays import Array, ArrayLike, as_array, as_matrix, is_complex, like_array, require_finite, to_numpy
from infimum._display import facts_of, notebook, words
from infimum.balance.search.exact_paths import Routing
from infimum.balance.search.load_windows import Loads, limits
from infimum.balance.search.methods import METHODS, Method, feasible, search
from infimum.errors import DTypeError, InfeasibleError, OptionError, RangeError, ShapeError
from infimum.proof.answers.balanced_topk import BalancedAssignment, certify_routing
from infimum.proof.certificate import Certificate
from infimum.proof.real_arrays import LARGEST, fitted, float64_values
from infimum.proof.theorems.assignment_dual import Limits, dual, outward


class RoutingCertificate(NamedTuple):
    """What a bias is worth on a batch: the answer of `routing_certificate`."""

    loads: Array  # (n,) int64: of the k best experts by scores + bias; ties go to the experts with room
    score: float  # of that routing, which need not be balanced
    surplus: float  # <loads - target, bias>: the bound minus the score
    bound: float  # no assignment within the limits has a higher score
    assignment: BalancedAssignment  # balanced by the cheapest single moves, with its certificate

    @property
    def certificate(self) -> Certificate:
        """Certificate of the balanced assignment."""
        return self.assignment.certificate

    def __repr__(self) -> str:
        return words(self, facts_of(self))

    def _repr_html_(self) -> str:
        return notebook(self, facts_of(self))


def balanced_topk(
    scores: ArrayLike,
    k: int,
    *,
    load: Loads | None = None,
    groups: ArrayLike | None = None,
    group_load: Loads | None = None,
    tol: float = 0.0,
    method: Method = "auto",
    bias: ArrayLike | None = None,
    steps: int | None = None,
    rate: float = 1e-3,
) -> BalancedAssignment:
    """Route every token to k experts with the highest scores that balanced loads allow.

    Minimises the score given up against unbalanced top-k, over all assignments of k distinct experts to every token
    whose loads lie within their limits. The linear program behind it has whole-number solutions, so an optimum and the
    bias that proves it are found exactly, ties or not.

    Scores on a GPU stay there, in float64, while sweeps or updates look for a bias: of every expert its load and its
    thresholds go to the host, and its bias comes back. What follows, single moves or shortest paths and the proof, is
    done on the host, on a copy of the scores made once. Where a device has no float64 the host does all.

    Parameters
    ----------
    scores : array (m, n)
        Score of every expert for every token; real, finite, of any sizes; or -inf where the token does not admit the
        expert.
    k : int
        Experts per token, from 1 to n.
    load : array (n,), tuple (low, high), or array (2, n), optional
        Tokens that each expert must receive, or the smallest and the largest number (numbers or arrays). Loads that
        are no whole numbers are rounded down or up, as is the default: m k / n for every expert, of those n that any
        token admits.
    groups : array (n,), optional
        Group of every expert, from 0 on: the device that holds it.
    group_load : array (g,), tuple (low, high), or array (2, g), optional
        Joint load of every group, in the same forms as `load`; by default m k / n for every
        expert of the group.
    tol : float
        "auto" stops as soon as the gap is at most `tol` times the unbalanced score.
    method : {"auto", "exact", "midpoint", "quantile", "sign", "rms", "sgd"}
        "exact": midpoint sweeps, then shortest augmenting paths. "auto": the same, unless `tol` is met before. The
        others only look for a bias, by the rule of that name, and the assignment is repaired from it by single moves:
        they are there for comparison, and their gap says how far they came.
    bias : array (n,), optional
        Where to start.
    steps : int, optional
        Sweeps or updates of the rules: 100 sweeps, or 1000 updates, unless given.
    rate : float
        Step of "sign", "rms" and "sgd".

    Returns
    -------
    BalancedAssignment
        `experts` (m, k), `bias` (n,), `loads` (n,), `score`; library and device of `scores`. `certificate.value` is
        the score given up against unbalanced top-k, `certificate.lower_bound` the part that no assignment within the
        limits avoids.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    InfeasibleError
        No assignment meets the loads; the message names the limit in the way.
    RangeError
        The scores are too large for sums in float64.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10757 (balanced experts by a bias), https://kexue.fm/archives/10757, and 11619
       (quantile balancing), https://kexue.fm/archives/11619.
    .. [2] L. Wang et al., "Auxiliary-loss-free load balancing strategy for mixture-of-experts", arXiv:2408.15664.
    .. [3] R. K. Ahuja, T. L. Magnanti, J. B. Orlin, "Network Flows", Prentice Hall 1993, chapter 9.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> scores = np.array([[0.9, 0.1], [0.8, 0.6], [0.7, 0.2], [0.6, 0.3]])
    >>> result = infimum.balance.balanced_topk(scores, k=1)
    >>> result.experts.ravel(), result.loads
    (array([0, 1, 0, 1]), array([2, 2]))
    >>> result.optimal
    True
    """
    scores, values, k = _checked(scores, k)
    within = _limits(values, k, load, groups, group_load)
    one_of("method", method, METHODS)
    if not isinstance(tol, int | float) or not 0.0 <= tol < np.inf:
        raise OptionError(f"tol must be a number of at least 0 (relative to the unbalanced score), got {tol!r}")
    if steps is not None:
        steps = whole_number("steps", steps, 0)
    start = np.zeros(values.shape[1]) if bias is None else _bias(bias, values.shape[1])
    routing = search(values, k, within, start, given=scores, method=method, tol=tol, steps=steps, rate=rate)
    return _answer(scores, values, routing, within)


def routing_certificate(
    scores: ArrayLike,
    bias: ArrayLike,
    k: int,
    load: Loads | None = None,
    *,
    groups: ArrayLike | None = None,
    group_load: Loads | None = None,
) -> RoutingCertificate:
    """Measure how far the routing by the k best of ``scores + bias`` is from an optimal balanced one, without solving.

    For every bias ``D(bias) = score + <loads - target, bias>`` bounds the score of all balanced assignments, so a
    running job learns the distance to the optimum from its loads. Minimises nothing: the balanced assignment in the
    answer is the routing by the given bias, repaired by single moves of least loss.

    Parameters
    ----------
    scores, k, load, groups, group_load
        As in `balanced_topk`.
    bias : array (n,)
        Any finite bias; a poor one gives a weak bound.

    Returns
    -------
    RoutingCertificate
        `loads` and `score` of the routing by the bias, `surplus`, `bound`, and the repaired `assignment` with its
        `certificate`.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError, OptionError, InfeasibleError, RangeError
        Each says what was expected, what came, and what to do.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> scores = np.array([[0.9, 0.1], [0.8, 0.6], [0.7, 0.2], [0.6, 0.3]])
    >>> found = infimum.balance.routing_certificate(scores, np.array([-0.3, 0.0]), k=1)
    >>> found.loads, round(found.bound, 6), found.certificate.gap < 1e-12
    (array([2, 2]), 2.5, True)
    """
    scores, values, k = _checked(scores, k)
    within = _limits(values, k, load, groups, group_load)
    vector = _bias(bias, values.shape[1])
    routing = feasible(values, k, within, vector)
    found = dual(values, k, within, routing.bias)
    return RoutingCertificate(
        loads=like_array(found.loads, scores),
        score=float(found.score),
        surplus=float(found.surplus),
        bound=outward(found.bound, found.bound)[0],
        assignment=_answer(scores, values, routing, within),
    )


def _checked(scores: Any, k: int) -> tuple[Array, np.ndarray, int]:
    scores = as_matrix(scores, "scores", besides=-np.inf)
    k = whole_number("k", k, 1)
    if k > scores.shape[1]:
        raise OptionError(f"k must be at most the number of experts, {scores.shape[1]}, got {k}")
    values = float64_values(scores, "scores", besides=-np.inf)
    few = np.flatnonzero((values > -np.inf).sum(axis=1) < k) if values.min() == -np.inf else np.zeros(0)
    if few.size:
        raise InfeasibleError(
            f"every token must admit at least k = {k} experts, but token {few[0]} admits "
            f"{int((values[few[0]] > -np.inf).sum())}: its other scores are -inf"
        )
    return scores, values, k


def _limits(values: np.ndarray, k: int, load: Any, groups: Any, group_load: Any) -> Limits:
    tokens = values.shape[0]
    takers = np.full(values.shape[1], tokens)
    if values.min() == -np.inf:
        takers = (values > -np.inf).sum(axis=0)
    return limits(takers, tokens * k, load, tokens, groups, group_load)


def _bias(bias: Any, width: int) -> np.ndarray:
    bias = as_array(bias, "bias")
    if tuple(bias.shape) != (width,):
        raise ShapeError(f"bias must have shape ({width},), one number for every expert, got {tuple(bias.shape)}")
    require_finite(bias, "bias")
    if is_complex(bias):
        raise DTypeError(f"bias must be real, got dtype {bias.dtype}; take the real part first")
    values = to_numpy(bias).astype(np.float64)
    if np.abs(values).max() > LARGEST:
        raise RangeError(f"bias must be at most 2**1000 in size, got up to {np.abs(values).max():.3g}")
    return values


def _answer(scores: Array, values: np.ndarray, routing: Routing, within: Limits) -> BalancedAssignment:
    experts = np.nonzero(routing.member)[1].reshape(values.shape[0], -1)
    chosen = np.take_along_axis(values, experts, axis=1)
    experts = np.take_along_axis(experts, np.argsort(-chosen, axis=1, kind="stable"), axis=1)
    certificate, score, optimal = certify_routing(values, experts, within, routing.bias)
    groups = within.groups
    return BalancedAssignment(
        experts=like_array(experts, scores),
        bias=fitted(routing.bias.high, scores),
        loads=like_array(routing.member.sum(axis=0), scores),
        score=score,
        load=like_array(np.stack([within.low, within.high]), scores),
        optimal=optimal,
        groups=None if groups is None else like_array(groups.of, scores),
        group_load=None if groups is None else like_array(np.stack([groups.low, groups.high]), scores),
        certificate=certificate,
    )
