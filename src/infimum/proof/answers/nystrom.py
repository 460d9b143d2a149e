"""The answer of `nystrom`: landmarks and a factor, its error in the trace norm, and the floor under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import Array, ArrayLike, is_complex, namespace, times_power_of_two, to_numpy, widen
from infimum._linalg import adjoint
from infimum._scaling import scale_back
from infimum.errors import NotSemidefiniteError
from infimum.proof import evidence, wording
from infimum.proof.answers.factored import Factored, as_rows
from infimum.proof.certificate import Certificate
from infimum.proof.operators.kernel import Entries
from infimum.proof.theorems import nystrom_trace


@dataclass(frozen=True)
class Nystrom(Factored):
    """``K ≈ factor @ factor*``, the answer of `nystrom`.

    Attributes
    ----------
    landmarks : array (rank,) of int64
        Indices of the columns from which the approximation is made.
    factor : array (n, rank)
        ``factor @ factor* ≈ K[:, S] K[S, S]^-1 K[S, :]``.
    certificate : Certificate
        In the trace norm; `lower_bound` holds for *every* matrix of that rank.
    """

    problem: ClassVar[str] = "lowrank.nystrom"
    inputs: ClassVar[tuple[str, ...]] = ("K",)
    landmarks: Array
    factor: Array

    @property
    def rank(self) -> int:
        """Number of landmarks."""
        return int(self.landmarks.shape[0])

    def factors(self) -> tuple[Array, Array]:
        """Return `factor` and its conjugate transpose."""
        return self.factor, adjoint(self.factor)

    def transform(self, block: ArrayLike) -> Array:
        """Return features (q, rank) of new points from their kernel with the landmarks, a (q, rank) block.

        The product of the features with the adjoint of `factor` is what the landmarks tell of the kernel between new
        and old points; `factor` holds the features of the old ones.
        """
        block = as_rows(block, self.factor)
        xp = namespace(block=block)
        at_landmarks = xp.take(self.factor, self.landmarks, axis=0)
        features = adjoint(xp.linalg.solve(widen(at_landmarks), adjoint(widen(block))))
        return xp.astype(features, self.factor.dtype)

    def recheck(self, K: Any) -> Certificate:
        """Derive the certificate of a Nystrom approximation from the input, the answer and the witness alone."""
        entries = Entries(K)
        chosen = evidence.indices("landmarks", self.landmarks, entries.shape[0])
        kind: evidence.Kind = "complex" if is_complex(entries.outer) else "real"
        factor = evidence.array("factor", self.factor, (entries.shape[0], chosen.size), kind, like=entries.outer)
        return certify_nystrom(entries, chosen, factor, self.certificate.witness)

    def plot(self, ax: Any = None) -> Any:
        """Draw the eigenvalues of the approximation, its error and the floor."""
        ax = axes(ax)
        factor = to_numpy(self.factor).astype(np.complex128 if np.iscomplexobj(to_numpy(self.factor)) else np.float64)
        values = np.linalg.svd(factor, compute_uv=False) ** 2
        ax.semilogy(np.arange(1, values.size + 1), np.maximum(values, np.finfo(float).tiny), ".-", label="eigenvalues")
        ax.axhline(self.certificate.value, color="C1", label=wording.error_label(self.certificate))
        ax.axhline(self.certificate.lower_bound, color="C2", ls="--", label=f"floor {self.certificate.lower_bound:.5g}")
        ax.set(xlabel="index", ylabel="eigenvalue, trace norm of the error", title=f"Nystrom, {self.rank} landmarks")
        whole_numbers(ax.xaxis)
        ax.legend()
        return ax


def certify_nystrom(
    entries: Entries, chosen: np.ndarray, answer: Array, witness: Mapping[str, Any], room: float = 1.0
) -> Certificate:
    """Measure the error in the trace norm and bound it from below for every matrix of that rank.

    The witness names the spectrum of an array, or at most `more_landmarks` of so many.
    """
    factor = to_numpy(answer)
    wide = factor.astype(np.complex128 if np.iscomplexobj(factor) else np.float64)
    scaled = times_power_of_two(wide, -(entries.exponent // 2))
    value = nystrom_trace.trace_error(entries, chosen, scaled, double=factor.dtype == wide.dtype, room=room)
    if witness.keys() == {"spectrum"} and witness["spectrum"] is True:
        bound = nystrom_trace.spectral_bound(entries, chosen.size, room)
    else:
        more = evidence.indices("the landmarks of the witness", witness["landmarks"], entries.shape[0])
        evidence.whole("their number", more.size, least=0, most=more_landmarks(chosen.size))
        bound = nystrom_trace.landmark_bound(entries, chosen.size, more, room)
        if bound > value:  # the theorem does not allow it
            raise NotSemidefiniteError("K must be positive semidefinite: its columns contradict its diagonal")
    return Certificate(
        value=scale_back(value, entries.exponent, toward=float("inf")),
        lower_bound=scale_back(bound, entries.exponent, toward=0.0),
        theorem=nystrom_trace.THEOREM,
        rigour="rounded",
        witness=witness,
    )


def more_landmarks(chosen: int) -> int:
    """How many landmarks the bound may rest on: it takes little more time than the approximation."""
    return 2 * chosen + 20
