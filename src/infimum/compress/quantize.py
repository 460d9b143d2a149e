"""Rounding a matrix to few bits, with a bound for every rounding to the same grid."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from infimum._arguments import one_of, whole_number
from infimum._arrays import ArrayLike, as_array, like_array
from infimum._threads import one_thread
from infimum.compress.menu.grid_loops import Shape
from infimum.compress.menu.rounding import Rounded, diagonal_below, factors, round_matrix
from infimum.errors import OptionError, RangeError, ShapeError
from infimum.proof.answers.quantized_matrix import QuantizedMatrix, certify_quantized, weighted
from infimum.proof.rounding import ROOM
from infimum.proof.theorems.grid_rounding import BITS

ScaleType = Literal["float16", "float32"]
NEAREST = (math.inf, math.inf)  # damping that leaves nothing of the moments: each entry by itself


def quantize(
    W: ArrayLike,
    right: ArrayLike | None = None,
    left: ArrayLike | None = None,
    *,
    bits: int = 4,
    group: int | None = 64,
    symmetric: bool = False,
    damping: tuple[float, float] = (0.03, 0.6),
    scales: ScaleType = "float16",
) -> QuantizedMatrix:
    """Round a matrix to few bits an entry: ``W ≈ scales * (integers - zeros)``, a scale for each group of columns.

    Minimises ``tr(left (W - Q) right (W - Q)')`` over matrices Q of this form. With `right` the moment of a linear
    layer's inputs and `left` that of the gradients at its outputs, this models the increase of the loss.

    Parameters
    ----------
    W : array (m, n)
        Real, finite.
    right, left : array (n, n) and (m, m), optional
        Symmetric positive semidefinite; the identity by default. They are taken with the multiple of the identity, as
        small as rounding, that makes them provably so.
    bits : int
        From 1 to 8.
    group : int, optional
        Neighbouring columns of a row that share a scale and a zero; it divides n. None: whole rows.
    symmetric : bool
        Whether the middle integer stands for 0: then no zeros need to be stored.
    damping : (float, float)
        What is added to `right` and `left` while rounding, relative to their mean eigenvalues. It keeps the rounding
        from relying on directions that the moments know badly: 0 is best for these moments, more for others like them.
        Value and bound are of the moments without it.
    scales : {"float16", "float32"}
        How scales are stored.

    Returns
    -------
    QuantizedMatrix
        `integers`, `scales`, `zeros`: library and device of `W`; `to_dense()`; `certificate`.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    NotSemidefiniteError
        `right` or `left` is not symmetric, or has a negative eigenvalue.
    RangeError
        The scales do not fit their dtype.

    Notes
    -----
    The loops are compiled where Numba is installed; without it the answer is the same and takes some hundred times as
    long. The bound is of the fixed grid, and loose where the moments are far from diagonal.

    References
    ----------
    .. [1] E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh, "GPTQ: accurate post-training quantization for generative
       pre-trained transformers", ICLR 2023.
    .. [2] A. Tseng, Z. Sun, C. De Sa, "Model-preserving adaptive rounding", arXiv 2505.22988.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> W = np.random.default_rng(0).standard_normal((64, 128))
    >>> result = infimum.compress.quantize(W, bits=4)
    >>> bool(np.abs(W - result.to_dense()).max() < 0.4)
    True
    """
    given = as_array(W, "W")
    matrix, C, G = weighted(given, right, left)
    one_of("scales", scales, get_args(ScaleType))
    shape = _shape(matrix, bits, group, symmetric, scales)
    _check_damping(damping)
    with one_thread():
        integers, grid, _ = _best(matrix, C, G, shape, damping)
        witness = {"e": diagonal_below(C, ROOM), "g": diagonal_below(G, ROOM)}
        certificate = certify_quantized(matrix, C, G, grid, integers, witness, room=ROOM)
    return QuantizedMatrix(
        integers=like_array(integers.astype(np.uint8), given),
        scales=like_array(grid.scales.astype(scales), given),
        zeros=like_array(grid.zeros.astype(np.uint8), given),
        bits=bits,
        certificate=certificate,
    )


def _shape(W: np.ndarray, bits: int, group: int | None, symmetric: bool, scales: ScaleType) -> Shape:
    n = W.shape[1]
    if whole_number("bits", bits, least=1) > BITS:
        raise OptionError(f"bits must be from 1 to {BITS}, got {bits}; numbers of more bits are what W holds already")
    group = n if group is None else whole_number("group", group, least=1)
    if n % group:
        raise ShapeError(f"group must divide the {n} columns of W, got {group}; give a divisor, or None for whole rows")
    limits = np.finfo(scales)
    largest = 2.0 * float(np.abs(W).max())
    if largest > float(limits.max) or 0.0 < largest / (2**bits - 1) < float(limits.smallest_normal):
        other = "; give scales='float32'" if scales == "float16" else "; scale W first"
        raise RangeError(f"steps for entries as large as {largest / 2:g} do not fit {scales}{other}")
    return Shape(bits, group, symmetric, limits.nmant + 1, int(math.log2(float(limits.smallest_subnormal))))


def _check_damping(damping: tuple[float, float]) -> None:
    if len(damping) != 2 or not all(0.0 <= part < math.inf for part in damping):
        raise OptionError(f"damping must be two finite numbers of at least 0, for right and left, got {damping}")


def _best(W: np.ndarray, C: np.ndarray, G: np.ndarray, shape: Shape, damping: tuple[float, float]) -> Rounded:
    """Round adaptively, and entry by entry to the nearest number; return what has the smaller loss."""
    tried = (round_matrix(W, factors(C, right), factors(G, left), shape) for right, left in (damping, NEAREST))
    return min(tried, key=lambda found: found.loss(W, C, G))
