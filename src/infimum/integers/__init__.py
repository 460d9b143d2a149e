"""Whole numbers: products plus remainders, solved exactly."""

from infimum.integers import brute_force
from infimum.integers.product_plus_remainder import ProductPlusRemainder, product_plus_remainder
from infimum.integers.product_plus_remainder_many import ProductsPlusRemainders, product_plus_remainder_many

__all__ = [
    "ProductPlusRemainder",
    "ProductsPlusRemainders",
    "brute_force",
    "product_plus_remainder",
    "product_plus_remainder_many",
]
