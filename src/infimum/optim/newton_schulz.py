"""The orthogonal factor of a matrix by a polynomial iteration: matrix products only."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from infimum._arguments import optional

optional("torch", "torch")

import torch  # noqa: E402  (after the check for torch)

from infimum.errors import DTypeError, LibraryError, NonFiniteError, OptionError, ShapeError  # noqa: E402
from infimum.minimax import Composition, msign_schedule  # noqa: E402
from infimum.minimax.composition.arguments import as_table  # noqa: E402

Table: TypeAlias = Composition | Sequence[Sequence[float]] | np.ndarray
EPS = 1e-7
CUSHION, SAFETY = 0.02407327424182761, 1.01  # of Scientific Spaces 10996 and of Polar Express
LOWERS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # least singular values that schedules are made for
OVERSHOOT = 0.03  # by how much the values after the last step may exceed 1


@functools.cache
def default_schedule(steps: int = 5) -> Composition:
    """Return quintic steps for singular values up to 1, with the precautions for low precision.

    The least value that they are made for, `lower`, is 0.001, and more where so few steps would leave an error above
    0.03: the best error is shared by both signs, so that values far above 1 would be the price of the smallest ones.
    That is 0.002 for five steps.

    Parameters
    ----------
    steps : int
        Number of steps.

    Returns
    -------
    Composition
        `msign_schedule` with the cushion and the safety factor of Polar Express.
    """
    for lower in LOWERS:
        schedule = msign_schedule(lower, steps, cushion=CUSHION, safety=SAFETY)
        if schedule.certificate.value <= OVERSHOOT:
            break
    return schedule


def orthogonalize(
    M: torch.Tensor, schedule: Table | None = None, *, dtype: torch.dtype | None = None, eps: float = EPS
) -> torch.Tensor:
    """Approximate the orthogonal factor ``U Vᵀ`` of ``M = U S Vᵀ``, the matrix sign, by a Newton-Schulz iteration.

    The matrix is divided by its Frobenius norm, so that its singular values are at most 1, and every step of the
    schedule does ``X <- a X + b X Xᵀ X + c X Xᵀ X Xᵀ X + ...``. A singular value that is `lower` or more of the norm
    ends within `certificate.value` of 1, apart from rounding in `dtype`.

    Parameters
    ----------
    M : Tensor (..., m, n)
        Real matrices, finite, of any shape; leading axes are a batch.
    schedule : Composition, or sequence of tuples, optional
        What `infimum.minimax.msign_schedule` returned, or the coefficients (a, b, ...) of every step. Default: the
        5 quintic steps of `default_schedule`.
    dtype : torch.dtype, optional
        Precision of the products; bfloat16 is what Muon uses. Default: that of `M`.
    eps : float
        The norm is taken to be at least this.

    Returns
    -------
    Tensor (..., m, n)
        dtype and device of `M`.

    Raises
    ------
    LibraryError, ShapeError, DTypeError, NonFiniteError, OptionError
        Each says what was expected, what came, and what to do.

    References
    ----------
    .. [1] K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024),
       https://kellerjordan.github.io/posts/muon/.
    .. [2] Su Jianlin, Scientific Spaces 10922 (the matrix sign by Newton-Schulz, 1), https://kexue.fm/archives/10922,
       and 10996 (the matrix sign by Newton-Schulz, 2), https://kexue.fm/archives/10996.

    Examples
    --------
    >>> import torch
    >>> from infimum import minimax, optim
    >>> M = torch.tensor([[3.0, 1.0], [1.0, 2.0], [0.0, 1.0]])
    >>> X = optim.orthogonalize(M, minimax.msign_schedule(0.1, 5))
    >>> torch.allclose(X.mT @ X, torch.eye(2), atol=1e-5)
    True
    """
    if not isinstance(M, torch.Tensor):
        raise LibraryError(f"M must be a PyTorch tensor, got {type(M).__name__}; convert it with torch.as_tensor(M)")
    if M.ndim < 2 or 0 in M.shape:
        raise ShapeError(f"M must be a matrix or a batch of matrices, not empty, got shape {tuple(M.shape)}")
    if not M.is_floating_point():
        raise DTypeError(f"M must hold real floating-point numbers, got {M.dtype}; convert it with M.float()")
    if dtype is not None and not dtype.is_floating_point:
        raise DTypeError(f"dtype must be a floating-point type, got {dtype}")
    if not eps > 0.0:
        raise OptionError(f"eps must be above 0, got {eps}")
    M = M.detach()
    if not bool(torch.isfinite(M).all()):
        raise NonFiniteError("M must be finite, but it holds NaN or infinity; skip this step or replace them")
    return iterate(M, as_rows(schedule), dtype or M.dtype, eps).to(M.dtype)


def as_rows(schedule: Table | None) -> tuple[tuple[float, ...], ...]:
    """Return the coefficients of every step of a schedule for the matrix sign; the default one for None."""
    if schedule is None:
        schedule = default_schedule()
    if isinstance(schedule, Composition):
        if schedule.power != 2:
            raise OptionError(f"schedule must have odd steps (power 2), got one of power {schedule.power}")
        return schedule.coefficients
    padded, terms = as_table(schedule)
    return tuple(tuple(row[:count]) for row, count in zip(padded.tolist(), terms.tolist(), strict=True))


def iterate(M: torch.Tensor, rows: Sequence[Sequence[float]], dtype: torch.dtype, eps: float) -> torch.Tensor:
    """Normalise and iterate in `dtype`; a tall matrix is transposed, so that the Gram matrix is the small one.

    The order of operations is that of `torch.optim.Muon`: with its coefficients every bit is the same.
    """
    tall = M.shape[-2] > M.shape[-1]
    X = (M.mT if tall else M).to(dtype)
    X = X / torch.linalg.vector_norm(X, dim=(-2, -1), keepdim=True).clamp(min=eps)
    shape = X.shape
    if X.ndim > 2:
        X = X.reshape(-1, *shape[-2:])
    for row in rows:
        X = _step(X, row)
    X = X.reshape(shape)
    return X.mT if tall else X


def _step(X: torch.Tensor, row: Sequence[float]) -> torch.Tensor:
    multiply_add = torch.addmm if X.ndim == 2 else torch.baddbmm
    if len(row) == 1:
        return X * row[0]
    gram = X @ X.mT
    if len(row) == 2:
        return multiply_add(X, gram, X, beta=row[0], alpha=row[1])
    update = multiply_add(gram, gram, gram, beta=row[-2], alpha=row[-1])
    for coefficient in row[-3:0:-1]:  # Horner's rule in the Gram matrix
        update = multiply_add(gram, gram, update, beta=coefficient)
    return multiply_add(X, update, X, beta=row[0])
