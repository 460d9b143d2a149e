"""Searches for best compositions of polynomials."""
