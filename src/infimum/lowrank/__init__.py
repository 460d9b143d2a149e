"""Low-rank approximation: SVD, pseudo-inverse, least squares, CR, columns, CUR, Nystrom, each with a certificate."""

from infimum.lowrank.cr import cr
from infimum.lowrank.cur import cur
from infimum.lowrank.interpolative import interpolative
from infimum.lowrank.nystrom import nystrom
from infimum.lowrank.pinv import pinv
from infimum.lowrank.select import select_columns
from infimum.lowrank.solve import solve
from infimum.lowrank.svd import svd
from infimum.proof.answers.cr import CR
from infimum.proof.answers.cur import CUR
from infimum.proof.answers.interpolative import Interpolative
from infimum.proof.answers.nystrom import Nystrom
from infimum.proof.answers.pinv import PseudoInverse
from infimum.proof.answers.solve import Solution
from infimum.proof.answers.svd import SVD
from infimum.proof.batch import Batch
from infimum.proof.operators.kernel_matrix import KernelMatrix

__all__ = [
    "CR",
    "CUR",
    "SVD",
    "Batch",
    "Interpolative",
    "KernelMatrix",
    "Nystrom",
    "PseudoInverse",
    "Solution",
    "cr",
    "cur",
    "interpolative",
    "nystrom",
    "pinv",
    "select_columns",
    "solve",
    "svd",
]


def __dir__() -> list[str]:
    return __all__
