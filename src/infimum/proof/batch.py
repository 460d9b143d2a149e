"""Answers for a stack of matrices: their fields stacked, and one array of certificates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from infimum._arrays import is_array, namespace
from infimum._display import Shown
from infimum.errors import ShapeError
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result


@dataclass(frozen=True, eq=False)
class CertificateArray(Shown):
    """Certificates of a stack of problems; see `Certificate` for a single one.

    Attributes
    ----------
    value, lower_bound, confidence : array
        What each certificate says, in the shape of the stack.
    theorem, rigour : array of str
        Likewise.
    """

    value: np.ndarray
    lower_bound: np.ndarray
    theorem: np.ndarray
    rigour: np.ndarray
    confidence: np.ndarray

    @classmethod
    def of(cls, certificates: Sequence[Certificate], stack: tuple[int, ...]) -> CertificateArray:
        """Put certificates into arrays."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.array([getattr(c, name) for c in certificates]).reshape(stack) for name in names})

    @property
    def gap(self) -> np.ndarray:
        """``value - lower_bound``: at most this much could still be gained by each."""
        return np.asarray(self.value - self.lower_bound)

    @property
    def ratio(self) -> np.ndarray:
        """``value / lower_bound``; 1.0 where both are 0, infinity where only the bound is 0."""
        safe = np.where(self.lower_bound > 0.0, self.lower_bound, 1.0)
        quotient = np.where(self.lower_bound > 0.0, self.value / safe, math.inf)
        return np.where(self.value == self.lower_bound, 1.0, quotient)


@dataclass(frozen=True, eq=False)
class Batch(Shown):
    """The answers for a stack of matrices.

    A field of the answers, such as `U` of `svd`, is one of the batch, too: those of all, stacked. An index gives a
    single answer, with its certificate; `infimum.verify` takes the whole.

    Attributes
    ----------
    results : tuple
        The answers, in the order of the flattened stack.
    stack : tuple of int
        The leading dimensions of the input.
    """

    results: tuple[Result, ...]
    stack: tuple[int, ...]

    @cached_property
    def certificate(self) -> CertificateArray:
        """Certificates of all answers, as arrays in the shape of the stack."""
        return CertificateArray.of([result.certificate for result in self.results], self.stack)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or (not hasattr(type(self.results[0]), name) and name not in _names(self.results[0])):
            raise AttributeError(f"neither the batch nor its answers have {name!r}")
        parts = [getattr(result, name) for result in self.results]
        if is_array(parts[0]):
            if len({tuple(part.shape) for part in parts}) > 1:
                raise ShapeError(
                    f"{name} differs in shape from answer to answer: take them one by one, batch[i].{name}"
                )
            stacked = namespace(first=parts[0]).stack(parts)
            return namespace(stacked=stacked).reshape(stacked, (*self.stack, *parts[0].shape))
        return np.array(parts).reshape(self.stack) if isinstance(parts[0], int | float) else tuple(parts)

    def __getitem__(self, index: int | tuple[int, ...]) -> Result:
        """Return the answer for one matrix of the stack."""
        place = index if isinstance(index, tuple) else (index,)
        return self.results[int(np.arange(len(self.results)).reshape(self.stack)[place])]

    def __len__(self) -> int:
        return self.stack[0]

    def __iter__(self) -> Iterator[Result]:
        """Yield the answers, in the order of the flattened stack."""
        return iter(self.results)

    def _facts(self) -> dict[str, str]:
        value, bound = self.certificate.value, self.certificate.lower_bound
        return {
            "stack": str(self.stack),
            "answers": type(self.results[0]).__name__,
            "certificates": f"{bound.min():.6g} <= ... <= {value.max():.6g}",
        }


def _names(result: Result) -> set[str]:
    return {field.name for field in fields(result)}
