"""Whole numbers: products plus remainders, solved exactly."""

from infimum.integers.product_plus_remainder import product_plus_remainder
from infimum.integers.product_plus_remainder_many import product_plus_remainder_many
from infimum.proof.answers.product_plus_remainder import ProductPlusRemainder
from infimum.proof.answers.product_plus_remainder_many import ProductsPlusRemainders

__all__ = [
    "ProductPlusRemainder",
    "ProductsPlusRemainders",
    "product_plus_remainder",
    "product_plus_remainder_many",
]


def __dir__() -> list[str]:
    return __all__
