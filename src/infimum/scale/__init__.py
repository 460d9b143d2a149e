"""Matrices larger than memory: the same solvers, and the same certificates, in a few passes over blocks of rows."""

from infimum.proof.operators.row_blocks import RowBlocks

__all__ = ["RowBlocks"]


def __dir__() -> list[str]:
    return __all__
