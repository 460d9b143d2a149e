"""The truncated singular value decomposition: its loss, and how its certificate is derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat
import numpy as np

from infimum._arguments import RNGLike, axes, whole_numbers
from infimum._arrays import Array, namespace, to_numpy, widen
from infimum._linalg import adjoint, frobenius
from infimum.errors import VerificationError
from infimum.proof import evidence, wording
from infimum.proof.answers.factored import Factored, bound_of_any_matrix, certify_factors
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

    def recheck(self, M: Any, *, rng: RNGLike = None) -> Certificate:
        """Derive the certificate of an SVD from the input, the answer and the witness alone."""
        operator = as_operator(M, "M")
        s = evidence.array("s", self.s, (None,), like=operator.outer)
        rank = check_singular_values(to_numpy(s), min(operator.shape))
        kind: evidence.Kind = "complex" if operator.complex else "real"
        U = evidence.array("U", self.U, (operator.shape[0], rank), kind, like=operator.outer)
        Vh = evidence.array("Vh", self.Vh, (rank, operator.shape[1]), kind, like=operator.outer)
        slack = 8.0 * max(operator.shape) * rank * float(operator.xp.finfo(operator.outer.dtype).eps)
        check_orthonormal("U", widen(U), slack)
        check_orthonormal("Vh", adjoint(widen(Vh)), slack)
        claimed = self.certificate
        bound = bound_of_any_matrix(operator, rank, claimed.theorem, claimed.witness, rng)
        return certify_factors(operator, scaled_left(U, s), Vh, claimed.theorem, bound)

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


def check_singular_values(values: np.ndarray, most: int) -> int:
    """Raise `VerificationError` unless they are at least 0 and descending; return their number."""
    if not 1 <= values.size <= most:
        raise VerificationError(f"s must hold from 1 to {most} singular values, got {values.size}")
    if np.any(values < 0.0) or np.any(values[1:] > values[:-1]):
        raise VerificationError("s must hold singular values: at least 0 and descending")
    return int(values.size)


def check_orthonormal(name: str, columns: Array, slack: float) -> None:
    """Raise `VerificationError` unless ``columns* @ columns`` is the identity to `slack`."""
    xp = namespace(columns=columns)
    eye = xp.eye(columns.shape[1], dtype=columns.dtype, device=array_api_compat.device(columns))
    defect = frobenius(adjoint(columns) @ columns - eye)
    if not defect <= slack:
        raise VerificationError(f"{name} must be orthonormal to {slack:.1e}, it is off by {defect:.1e}")
