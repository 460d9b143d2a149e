"""Machine formats: rounding a rational number to them, exactly, and stepping to neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from infimum._arguments import one_of


@dataclass(frozen=True, slots=True)
class Format:
    """A binary floating-point format: `bits` of precision (the hidden one included), exponents of normal numbers."""

    name: str
    bits: int
    least_exponent: int
    largest_exponent: int

    @property
    def unit(self) -> float:
        """Largest relative error of an operation. Those on 16 bits are done in float32, and rounded twice."""
        return 2.0**-self.bits + (2.0**-24 + 2.0**-40 if self.bits < 24 else 0.0)

    @property
    def tiny(self) -> float:
        """What underflow may lose: the smallest normal number, or half the spacing of float16, which nobody flushes."""
        return float(2.0 ** (self.least_exponent - (self.bits if self.name == "float16" else 0)))

    @property
    def largest(self) -> float:
        """Largest finite number."""
        return float((2.0 - 2.0 ** (1 - self.bits)) * 2.0**self.largest_exponent)

    def spacing(self, number: Fraction) -> Fraction:
        """Distance of neighbouring machine numbers at a number (of the binade that holds it)."""
        exponent = self.least_exponent
        if number:
            # bit lengths give the exponent or one more
            size = abs(number)
            exponent = size.numerator.bit_length() - size.denominator.bit_length()
            exponent -= Fraction(2) ** exponent > size
        return Fraction(2) ** (max(exponent, self.least_exponent) - self.bits + 1)

    def round(self, number: Fraction) -> Fraction:
        """Round to nearest, ties to even (beyond the largest number too: the caller checks the range)."""
        step = self.spacing(number)
        return round(number / step) * step


FORMATS = {
    "bfloat16": Format("bfloat16", 8, -126, 127),
    "float16": Format("float16", 11, -14, 15),
    "float32": Format("float32", 24, -126, 127),
    "float64": Format("float64", 53, -1022, 1023),
}


COEFFICIENTS = {  # a sum of two float32 has 48 bits, and the second one is no subnormal number but where it is tiny
    **FORMATS,
    "float32x2": Format("float32x2", 48, -102, 126),
}


def as_format(dtype: object, name: str = "dtype", formats: Mapping[str, Format] = FORMATS) -> Format:
    """Return the format of a name, or of a dtype of NumPy or PyTorch."""
    text = str(getattr(dtype, "__name__", dtype)).removeprefix("torch.")
    one_of(name, text, tuple(formats))
    return formats[text]
