"""Loops that no array operation can be: compiled where Numba is installed, run as they are written where it is not.

Both give the same bits: no product and sum are fused, and nothing is reordered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a function of arrays and numbers, which may call others like it."""
    return compiled_or(loop)(loop)


def compiled_or(plain: Loop) -> Callable[[Loop], Loop]:
    """Compile a loop; where that cannot be, let `plain` stand for it, which does the same by operations on arrays."""

    def compile_(loop: Loop) -> Loop:
        try:
            import numba
        except ImportError:
            return plain
        compile_it: Any = numba.njit
        # no loop divides by zero; to ask in each division would keep processors from several at a time
        options = {"nogil": True, "error_model": "numpy"}
        try:
            fast: Loop = compile_it(cache=True, **options)(loop)
        except RuntimeError:  # no folder for the compiled code can be written: compiled anew in each process
            fast = compile_it(**options)(loop)
        return fast

    return compile_
