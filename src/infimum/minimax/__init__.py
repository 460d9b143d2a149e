"""Minimax approximation: best polynomials, and compositions of them, with proofs from both sides."""

from infimum.minimax.check import check, sup_norm
from infimum.minimax.given.optimality import Change, Optimality
from infimum.minimax.least_degree import LeastDegree, degree_for
from infimum.minimax.polynomial import polynomial
from infimum.minimax.published import PUBLISHED, PublishedTable
from infimum.minimax.rational import rational
from infimum.minimax.rounding import rounded
from infimum.minimax.schedules import msign_schedule, root_schedule, verify_schedule
from infimum.minimax.total_error import TotalError, total_error
from infimum.proof.answers.composition import Composition
from infimum.proof.answers.polynomial import MinimaxPolynomial
from infimum.proof.answers.rational import MinimaxRational
from infimum.proof.answers.rounded import RoundedPolynomial

__all__ = [
    "PUBLISHED",
    "Change",
    "Composition",
    "LeastDegree",
    "MinimaxPolynomial",
    "MinimaxRational",
    "Optimality",
    "PublishedTable",
    "RoundedPolynomial",
    "TotalError",
    "check",
    "degree_for",
    "msign_schedule",
    "polynomial",
    "rational",
    "root_schedule",
    "rounded",
    "sup_norm",
    "total_error",
    "verify_schedule",
]


def __dir__() -> list[str]:
    return __all__
