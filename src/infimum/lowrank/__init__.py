"""Low-rank approximation: SVD, pseudo-inverse, columns and rows, Nystrom, each with a certificate."""

from infimum._entries import KernelMatrix
from infimum.lowrank.interpolative import Interpolative, interpolative
from infimum.lowrank.nystrom import Nystrom, nystrom
from infimum.lowrank.pinv import PseudoInverse, pinv
from infimum.lowrank.select import select_columns
from infimum.lowrank.solve import Solution, solve
from infimum.lowrank.svd import SVD, svd

__all__ = [
    "SVD",
    "Interpolative",
    "KernelMatrix",
    "Nystrom",
    "PseudoInverse",
    "Solution",
    "interpolative",
    "nystrom",
    "pinv",
    "select_columns",
    "solve",
    "svd",
]
