"""Best uniform approximation by polynomials, with the equioscillation theorem as a certificate."""
