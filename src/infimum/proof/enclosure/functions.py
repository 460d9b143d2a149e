"""What may be approximated: an expression, a piecewise polynomial, or a Python function known by its values only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from infimum._arrays import ArrayLike
from infimum.errors import OptionError
from infimum.proof.enclosure.expressions import Expression
from infimum.proof.enclosure.known_functions import knots_of, recognised, table
from infimum.proof.enclosure.parsing import TOO_LARGE, parse
from infimum.proof.enclosure.piecewise import Piecewise
from infimum.proof.enclosure.sympy_text import text_of
from infimum.proof.evidence import shown


@dataclass(frozen=True, slots=True)
class BlackBox:
    """A function known by its values only, in double precision, and perhaps by `nodes` at which it may have kinks."""

    function: Callable[[np.ndarray], Any]
    nodes: tuple[float, ...] = ()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Evaluate at an array of points."""
        with np.errstate(all="ignore"):
            values = np.asarray(self.function(x))
        if values.dtype.kind not in "biuf" or values.shape not in ((), np.shape(x)):
            raise OptionError(
                f"f must return one real number for every point: {np.shape(x)} points gave an array of shape "
                f"{values.shape} and dtype {values.dtype}; give a function that works on NumPy arrays"
            )
        return np.broadcast_to(values.astype(np.float64), np.shape(x))

    def switches(self) -> Iterator[Expression]:
        """Nothing is known of its kinks."""
        return iter(())

    def parity(self) -> int:
        """Nothing is known of its symmetry."""
        return 0

    def __str__(self) -> str:
        return f"<{getattr(self.function, '__name__', type(self.function).__name__)}>"


Function = Expression | Piecewise | BlackBox
FunctionLike: TypeAlias = str | float | Fraction | Callable[[np.ndarray], np.ndarray] | tuple[ArrayLike, ArrayLike]


def as_function(f: Any, name: str = "f") -> Function:
    """Return `f`, a name, an expression (SymPy's, too), a number, a table or a callable on arrays, as a `Function`.

    Raises
    ------
    OptionError
        The text is not an expression in x of known functions, or `f` is something else.
    """
    if isinstance(f, Expression | Piecewise | BlackBox):
        return f
    if isinstance(f, str):
        return parse(f, name)
    if isinstance(f, int | float | Fraction) and not isinstance(f, bool) and -TOO_LARGE < f < TOO_LARGE:
        return Expression("number", number=Fraction(f))
    if type(f).__module__.startswith("sympy."):
        return parse(text_of(f, name), name)
    if isinstance(f, tuple | list) and len(f) == 2 and not isinstance(f[0], str):
        return table(f[0], f[1], name)
    if callable(f):
        return recognised(f) or BlackBox(f, knots_of(f))
    raise OptionError(
        f"{name} must be a name such as 'gelu', an expression such as 'exp(-x**2)', a table (x, y), or a function of a "
        f"NumPy array, got {shown(f)}"
    )


def given_again(name: str, f: Any) -> Any:
    """Return what a stored name stands for: itself, if it is a formula, else `f`, which must be given again."""
    if f is not None:
        return f
    if name.startswith("<"):
        raise OptionError(f"{name} was a Python object: give it again, as f=...")
    return name
