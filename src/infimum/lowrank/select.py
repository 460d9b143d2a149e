"""Which columns to keep: every strategy of the literature behind one small interface."""

from __future__ import annotations

from typing import Literal

import numpy as np

from infimum._arguments import RNGLike, one_of, rank_within
from infimum._arrays import Array, ArrayLike, like_array
from infimum.lowrank.columns.reduction import reduction
from infimum.lowrank.columns.strategies import Chooser, StrategyName, strategy_named
from infimum.proof.operators.inputs import for_columns


def select_columns(
    M: ArrayLike, count: int, strategy: StrategyName | Chooser = "auto", *, axis: Literal[0, 1] = 1, rng: RNGLike = None
) -> Array:
    """Choose columns (or rows) that stand for all, by any strategy of the literature.

    It only chooses. `interpolative` and `cur` choose by the same strategies, and prove how good the choice is.

    Parameters
    ----------
    M : array (m, n)
        Real or complex, finite, of any library of the array API standard, or a table of pandas, Polars or xarray; or a
        sparse matrix (SciPy, PyTorch) or LinearOperator, or the blocks of rows of a matrix larger than memory
        (`infimum.scale.RowBlocks`).
    count : int
        How many, 1 <= count <= min(m, n).
    strategy : str or callable
        By what each column is alone: "norm", the longest; "norm_sampling", drawn in proportion to squared lengths [1]_;
        "uniform"; "kmeans", medoids of clusters [2]_; "column_sampling", pivoted QR of a uniform draw [3]_.
        By the leading singular vectors: "leverage", the largest scores; "leverage_sampling" [4]_; "ridge_leverage"
        [5]_; "deim" [6]_; "qdeim" [7]_; "adaptive_pivoting", adaptive randomised pivoting [8]_; "osinsky", within
        ``sqrt(count + 1)`` of the optimum when nothing was sketched [9]_.
        By pivoting: "pivoted_qr" [10]_; "lupp", LU with partial pivoting of a sketch [11]_; "strong_rrqr" [12]_; QR of
        random combinations of the rows, "gaussian_projection" [14]_, "sparse_sign_projection" [15]_ and
        "cosine_projection" [16]_.
        By the total error left: "greedy" [13]_; "auto", the best of "osinsky", "greedy" and "pivoted_qr" ("osinsky"
        for a matrix that is sketched), then exchanges of single columns.
        A function ``strategy(matrix, count, rng)``: it gets the NumPy matrix to which M was reduced, with the Gram
        matrix of M, and returns `count` different indices of its columns.
    axis : {1, 0}
        1: columns. 0: rows.
    rng : int or numpy.random.Generator, optional
        Seed of what is drawn.

    Returns
    -------
    array (count,) of int64
        Different indices, the first taken first, in the library and on the device of `M`. A matrix of which the smaller
        side is above 600 and at least four times `count` is sketched first (see "Notes").

    Raises
    ------
    ShapeError, RankError, NonFiniteError, DTypeError, LibraryError, OptionError
        Each says what was expected, what came, and what to do.

    Notes
    -----
    Strategies work on the host, on the triangular factor of a QR or on a sketch of about ``2 * count`` rows that is
    made where the data lives: no pivoted QR of the device is needed.

    References
    ----------
    .. [1] A. Frieze, R. Kannan, S. Vempala, "Fast Monte-Carlo algorithms for finding low-rank approximations",
       J. ACM 51 (2004).
    .. [2] D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007; Su Jianlin,
       Scientific Spaces 10662 (low rank 5, CUR), https://kexue.fm/archives/10662.
    .. [3] "Optim-RID", arXiv:2105.07076 (2021); Su Jianlin, Scientific Spaces 10501 (low rank 4, ID), https://kexue.fm/archives/10501.
    .. [4] P. Drineas, M. Mahoney, S. Muthukrishnan, "Relative-error CUR matrix decompositions", SIAM J. Matrix Anal.
       Appl. 30 (2008).
    .. [5] M. Cohen, C. Musco, C. Musco, "Input sparsity time low-rank approximation via ridge leverage score
       sampling", SODA 2017.
    .. [6] D. Sorensen, M. Embree, "A DEIM induced CUR factorization", SIAM J. Sci. Comput. 38 (2016).
    .. [7] Z. Drmač, S. Gugercin, "A new selection operator for the discrete empirical interpolation method",
       SIAM J. Sci. Comput. 38 (2016).
    .. [8] A. Cortinovis, D. Kressner, "Adaptive randomized pivoting for column subset selection, DEIM, and low-rank
       approximation", arXiv:2412.13992 (2024).
    .. [9] A. Osinsky, "Close to optimal column approximation using a single SVD", arXiv:2308.09068 (2023).
    .. [10] P. Businger, G. Golub, "Linear least squares solutions by Householder transformations",
       Numer. Math. 7 (1965).
    .. [11] Y. Dong, P.-G. Martinsson, "Simpler is better: a comparative study of randomized pivoting algorithms for
       CUR and interpolative decompositions", Adv. Comput. Math. 49 (2023).
    .. [12] M. Gu, S. Eisenstat, "Efficient algorithms for computing a strong rank-revealing QR factorization",
       SIAM J. Sci. Comput. 17 (1996).
    .. [13] A. Farahat, A. Ghodsi, M. Kamel, "An efficient greedy method for unsupervised feature selection",
       ICDM 2011.
    .. [14] E. Liberty, F. Woolfe, P.-G. Martinsson, V. Rokhlin, M. Tygert, "Randomized algorithms for the low-rank
       approximation of matrices", PNAS 104 (2007).
    .. [15] P.-G. Martinsson, J. A. Tropp, "Randomized numerical linear algebra: foundations and algorithms",
       Acta Numerica 29 (2020).
    .. [16] F. Woolfe, E. Liberty, V. Rokhlin, M. Tygert, "A fast randomized algorithm for the approximation of
       matrices", Appl. Comput. Harmon. Anal. 25 (2008).

    Examples
    --------
    >>> import numpy as np, infimum
    >>> M = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0], [1.0, 2.0, 3.0]])
    >>> infimum.lowrank.select_columns(M, 2, "pivoted_qr").tolist()
    [2, 1]
    """
    operator = for_columns(M, "M")
    rank_within("count", count, min(operator.shape))
    one_of("axis", axis, (0, 1))
    if axis == 0:
        operator = operator.adjoint()
    generator = np.random.default_rng(rng)
    chosen = strategy_named(strategy)(reduction(operator, count, generator), count, generator)
    return like_array(chosen.astype(np.int64), operator.outer)
