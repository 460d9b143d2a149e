"""The truncated singular value decomposition: its loss, and how its certificate is derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat
import numpy as np

from infimum._arguments import axes, whole_numbers
from infimum._arrays import Array, namespace, to_numpy, widen
from infimum._linalg import adjoint, frobenius
from infimum.errors import ShapeError, VerificationError
from infimum.proof import wording
from infimum.proof.answers.factored import Factored, certify_factors
from infimum.proof.certificate import Certificate
from infimum.proof.operators.inputs import as_operator


@dataclass(frozen=True)
class SVD(Factored):
    """``M ≈ U @ diag(s) @ Vh``, the answer of `svd`.

    Attributes
    ----------
    U : array (m, rank)
        Orthonormal columns.
    s : array (rank,)
        Singular values, real, descending.
    Vh : array (rank, n)
        Orthonormal rows.
    certificate : Certificate
        ``lower_bound`` holds for *every* matrix of that rank.
    """

    problem: ClassVar[str] = "lowrank.svd"
    inputs: ClassVar[tuple[str, ...]] = ("M",)
    U: Array
    s: Array
    Vh: Array

    @property
    def rank(self) -> int:
        """Number of singular triples."""
        return int(self.s.shape[0])

    def factors(self) -> tuple[Array, Array]:
        """Return ``U * s`` (in working precision) and ``Vh``."""
        return scaled_left(self.U, self.s), self.Vh

    def recheck(self, M: Array) -> Certificate:
        """Derive the certificate of an SVD from the input, the answer and the witness alone."""
        M = as_operator(M, "M")
        rank = self.rank
        expected = ((M.shape[0], rank), (rank,), (rank, M.shape[1]))
        got = tuple(tuple(part.shape) for part in (self.U, self.s, self.Vh))
        if got != expected:
            raise ShapeError(f"U, s, Vh of shapes {expected} were expected, got {got}")
        xp = namespace(M=M.outer, U=self.U)
        slack = 8.0 * max(M.shape) * rank * float(xp.finfo(M.outer.dtype).eps)
        for name, columns in (("U", widen(self.U)), ("Vh", adjoint(widen(self.Vh)))):
            eye = xp.eye(rank, dtype=columns.dtype, device=array_api_compat.device(columns))
            defect = frobenius(adjoint(columns) @ columns - eye)
            if defect > slack:
                raise VerificationError(f"{name} must be orthonormal to {slack:.1e}, it is off by {defect:.1e}")
        return certify_factors(M, *self.factors(), self.certificate.theorem, self.certificate.witness)

    def plot(self, ax: Any = None) -> Any:
        """Draw the singular values that were kept, and the floor: the least error of any matrix of this rank."""
        ax = axes(ax)
        s = to_numpy(self.s)
        ax.semilogy(
            np.arange(1, self.rank + 1), np.maximum(s, np.finfo(float).tiny), ".-", label="singular values kept"
        )
        ax.axhline(self.certificate.value, color="C1", label=wording.error_label(self.certificate))
        ax.axhline(self.certificate.lower_bound, color="C2", ls="--", label=f"floor {self.certificate.lower_bound:.5g}")
        ax.set(xlabel="index", ylabel="singular value, Frobenius error", title=f"SVD of rank {self.rank}")
        whole_numbers(ax.xaxis)
        ax.legend()
        return ax


def scaled_left(U: Array, s: Array) -> Array:
    """Return ``U * s`` in working precision."""
    wide = widen(U)
    return wide * namespace(U=wide).astype(widen(s), wide.dtype)[None, :]
