"""Searches among machine numbers, and the rounding of programs that evaluate polynomials."""
