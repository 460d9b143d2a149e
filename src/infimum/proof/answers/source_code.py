"""What answers that can be written as source code have in common."""

from __future__ import annotations

import importlib
from fractions import Fraction
from typing import Any, Literal

from infimum.errors import OptionError
from infimum.proof.certificate import Certificate
from infimum.proof.evidence import shown

Scheme = Literal["auto", "horner", "estrin", "lead", "parts", "centred", "chebyshev"]


class Emitter:
    """Abstract base of polynomials and quotients that write themselves as source code.

    The code is written by `infimum.minimax.codegen`, which is loaded on use: no proof depends on it.

    The comment of the code states the certified approximation error, a proven bound on what rounding adds (that of the
    coefficients to the format, and that of every operation), and the sum of both. `dtype` is "float32" or "float64" for
    C; NumPy also has "float16", PyTorch and Triton "float16" and "bfloat16" (in Triton no quotients). `name` is that of
    the function. `scheme` is the form: "horner" has the fewest operations, "estrin" the shortest chain of them; "lead"
    adds x last, where a polynomial begins with x itself; "parts" adds a constant in two parts, where one number of the
    format does not hold it; "centred" is Horner's in ``x - c``, "chebyshev" Clenshaw's
    recurrence, for domains far from 0 and for high degrees; "auto" takes the one with the least proven total error.
    """

    f: str
    powers: tuple[int, ...]
    domain: Any
    relative: bool
    weight: Any
    certificate: Certificate

    def exact_coefficients(self) -> list[Fraction]:
        """Coefficients of ``x**powers`` as rational numbers."""
        raise NotImplementedError(f"{type(self).__name__} must have coefficients")

    def parts_of_code(self) -> tuple[dict[Any, Fraction], ...]:
        """Coefficients by their powers: of a polynomial, or of numerator and denominator."""
        exact, powers = self.exact_coefficients(), tuple(self.powers)
        if len(set(powers)) != len(powers) or len(exact) != len(powers):
            raise OptionError(
                f"powers must be different, one for each of {len(exact)} coefficients, got {shown(powers)}"
            )
        return (dict(zip(powers, exact, strict=True)),)

    def to_c(
        self, dtype: object = "float32", scheme: Scheme = "auto", name: str = "p", *, decimals: bool = False
    ) -> str:
        """Return a C99 function with its coefficients as hexadecimal floats, or as the same numbers in `decimals`.

        Hexadecimal floats are part of C++ from C++17 on.
        """
        return str(_writer().generate(self, "c", dtype, scheme, name, decimals=decimals))

    def to_numpy(self, dtype: object = "float64", scheme: Scheme = "auto", name: str = "p") -> str:
        """Return a Python function of a NumPy array."""
        return str(_writer().generate(self, "numpy", dtype, scheme, name))

    def to_torch(self, dtype: object = "float32", scheme: Scheme = "auto", name: str = "p") -> str:
        """Return a Python function of a PyTorch tensor."""
        return str(_writer().generate(self, "torch", dtype, scheme, name))

    def to_triton(self, dtype: object = "float32", scheme: Scheme = "auto", name: str = "p") -> str:
        """Return a Triton function of a block, and a kernel that applies it to an array."""
        return str(_writer().generate(self, "triton", dtype, scheme, name))

    def evaluation_error(self, dtype: object = "float32", scheme: Scheme = "auto") -> Any:
        """Bound what rounding adds when it is evaluated in a format; see `infimum.minimax.codegen`."""
        return _writer().rounding_of(self, dtype, scheme)


def _writer() -> Any:
    return importlib.import_module("infimum.minimax.codegen")
