"""The best replacement of one linear layer by one of lower rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import scipy.linalg

from infimum.compress.measure.moments import LayerMoments
from infimum.errors import CalibrationError
from infimum.proof.theorems import weighted_tail
from infimum.proof.theorems.allocation_dual import Curve
from infimum.proof.theorems.weighted_tail import Tails

Objective: TypeAlias = Literal["two-sided", "activation", "plain"]
Form: TypeAlias = Literal["pivot", "factors"]

FLOOR = 0.01  # of the mean of a diagonal, added to it: an output without gradients weighs something, too


class Damping(NamedTuple):
    """How much the moments of a layer are damped, right (`damped`) and left (`shrunk`); their norm is scaled."""

    right: float
    left: float
    scale: float = 1.0


@dataclass(frozen=True)
class Weighting:
    """The norm in which one layer's error is measured: ``tr(G dW C dW')``, `G` None for the identity."""

    C: np.ndarray
    G: np.ndarray | None


def weighting(objective: Objective, moments: LayerMoments, damping: Damping) -> Weighting:
    """Return the norm of an objective.

    "two-sided": both moments of the weight's gradient, the right one `damped`, the left one `shrunk`, which makes it
    positive definite, and the product scaled; for no damping as they are. "activation": the input moment, and the mean
    squared gradient as a scalar that makes layers comparable. "plain": neither.
    """
    if objective == "plain":
        return Weighting(np.eye(len(moments.right)), None)
    if objective == "activation":
        if moments.inputs is None:
            raise CalibrationError("objective 'activation' needs the moments of inputs; calibrate with inputs=True")
        return Weighting(moments.gradient * moments.inputs, None)
    right = damped(moments.right, damping.right)
    return Weighting(right if damping.scale == 1.0 else damping.scale * right, shrunk(moments.left, damping.left))


def damped(moment: np.ndarray, damping: float) -> np.ndarray:
    """Return a moment with so many of its mean eigenvalues added."""
    n = len(moment)
    return np.asarray(moment + damping * float(np.trace(moment)) / n * np.eye(n)) if damping else moment


def shrunk(moment: np.ndarray, damping: float) -> np.ndarray:
    """Return the mean of a moment and, `damping` times as heavy, its diagonal, a little raised."""
    if damping == 0.0:
        return moment
    diagonal = np.diag(moment)
    floor = FLOOR * float(np.mean(diagonal))
    return np.asarray((moment + damping * np.diag(diagonal + floor)) / (1.0 + damping))


class Decomposition(NamedTuple):
    """``W' = left[:, :r] @ right[:r]`` is the best matrix of rank r, for every r; `spectrum` bounds its error."""

    left: np.ndarray
    right: np.ndarray


def spectrum(W: np.ndarray, norm: Weighting) -> Tails:
    """Bound the error at rank 0, 1, ..., min(m, n)."""
    _, T = weighted_tail.split(W, norm.G)
    values = scipy.linalg.eigvalsh(T @ norm.C @ T.T, check_finite=False)
    return weighted_tail.tails(values, (W.shape[0], W.shape[1]), weighted_tail.allowance(W, T, norm.C, norm.G))


def decompose(W: np.ndarray, norm: Weighting) -> Decomposition:
    """Best replacements of every rank in the norm `norm`.

    With ``W = L T`` as in `weighted_tail.split`: ``L U_r U_r' T``, U_r the leading eigenvectors of ``T C T'``.
    No Cholesky factor and no inverse of C, which may be singular; G is positive definite by its damping.
    """
    L, T = weighted_tail.split(W, norm.G)
    U = scipy.linalg.eigh(T @ norm.C @ T.T, check_finite=False, driver="evd")[1][:, ::-1]
    # where W has not full rank, T has fewer rows than W: ranks beyond add nothing
    missing = min(W.shape) - T.shape[0]
    return Decomposition(np.pad(L @ U, ((0, 0), (0, missing))), np.pad(U.T @ T, ((0, missing), (0, 0))))


def curve(tails: np.ndarray | None, shape: tuple[int, int], form: Form | None, loss: float = 0.0) -> Curve:
    """Cost and least error of every rank from 1 on in a form (None: full rank alone); the last point is of full rank.

    `loss` is the error that the layer has already at full rank.
    """
    m, n = shape
    whole = Curve(np.array([m * n], dtype=np.float64), np.array([loss]))
    if form is None or tails is None:
        return whole
    ranks = np.arange(1, min(m, n))
    costs = ranks * (m + n - ranks) if form == "pivot" else ranks * (m + n)
    useful = costs < m * n
    errors = tails[1 : min(m, n)][useful] + loss
    return Curve(np.append(costs[useful].astype(np.float64), whole.costs), np.append(errors, whole.errors))
