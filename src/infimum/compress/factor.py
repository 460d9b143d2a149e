"""The best replacement of one linear layer by one of lower rank, and the forms in which it is stored."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import scipy.linalg
import torch

from infimum.bounds import weighted_tail
from infimum.bounds.allocation_dual import Curve
from infimum.compress.moments import LayerMoments

Objective: TypeAlias = Literal["two-sided", "activation", "plain"]
Form: TypeAlias = Literal["pivot", "factors"]


def one_thread() -> AbstractContextManager[object]:
    """Keep BLAS on one thread where `threadpoolctl` is installed.

    The threads of an eigensolver wait for each other at every column. For a few hundred columns that gains little on an
    idle machine, and on a busy one the decompositions were seen to take twenty times as long.
    """
    try:
        limits: AbstractContextManager[object] = importlib.import_module("threadpoolctl").threadpool_limits(1)
    except ImportError:
        return nullcontext()
    return limits


@dataclass(frozen=True)
class Weighting:
    """The norm in which one layer's error is measured: ``tr(G dW C dW')``, `G` None for the identity."""

    C: np.ndarray
    G: np.ndarray | None


def weighting(objective: Objective, moments: LayerMoments, damping: float) -> Weighting:
    """Return the norm of an objective.

    "two-sided": both moments of the weight's gradient, the left one damped by `damping` times its mean eigenvalue,
    which makes it positive definite. "activation": the input moment, and the mean squared gradient as a scalar
    that makes layers comparable. "plain": neither.
    """
    if objective == "plain":
        return Weighting(np.eye(moments.inputs.shape[0]), None)
    if objective == "activation":
        return Weighting(moments.gradient * moments.inputs, None)
    mean = float(np.trace(moments.left)) / moments.left.shape[0]
    return Weighting(moments.right, moments.left + damping * mean * np.eye(moments.left.shape[0]))


@dataclass(frozen=True)
class Decomposition:
    """``W' = left[:, :r] @ right[:r]`` is the best matrix of rank r, for every r; `tails[r]` bounds its error."""

    left: np.ndarray
    right: np.ndarray
    tails: np.ndarray


def spectrum(W: np.ndarray, norm: Weighting) -> np.ndarray:
    """Lower bounds on the error at rank 0, 1, ..., min(m, n)."""
    _, T = weighted_tail.split(W, norm.G)
    values = scipy.linalg.eigvalsh(T @ norm.C @ T.T, check_finite=False)
    return _tails(values, W, T, norm)


def decompose(W: np.ndarray, norm: Weighting) -> Decomposition:
    """Best replacements of every rank in the norm `norm`.

    With ``W = L T`` as in `weighted_tail.split`: ``L U_r U_r' T``, U_r the leading eigenvectors of ``T C T'``.
    No Cholesky factor and no inverse of C, which may be singular; G is positive definite by its damping.
    """
    L, T = weighted_tail.split(W, norm.G)
    values, U = scipy.linalg.eigh(T @ norm.C @ T.T, check_finite=False, driver="evd")
    U = U[:, ::-1]
    # where W has not full rank, T has fewer rows than W: ranks beyond add nothing
    missing = min(W.shape) - T.shape[0]
    left, right = np.pad(L @ U, ((0, 0), (0, missing))), np.pad(U.T @ T, ((0, missing), (0, 0)))
    return Decomposition(left, right, _tails(values, W, T, norm))


def _tails(eigenvalues: np.ndarray, W: np.ndarray, T: np.ndarray, norm: Weighting) -> np.ndarray:
    allowance = weighted_tail.allowance(W, T, norm.C, norm.G)
    return weighted_tail.tails(eigenvalues, (W.shape[0], W.shape[1]), allowance)


def cost(rank: np.ndarray, shape: tuple[int, int], form: Form) -> np.ndarray:
    """Numbers that a layer of a rank stores in a form."""
    return np.asarray(rank * (sum(shape) - rank) if form == "pivot" else rank * sum(shape))


def curve(tails: np.ndarray, shape: tuple[int, int], form: Form) -> Curve:
    """Cost and least error of every rank from 1 on in a form; the last point keeps the layer dense."""
    m, n = shape
    ranks = np.arange(1, min(m, n))
    costs = cost(ranks, shape, form)
    useful = costs < m * n
    return Curve(
        np.append(costs[useful], m * n).astype(np.float64),
        np.append(tails[1 : min(m, n)][useful], 0.0),
    )


@dataclass(frozen=True)
class PivotForm:
    """``W'[pivots] = rows`` and ``W'[others] = coefficients @ rows``: r(m + n - r) numbers and a permutation.

    `order[i]` is the place of output i in the concatenation (pivots, others).
    """

    rows: torch.Tensor
    coefficients: torch.Tensor
    order: torch.Tensor

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the left and right factor in float64: the identity and `coefficients` in output order, and `rows`."""
        left = np.concatenate([np.eye(self.rows.shape[0]), self.coefficients.double().numpy()])
        return left[self.order.numpy()], self.rows.double().numpy()

    def rounded(self, dtype: torch.dtype) -> PivotForm:
        """Round to the dtype in which the layer is stored."""
        return PivotForm(self.rows.to(dtype), self.coefficients.to(dtype), self.order)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the stored tensors by the names of `infimum.nn.PivotLinear`."""
        return {"rows": self.rows, "coefficients": self.coefficients, "order": self.order}


@dataclass(frozen=True)
class FactorForm:
    """``W' = left @ right``: r(m + n) numbers."""

    left: torch.Tensor
    right: torch.Tensor

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both factors in float64."""
        return self.left.double().numpy(), self.right.double().numpy()

    def rounded(self, dtype: torch.dtype) -> FactorForm:
        """Round to the dtype in which the layer is stored."""
        return FactorForm(self.left.to(dtype), self.right.to(dtype))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the stored tensors by the names of `infimum.nn.LowRankLinear`."""
        return {"left": self.left, "right": self.right}


@dataclass(frozen=True)
class PlainForm:
    """The product, multiplied out and rounded, in the shape and the orientation of the original's weight."""

    weight: torch.Tensor

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the stored tensors by the names of the original layer."""
        return {"weight": self.weight}


def to_form(decomposition: Decomposition, rank: int, form: Form) -> PivotForm | FactorForm:
    """Return the best matrix of a rank in the form in which it is stored (float64, not yet rounded)."""
    left, right = decomposition.left[:, :rank], decomposition.right[:rank]
    if form == "factors":
        balance = np.sqrt(np.linalg.norm(right, axis=1) / np.maximum(np.linalg.norm(left, axis=0), 1e-300))
        balance = np.where(balance > 0.0, balance, 1.0)
        return FactorForm(torch.from_numpy(left * balance), torch.from_numpy(right / balance[:, None]))
    # pivoted QR of the transposed left factor: rows that span it well, so that the coefficients stay small
    _, triangle, pivots = scipy.linalg.qr(left.T, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(triangle))
    full = int(np.count_nonzero(diagonal > np.finfo(float).eps * diagonal[0]))
    coefficients = np.zeros((left.shape[0] - rank, rank))
    coefficients[:, :full] = scipy.linalg.solve_triangular(
        triangle[:full, :full], triangle[:full, rank:], check_finite=False
    ).T
    order = np.empty(left.shape[0], dtype=np.int32)
    order[pivots] = np.arange(left.shape[0])
    rows = left[pivots[:rank]] @ right
    return PivotForm(torch.from_numpy(rows), torch.from_numpy(coefficients), torch.from_numpy(order))
