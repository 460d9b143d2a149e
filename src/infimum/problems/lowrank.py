"""The problems of the low-rank room."""

from __future__ import annotations

from typing import Any

import numpy as np

import infimum.lowrank as lowrank
from infimum import sample_data
from infimum._arrays import Array, as_array, as_matrix, to_numpy
from infimum._linalg import norm
from infimum._scaling import scale_back
from infimum.lowrank import brute_force
from infimum.problems.entry import Case, Problem
from infimum.proof.operators import product
from infimum.proof.operators.inputs import size
from infimum.proof.operators.kernel import Entries
from infimum.proof.operators.sparse import with_zeros


def _topics() -> np.ndarray:
    return sample_data.python_documentation().weights


def _named_topics(columns: Array) -> str:
    names = sample_data.python_documentation().topics
    return "topics " + ", ".join(names[j] for j in to_numpy(columns)[:5]) + ", ..."


def _named_words(rows: Array) -> str:
    words = sample_data.python_documentation().terms
    return ", ".join(words[i] for i in to_numpy(rows)[:5]) + ", ..."


def _length(B: Array) -> float:
    B = as_array(B, "B")
    return norm(B if B.ndim > 1 else B[:, None])


def _trace(K: Any) -> float:
    entries = Entries(K)
    return scale_back(float(np.sum(np.abs(entries.diagonal))), entries.exponent, toward=0.0)


def _sum_of_terms(X: Array, Y: Array) -> float:
    parts = product.terms(as_matrix(X, "X"), as_matrix(Y, "Y"))
    return scale_back(float(parts.norms.sum()), parts.exponent, toward=0.0)


def _topic_kernel() -> np.ndarray:
    weights = _topics()
    return np.asarray(weights.T @ weights)


def _tiny_kernel(rng: np.random.Generator) -> np.ndarray:
    factor = _tiny_matrix(rng)
    return np.asarray(factor @ factor.T)


def _tiny_matrix(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((5, 6)) @ np.diag(0.5 ** np.arange(6))


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="lowrank.svd",
        minimises="Frobenius norm of M - X over all matrices X of rank at most r",
        solve=lowrank.svd,
        result=lowrank.SVD,
        sparse=True,
        scale=size,
        example=lambda: Case((_topics(),), {"rank": 20}),
        example_text="term-document matrix of the Python documentation",
        answer_text=lambda result: f"rank {result.rank}, largest singular value {float(result.s[0]):.4g}",
        tiny=lambda rng: Case((_tiny_matrix(rng),), {"rank": 2}),
        optimum=lambda result, M: brute_force.best_matrix(M, result.rank),
    ),
    Problem(
        name="lowrank.pinv",
        minimises="Frobenius norm of A B - I over all matrices B that are no longer than the answer",
        solve=lowrank.pinv,
        result=lowrank.PseudoInverse,
        scale=lambda A: float(as_matrix(with_zeros(A), "A").shape[0]) ** 0.5,
        example=lambda: Case((_topics(),)),
        example_text="term-document matrix of the Python documentation",
        answer_text=lambda result: f"rank {result.rank}, rank decision {'doubtful' if result.ambiguous else 'clear'}",
        tiny=lambda rng: Case((_tiny_matrix(rng),), {"rtol": 1e-3}),
        optimum=lambda result, A: brute_force.nearest_to_identity(A, norm(result.matrix)),
    ),
    Problem(
        name="lowrank.interpolative",
        minimises="Frobenius norm of M - M[:, S] Z over all choices S of r columns",
        solve=lowrank.interpolative,
        result=lowrank.Interpolative,
        sparse=True,
        scale=size,
        example=lambda: Case((_topics(),), {"rank": 20}),
        example_text="term-document matrix of the Python documentation",
        answer_text=lambda result: _named_topics(result.columns),
        tiny=lambda rng: Case((_tiny_matrix(rng),), {"rank": 2}),
        optimum=lambda result, M: brute_force.best_columns(M, result.rank),
        named={"columns": (("M", 1),), "rows": (("M", 0),)},
        ticks={"columns": ("y", "order"), "rows": ("x", "order")},
    ),
    Problem(
        name="lowrank.nystrom",
        minimises="trace norm of K - K[:, S] K[S, S]^-1 K[S, :] over all choices S of r landmarks",
        solve=lowrank.nystrom,
        result=lowrank.Nystrom,
        scale=_trace,
        example=lambda: Case((_topic_kernel(),), {"rank": 20}),
        example_text="similarities of the topics of the Python documentation",
        answer_text=lambda result: _named_topics(result.landmarks),
        tiny=lambda rng: Case((_tiny_kernel(rng),), {"rank": 2}),
        optimum=lambda result, K: brute_force.best_landmarks(K, result.rank),
        named={"landmarks": (("K", 1), ("K", 0))},
    ),
    Problem(
        name="lowrank.solve",
        minimises="Frobenius norm of A X - B over all X with a ridge, else over all X no longer than the answer",
        solve=lowrank.solve,
        result=lowrank.Solution,
        scale=lambda A, B: _length(B),
        example=lambda: Case((_topics()[:, ::2], _topics()[:, 1::2])),
        example_text="topics of the Python documentation: every other one from the rest",
        answer_text=lambda result: f"{result.matrix.shape[1]} combinations of {result.matrix.shape[0]} columns",
        tiny=lambda rng: Case((_tiny_matrix(rng), rng.standard_normal((5, 2))), {"rtol": 1e-3}),
        optimum=lambda result, A, B: brute_force.best_solution(A, B, result.ridge, norm(result.matrix)),
    ),
    Problem(
        name="lowrank.cr",
        minimises="Frobenius norm of X Y - X[:, S] Y[S, :] over all choices S of r terms of the product",
        solve=lowrank.cr,
        result=lowrank.CR,
        scale=_sum_of_terms,
        example=lambda: Case((_topics(), _topics().T), {"rank": 20}),
        example_text="words of the Python documentation by topic, and topics by word: how words go together",
        answer_text=lambda result: f"{_named_topics(result.terms)}: what words share through them",
        tiny=lambda rng: Case((rng.standard_normal((4, 7)), rng.standard_normal((7, 5))), {"rank": 3}),
        optimum=lambda result, X, Y: brute_force.best_terms(X, Y, result.terms.shape[0]),
        named={"terms": (("X", 1), ("Y", 0))},
        ticks={"terms": ("x", "index")},
    ),
    Problem(
        name="lowrank.cur",
        minimises="Frobenius norm of M - M[:, J] U M[I, :] over all rows I, columns J and cores U of the given sizes",
        solve=lowrank.cur,
        result=lowrank.CUR,
        sparse=True,
        scale=size,
        example=lambda: Case((_topics(),), {"rank": 20}),
        example_text="term-document matrix of the Python documentation",
        answer_text=lambda result: f"{_named_topics(result.columns)}; words {_named_words(result.rows)}",
        tiny=lambda rng: Case((_tiny_matrix(rng),), {"rows": 2, "columns": 3}),
        optimum=lambda result, M: brute_force.best_rows_and_columns(M, *reversed(result.core.shape)),
        named={"columns": (("M", 1),), "rows": (("M", 0),)},
        ticks={"columns": ("x", "index"), "rows": ("y", "index")},
    ),
)
