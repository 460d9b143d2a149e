"""The answer of `quantize`: integers, scales and zeros of a matrix, and how far any rounding to that grid must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes
from infimum._arrays import Array, as_matrix, is_complex, to_numpy
from infimum.errors import DTypeError, NotSemidefiniteError, ShapeError
from infimum.proof import evidence, wording
from infimum.proof.certificate import Certificate
from infimum.proof.grid import Grid
from infimum.proof.result import Result
from infimum.proof.theorems import grid_rounding, weighted_tail


@dataclass(frozen=True)
class QuantizedMatrix(Result):
    """``W ≈ scales * (integers - zeros)``, group by group of neighbouring columns: the answer of `quantize`.

    Attributes
    ----------
    integers : array (m, n) of uint8
        From 0 to ``2**bits - 1``.
    scales : array (m, groups)
        Step of each row's groups, float16 or float32.
    zeros : array (m, groups) of uint8
        The integer that stands for 0.
    bits : int
        Of an integer.
    certificate : Certificate
        Of ``tr(left (W - Q) right (W - Q)')``; `lower_bound` holds for every matrix on the grid of these scales and
        zeros.
    """

    problem: ClassVar[str] = "compress.quantize"
    inputs: ClassVar[tuple[str, ...]] = ("W", "right", "left")
    integers: Array
    scales: Array
    zeros: Array
    bits: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        m, n = self.integers.shape
        return int(m), int(n)

    @property
    def group(self) -> int:
        """Columns that share a scale."""
        return self.shape[1] // int(self.scales.shape[1])

    @property
    def grid(self) -> Grid:
        """The numbers that each entry may become."""
        scales, zeros = (np.asarray(to_numpy(part)).astype(np.float64) for part in (self.scales, self.zeros))
        return Grid(self.bits, scales, zeros)

    def to_dense(self) -> np.ndarray:
        """Return the rounded matrix in float64, exactly."""
        return self.grid.values(np.asarray(to_numpy(self.integers)).astype(np.float64))

    def recheck(self, W: Any, right: Any = None, left: Any = None) -> Certificate:
        """Derive the certificate of a rounded matrix from the inputs, the answer and the witness alone."""
        problem = weighted(W, right, left)
        m, n = problem[0].shape
        evidence.whole("bits", self.bits, least=1, most=grid_rounding.BITS)
        evidence.array("integers", self.integers, (m, n), "integer")
        groups = evidence.array("scales", self.scales, (m, None)).shape[1]
        evidence.array("zeros", self.zeros, (m, int(groups)), "integer")
        integers = np.asarray(to_numpy(self.integers))
        evidence.whole("the least integer", int(integers.min()), least=0, most=2**self.bits - 1)
        evidence.whole("the largest integer", int(integers.max()), least=0, most=2**self.bits - 1)
        return certify_quantized(*problem, self.grid, integers.astype(np.float64), self.certificate.witness)

    def plot(self, ax: Any = None) -> Any:
        """Draw how often each integer occurs."""
        ax = axes(ax)
        counts = np.bincount(np.asarray(to_numpy(self.integers)).ravel(), minlength=2**self.bits)
        ax.bar(np.arange(counts.size), counts, width=0.9)
        label = wording.error_label(self.certificate)
        ax.set(xlabel="integer", ylabel="entries", title=f"{self.bits} bits, groups of {self.group}: {label}")
        return ax


def weighted(W: Any, right: Any, left: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return matrix and moments in float64 on the host, the moments as `weighted_tail.semidefinite` takes them."""
    matrix = as_matrix(W, "W")
    if is_complex(matrix):
        raise DTypeError("W must be real, got complex numbers; round its real and its imaginary part")
    m, n = (int(size) for size in matrix.shape)
    sides = ((right, "right", n), (left, "left", m))
    C, G = (np.eye(size) if side is None else _moment(side, name, size) for side, name, size in sides)
    return np.asarray(to_numpy(matrix)).astype(np.float64), C, G


def _moment(item: Any, name: str, size: int) -> np.ndarray:
    given = as_matrix(item, name)
    if tuple(given.shape) != (size, size) or is_complex(given):
        raise ShapeError(f"{name} must be a real matrix of shape {(size, size)}, got {tuple(given.shape)}")
    moment = np.asarray(to_numpy(given)).astype(np.float64)
    diagonal, largest = np.diag(moment), float(np.abs(moment).max())
    rounding = 64.0 * size * weighted_tail.EPS * largest * size
    impossible = np.any(diagonal < 0.0) or (moment.any() and not diagonal.any())
    if impossible or np.abs(moment - moment.T).max() > rounding or not largest < 1e150:
        raise NotSemidefiniteError(f"{name} must be symmetric and positive semidefinite, with entries below 1e150")
    shifted = weighted_tail.semidefinite(moment)
    if float(np.max(np.diag(shifted) - diagonal)) > rounding:
        raise NotSemidefiniteError(f"{name} must be positive semidefinite, and has a negative eigenvalue")
    return shifted


def certify_quantized(
    W: np.ndarray,
    C: np.ndarray,
    G: np.ndarray,
    grid: Grid,
    integers: np.ndarray,
    witness: Mapping[str, Any],
    room: float = 1.0,
) -> Certificate:
    """Measure a rounded matrix, and bound the loss of every rounding to its grid; the witness holds e and g."""
    grid_rounding.ask_grid(grid, (W.shape[0], W.shape[1]))
    return Certificate(
        value=grid_rounding.loss(W, grid.values(integers), C, G, room=room),
        lower_bound=grid_rounding.bound(W, grid, C, G, witness["e"], witness["g"], room=room),
        theorem=grid_rounding.THEOREM,
        rigour="rounded",
        witness=witness,
    )
