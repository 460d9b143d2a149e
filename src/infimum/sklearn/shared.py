"""What all estimators share: seeds, numbers of components, the dtypes that they keep."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from infimum.errors import OptionError

DTYPES = [np.float64, np.float32]


class Certified(BaseEstimator):
    """Abstract base: an estimator that keeps the result of a solver, and its certificate."""

    def _keep(self, result: Any) -> None:
        self.result_, self.certificate_ = result, result.certificate

    def _seed(self) -> int:
        """Return a seed that follows from `random_state` as scikit-learn's do: the global state where it is None."""
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if tags.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def counted(name: str, count: object, limit: int) -> int:
    """Return a number of components or features as a Python int; refuse all that is not from 1 to `limit`."""
    if isinstance(count, bool) or not isinstance(count, numbers.Integral) or not 1 <= int(count) <= limit:
        raise OptionError(f"{name} must be a whole number from 1 to {limit} for this input, got {count!r}")
    return int(count)
