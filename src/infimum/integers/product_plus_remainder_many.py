"""Many whole numbers as products plus remainders, each at the least sum: n = a*b + c, vectorised."""

from __future__ import annotations

from infimum._arrays import ArrayLike, namespace
from infimum.proof.answers.product_plus_remainder_many import ProductsPlusRemainders, certify_sums, whole_numbers
from infimum.proof.theorems import product_plus_remainder as theorem


def product_plus_remainder_many(values: ArrayLike) -> ProductsPlusRemainders:
    """Split every whole number of an array into a product and a remainder, ``n = a*b + c``, with the least sum.

    Minimises ``a + b + c`` for every element, by the search of `product_plus_remainder` in step for all of them.

    Parameters
    ----------
    values : array of integers
        Whole numbers from 0 to 2**63 - 1, any shape: NumPy, PyTorch or another library of the array API standard,
        on a device that has float64.

    Returns
    -------
    ProductsPlusRemainders
        `a`, `b`, `c` and `sums`: int64 arrays of the shape, library and device of `values`; `certificate` of the total.

    Raises
    ------
    DTypeError, LibraryError, OptionError, RangeError
        Not integers, not an array, a negative value, or a value of 2**63 or more.

    References
    ----------
    .. [1] Su Jianlin, Scientific Spaces 9775 (N = ab + c with the least a + b + c), https://kexue.fm/archives/9775.

    Examples
    --------
    >>> import numpy as np, infimum
    >>> result = infimum.integers.product_plus_remainder_many(np.array([130, 30522, 50257]))
    >>> result.a.tolist(), result.b.tolist(), result.c.tolist()
    ([10, 140, 201], [13, 218, 250], [0, 2, 7])
    """
    flat, shape = whole_numbers(values)
    xp = namespace(values=flat)
    sums, line = theorem.least_sums(flat)
    c = sums - line
    start, defect, _ = theorem.start_lines(flat)
    square = defect + (line - start) * (line + start) + 4 * c  # (b - a)**2, below 2**53
    difference = xp.astype(xp.sqrt(xp.astype(square, xp.float64)), xp.int64)
    a, b, c = (xp.reshape(item, shape) for item in ((line - difference) // 2, (line + difference) // 2, c))
    return ProductsPlusRemainders(a, b, c, certificate=certify_sums((a, b, c), sums))
