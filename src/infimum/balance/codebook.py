"""Balanced codebooks: k-means whose cells all have their share of the points."""

from __future__ import annotations

import numpy as np

from infimum._arguments import RNGLike, whole_number
from infimum._arrays import ArrayLike, as_matrix, like_array, namespace, narrow, to_numpy
from infimum.balance.search.balanced_kmeans import alternate
from infimum.balance.search.load_windows import Loads, limits
from infimum.errors import OptionError, ShapeError
from infimum.proof.answers.balanced_codebook import BalancedCodebook, certify_codebook
from infimum.proof.real_arrays import fitted, float64_matrix
from infimum.proof.rounding import ROOM


def balanced_codebook(
    points: ArrayLike,
    n_codes: int,
    *,
    load: Loads | None = None,
    codes: ArrayLike | None = None,
    steps: int = 30,
    rng: RNGLike = None,
) -> BalancedCodebook:
    """Find codes that stand for points, each for its share of them: balanced k-means.

    Minimises the sum of squared distances of the points to their codes, in turns over the assignments within the limits
    of the loads (exactly, by the paths of `balanced_topk`) and over the codes (their means). The assignment is optimal
    for the codes returned; the codes themselves are a local optimum.

    Parameters
    ----------
    points : array (m, d)
        Real, finite.
    n_codes : int
        Number of codes, from 1 to m.
    load : array (n,), tuple (low, high), or array (2, n), optional
        Points of every code, as in `balanced_topk`; by default m / n, rounded down or up.
    codes : array (n, d), optional
        Where to start, instead of points drawn at random.
    steps : int
        Rounds of assigning and averaging at most; they end earlier when no label changes.
    rng : int or numpy.random.Generator, optional
        Seed of the start.

    Returns
    -------
    BalancedCodebook
        `codes` (n, d), `labels` (m,), `bias` (n,), `loads` (n,): library and device of `points`.

    Raises
    ------
    ShapeError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.
    InfeasibleError
        The loads cannot be met.
    RangeError
        Squared distances are beyond the range of float64.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 10489, 10519 and 10757, on codebooks that collapse, and the bias against it.
    .. [2] F. Aurenhammer, F. Hoffmann, B. Aronov, "Minkowski-type theorems and least-squares clustering", Algorithmica
       20 (1998), 61-76.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> points = np.array([[0.0], [1.0], [2.0], [9.0]])
    >>> result = infimum.balance.balanced_codebook(points, 2, rng=0)
    >>> sorted(result.codes.ravel().tolist()), result.loads.tolist()
    ([0.5, 5.5], [2, 2])
    """
    points = as_matrix(points, "points")
    values = float64_matrix(points, "points")
    n_codes = whole_number("n_codes", n_codes, 1)
    if n_codes > values.shape[0]:
        raise OptionError(f"n_codes must be at most the number of points, {values.shape[0]}, got {n_codes}")
    steps = whole_number("steps", steps, 0)
    tokens = values.shape[0]
    within = limits(np.full(n_codes, tokens), tokens, load, tokens)
    xp = namespace(points=points)
    if codes is None:
        start = values[np.sort(np.random.default_rng(rng).choice(values.shape[0], n_codes, replace=False))]
    else:
        start = float64_matrix(codes, "codes")
        if start.shape != (n_codes, values.shape[1]):
            raise ShapeError(f"codes must have shape {(n_codes, values.shape[1])}, got {start.shape}")

    def rounded(wide: np.ndarray) -> np.ndarray:
        return to_numpy(narrow(like_array(wide, points), points, "a code")).astype(np.float64)

    found, labels, bias = alternate(values, start, within, rounded, steps)
    certificate = certify_codebook(values, found, labels, within, bias, room=ROOM)
    return BalancedCodebook(
        codes=xp.astype(like_array(found, points), points.dtype),
        labels=like_array(labels, points),
        bias=fitted(bias.high, points),
        loads=like_array(np.bincount(labels, minlength=n_codes), points),
        load=like_array(np.stack([within.low, within.high]), points),
        certificate=certificate,
    )
