"""Matrices larger than memory: the same solvers, and the same certificates, in a few passes over blocks of rows."""

from infimum.scale.rows import RowBlocks

__all__ = ["RowBlocks"]
