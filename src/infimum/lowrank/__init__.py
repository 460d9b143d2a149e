"""Low-rank approximation: SVD, pseudo-inverse, interpolative decomposition, each with a certificate."""

from infimum.lowrank.cr import CR, cr
from infimum.lowrank.cur import CUR, cur
from infimum.lowrank.interpolative import Interpolative, interpolative
from infimum.lowrank.pinv import PseudoInverse, pinv
from infimum.lowrank.select import select_columns
from infimum.lowrank.svd import SVD, svd

__all__ = [
    "CR",
    "CUR",
    "SVD",
    "Interpolative",
    "PseudoInverse",
    "cr",
    "cur",
    "interpolative",
    "pinv",
    "select_columns",
    "svd",
]
