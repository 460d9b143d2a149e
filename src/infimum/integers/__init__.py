"""Whole numbers: products plus remainders, solved exactly."""

from infimum.integers.product_plus_remainder import ProductPlusRemainder, product_plus_remainder
from infimum.integers.product_plus_remainder_many import ProductsPlusRemainders, product_plus_remainder_many

__all__ = [
    "ProductPlusRemainder",
    "ProductsPlusRemainders",
    "product_plus_remainder",
    "product_plus_remainder_many",
]
