"""A positive semidefinite matrix known by its entries: all of them in memory, or a kernel between points."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from infimum._arrays import (
    UNSCALED,
    as_matrix,
    times_power_of_two,
    to_numpy,
)
from infimum._linalg import frobenius, row_chunks
from infimum._scaling import scale_back
from infimum.errors import NotSemidefiniteError, OptionError, ShapeError
from infimum.proof.operators.kernel_matrix import KernelMatrix, SparseKernel
from infimum.proof.operators.sparse import is_sparse, with_zeros
from infimum.proof.rounding import rounding_allowance

EPS = 2.0 * float(np.finfo(np.float64).eps)  # spacing, doubled for complex numbers as everywhere
HUGE = 1e90  # beyond it, relative to the diagonal, an entry is no rounding, and its square might overflow
SPECTRUM = 2000  # order up to which an array in memory is decomposed, for its sign and its best approximations


class Entries:
    """Columns and diagonal of a checked input, in double precision on the host, scaled by a power of four.

    Of an array in memory they are those of its Hermitian part.

    Attributes
    ----------
    exponent : int
        Even power of two by which the original is larger.
    outer : array
        Array of the library, device and dtype in which answers are returned.
    diagonal : array (n,)
        Real; what is negative through rounding stays so.
    skew : float
        Bound on the trace norm of what an array in memory differs by from its Hermitian part.
    """

    def __init__(self, K: Any) -> None:
        if is_sparse(K):
            K = SparseKernel(K) if max(K.shape) > SPECTRUM else with_zeros(K)
        self.kernel = K if isinstance(K, KernelMatrix) else None
        self.array = np.empty((0, 0))
        if self.kernel is not None:
            self.shape, self.outer = self.kernel.shape, self.kernel.columns(np.arange(1))
        else:
            self.outer = as_matrix(K, "K")
            self.shape = (int(self.outer.shape[0]), int(self.outer.shape[1]))
            if self.shape[0] != self.shape[1]:
                raise ShapeError(f"K must be square, got shape {self.shape}")
            self.array = to_numpy(self.outer)
        diagonal = self.kernel.diagonal() if self.kernel is not None else np.diagonal(self.array)
        largest = float(np.max(np.abs(diagonal)))
        exponent = 2 * ((math.frexp(largest)[1] + 1) // 2) if largest else 0
        self.exponent = exponent if abs(exponent) > UNSCALED else 0
        self.seen: dict[bytes, np.ndarray] = {}  # of a kernel, which may be dear: the columns that were asked for last
        self.diagonal = self._scaled(diagonal).real.astype(np.float64)
        lowest = float(np.min(self.diagonal))
        if lowest < -self.floor:
            held = scale_back(lowest, self.exponent, toward=0.0)
            raise NotSemidefiniteError(f"K must be positive semidefinite, its diagonal holds {held:.3g}")
        if np.iscomplexobj(diagonal) and float(np.max(np.abs(self._scaled(diagonal).imag))) > self.doubt:
            raise NotSemidefiniteError("K must be Hermitian, but its diagonal is not real")
        self.skew = 0.0 if self.kernel is not None else self._asymmetry()

    @property
    def doubt(self) -> float:
        """Half the digits of the precision in which the entries came: what they may be off by, relative to their size.

        The size of an entry is the root of the product of the diagonal entries beside it.
        """
        half = "16" in str(self.outer.dtype)  # bfloat16, too
        dtype = np.dtype(np.float16) if half else to_numpy(self.outer[:0, :0]).real.dtype
        return math.sqrt(float(np.finfo(dtype).eps))

    @property
    def floor(self) -> float:
        """What an entry may be off by whatever its size: 64 spacings of the largest one on the diagonal."""
        return 64.0 * self.doubt**2 * float(np.max(np.abs(self.diagonal)))

    def columns(self, indices: np.ndarray) -> np.ndarray:
        """Return ``K[:, indices]``."""
        if self.kernel is not None:
            key = indices.tobytes()
            if key not in self.seen:
                self.seen[key] = self._gathered(self.kernel, indices)
                self.seen[key].flags.writeable = False  # a proof reads what a search has asked for
            return self.seen[key]
        columns, rows = self._scaled(self.array[:, indices]), self._scaled(self.array[indices, :])
        return np.asarray((columns + rows.conj().T) / 2.0)

    def block(self, indices: np.ndarray) -> np.ndarray:
        """Return ``K[indices, indices]``."""
        return self._with_diagonal(self.part(indices, indices), np.arange(indices.size), indices)

    def part(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return ``K[rows, columns]``, whose diagonal is as the kernel computes it."""
        if self.kernel is not None:
            return self._bounded(self.kernel.part(rows, columns))
        return self._scaled(self.array[np.ix_(rows, columns)])

    def _gathered(self, kernel: KernelMatrix, indices: np.ndarray) -> np.ndarray:
        """Evaluate the columns that were not asked for before, and put them beside the others."""
        held: dict[int, tuple[np.ndarray, int]] = {}
        for key, columns in self.seen.items():
            held |= {int(index): (columns, place) for place, index in enumerate(np.frombuffer(key, indices.dtype))}
        new = np.asarray([index for index in indices if int(index) not in held], dtype=indices.dtype)
        if new.size == indices.size:
            return self._with_diagonal(self._bounded(to_numpy(kernel.columns(new))), new, new).view()
        if new.size:
            fresh = self.columns(new)
            held |= {int(index): (fresh, place) for place, index in enumerate(new)}
        found = [held[int(index)] for index in indices]
        sources = {id(columns): columns for columns, _ in found}
        whole = np.empty((self.shape[0], indices.size), dtype=np.result_type(*sources.values()))
        for name, columns in sources.items():
            put = [place for place, (source, _) in enumerate(found) if id(source) == name]
            whole[:, _run(put)] = columns[:, _run([found[place][1] for place in put])]
        covered = set(indices.tolist())  # what this holds, too, is dropped
        self.seen = {k: v for k, v in self.seen.items() if not covered.issuperset(np.frombuffer(k, indices.dtype))}
        return whole

    def _with_diagonal(self, block: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Put the diagonal that is known in the place of the one that was computed, if that agrees."""
        if self.kernel is None or self.kernel.known is None or not columns.size:
            return block
        given = self.diagonal[columns]
        seen = block[rows, np.arange(columns.size)]
        off = np.abs(seen - given) - self.doubt * float(np.max(np.abs(self.diagonal)))
        if float(np.max(off)) > 0.0:
            i = int(np.argmax(off))
            raise OptionError(
                f"diagonal must hold kernel(x, x) of every point, but that of point {columns[i]} is "
                f"{seen[i] / given[i] if given[i] else math.inf:.6g} times as large"
            )
        block = block.copy()
        block[rows, np.arange(columns.size)] = given
        return block

    def _scaled(self, block: np.ndarray) -> np.ndarray:
        wide = block.astype(np.complex128 if np.iscomplexobj(block) else np.float64, copy=False)
        return np.asarray(times_power_of_two(wide, -self.exponent))

    def _bounded(self, block: np.ndarray) -> np.ndarray:
        """Scale entries that are seen for the first time, and refuse those that the diagonal rules out by far."""
        scaled = self._scaled(block)
        largest = [float(np.max(np.abs(scaled[rows]))) for rows in row_chunks(scaled)] if scaled.size else [0.0]
        if not float(np.max(largest)) <= HUGE:  # nor is a NaN
            raise NotSemidefiniteError(
                f"K must be positive semidefinite, but an entry is more than {HUGE:.0e} times as large as its diagonal"
            )
        return scaled

    @cached_property
    def spectrum(self) -> np.ndarray | None:
        """Eigenvalues, descending, of the Hermitian part of an array of moderate size."""
        if self.kernel is not None or self.shape[0] > SPECTRUM:
            return None
        return np.linalg.eigvalsh(self.columns(np.arange(self.shape[0])))[::-1]

    def negative_part(self, room: float = 1.0) -> tuple[float, float]:
        """Bounds on the sum and on the size of the negative eigenvalues, which rounding makes.

        The computed spectrum of an array is that of a matrix that differs by `each` in the Frobenius norm, so the sizes
        of n eigenvalues move by ``sqrt(n) * each`` together. Where there is no spectrum to tell, entries that are off
        by twice their spacing at random would have eigenvalues of about this size: that is taken on trust.
        """
        n = self.shape[0]
        if self.spectrum is None:
            off = 2.0 * self.doubt**2 * float(np.sum(np.abs(self.diagonal)))
            return off * math.sqrt(n), off / math.sqrt(n)
        each = room * spectrum_allowance(self.spectrum)
        lowest = max(each - float(self.spectrum[-1]), 0.0)
        total = float(np.sum(np.maximum(-self.spectrum, 0.0))) + math.sqrt(n) * each
        return (total, lowest) if lowest > 0.0 else (0.0, 0.0)

    def _asymmetry(self) -> float:
        """Check an array for symmetry and sign; what differs from the Hermitian part is at most the difference here."""
        whole = self._bounded(self.array)
        difference, total = frobenius(whole - whole.conj().T), frobenius(whole)
        if not difference <= 1e-6 * total:
            raise NotSemidefiniteError(
                f"K must be symmetric (Hermitian), but K and its transpose differ by {difference / total:.3g} of its "
                "norm; symmetrise it first, or use interpolative for a matrix that is not"
            )
        n = self.shape[0]
        if self.spectrum is not None:
            beyond = 64.0 * n * self.doubt**2 * float(self.spectrum[0])
            if float(self.spectrum[-1]) < -beyond:
                raise NotSemidefiniteError(
                    "K must be positive semidefinite, it has a negative eigenvalue beyond rounding"
                )
        else:
            refuse_large_entries(self, whole, np.arange(n), np.arange(n))
        return difference * math.sqrt(n)


def spectrum_allowance(spectrum: np.ndarray) -> float:
    """How far the computed spectrum may lie from the true one, in the Euclidean norm of all eigenvalues."""
    n = int(spectrum.size)
    return rounding_allowance((n, n), EPS, float(np.linalg.norm(spectrum)))


def refuse_large_entries(K: Entries, block: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    """Refuse a matrix with ``abs(K[i, j])**2 > K[i, i] * K[j, j]`` beyond rounding: it has a negative eigenvalue."""
    roots = np.sqrt(np.maximum(K.diagonal, 0.0))
    for part in row_chunks(block) if block.size else ():
        excess = np.abs(block[part])
        if float(np.max(excess)) <= float(np.min(roots[rows[part]])) * float(np.min(roots[columns])):
            continue
        excess -= np.outer(roots[rows[part]], roots[columns] * (1.0 + K.doubt))
        if float(np.max(excess)) > K.floor:
            at = np.unravel_index(int(np.argmax(excess)), excess.shape)
            i, j = int(rows[part][at[0]]), int(columns[at[1]])
            raise NotSemidefiniteError(
                f"K must be positive semidefinite, but K[{i}, {j}] is larger than sqrt(K[{i}, {i}] * K[{j}, {j}])"
            )


def _run(places: list[int]) -> slice | list[int]:
    """Return consecutive places as a slice, which is quicker to copy."""
    start, stop = places[0], places[0] + len(places)
    return slice(start, stop) if places == list(range(start, stop)) else places
