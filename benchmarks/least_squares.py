"""Least squares and ridge regression with many right-hand sides, against NumPy, SciPy and scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.linalg
import sklearn.linear_model

from benchmarks.harness import Comparison, Contender
from infimum import lowrank


def comparisons() -> Iterator[Comparison]:
    """Yield every comparison of linear systems."""
    for rows, columns, sides in ((400, 200, 50), (2000, 300, 10)):
        for ridge in (0.0, 1.0):
            yield system(rows, columns, sides, ridge)


def system(rows: int, columns: int, sides: int, ridge: float) -> Comparison:
    """Compare solutions by the root of ``norm(A @ X - B)**2 + ridge * norm(X)**2``."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((rows, columns)), rng.standard_normal((rows, sides))

    def loss(answer: Any) -> float:
        X = answer.matrix if isinstance(answer, lowrank.Solution) else answer
        return float(np.hypot(np.linalg.norm(A @ X - B), ridge**0.5 * np.linalg.norm(X)))

    peers: dict[str, Contender] = {
        "numpy.linalg.lstsq": lambda seed: np.linalg.lstsq(A, B)[0],
        "scipy.linalg.lstsq, gelsy": lambda seed: scipy.linalg.lstsq(A, B, lapack_driver="gelsy")[0],
    }
    if ridge:
        model = sklearn.linear_model.Ridge(alpha=ridge, fit_intercept=False)
        peers = {"sklearn Ridge": lambda seed: model.fit(A, B).coef_.T}
    return Comparison(
        problem="solve",
        input=f"Gaussian {rows} x {columns}, {sides} right-hand sides",
        task=f"ridge {ridge:g}" if ridge else "least squares",
        contenders={"infimum": lambda seed: lowrank.solve(A, B, ridge=ridge), **peers},
        loss=loss,
        floor=lowrank.solve(A, B, ridge=ridge).certificate.lower_bound,
        certify=lambda result: result.recheck(A, B),
    )
