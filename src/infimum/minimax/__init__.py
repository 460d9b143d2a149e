"""Best uniform approximation by polynomials, with the equioscillation theorem as a certificate."""

from infimum.minimax.polynomial import MinimaxPolynomial, polynomial

__all__ = ["MinimaxPolynomial", "polynomial"]
