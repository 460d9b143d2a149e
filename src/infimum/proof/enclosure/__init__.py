"""Enclosures of functions: balls, Taylor models, expressions."""
