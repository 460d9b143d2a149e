"""Estimators for scikit-learn: low-rank approximation in pipelines, each with the certificate of what it fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infimum._arguments import optional
from infimum._lazy import attach

if TYPE_CHECKING:
    from infimum.sklearn.components import CertifiedPCA, TruncatedSVD
    from infimum.sklearn.features import ColumnSelector
    from infimum.sklearn.kernel_map import Nystroem
    from infimum.sklearn.regression import LowRankRegressor

optional("sklearn", "sklearn")

__all__ = ["CertifiedPCA", "ColumnSelector", "LowRankRegressor", "Nystroem", "TruncatedSVD"]

_HOMES = {
    "CertifiedPCA": "infimum.sklearn.components",
    "ColumnSelector": "infimum.sklearn.features",
    "LowRankRegressor": "infimum.sklearn.regression",
    "Nystroem": "infimum.sklearn.kernel_map",
    "TruncatedSVD": "infimum.sklearn.components",
}
if not TYPE_CHECKING:  # a type checker would take any name for one that may load
    __getattr__, __dir__ = attach(__name__, _HOMES)
