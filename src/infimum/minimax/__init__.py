"""Minimax approximation: best polynomials, and compositions of them, with proofs from both sides."""

from infimum.minimax.compositions import Composition
from infimum.minimax.least_degree import LeastDegree, degree_for
from infimum.minimax.optimality import Optimality, check, sup_norm
from infimum.minimax.polynomial import MinimaxPolynomial, polynomial
from infimum.minimax.published import PUBLISHED, PublishedTable
from infimum.minimax.rational import MinimaxRational, rational
from infimum.minimax.rounding import RoundedPolynomial, rounded
from infimum.minimax.schedules import msign_schedule, root_schedule, verify_schedule

__all__ = [
    "PUBLISHED",
    "Composition",
    "LeastDegree",
    "MinimaxPolynomial",
    "MinimaxRational",
    "Optimality",
    "PublishedTable",
    "RoundedPolynomial",
    "check",
    "degree_for",
    "msign_schedule",
    "polynomial",
    "rational",
    "root_schedule",
    "rounded",
    "sup_norm",
    "verify_schedule",
]
