"""Approximation problems on which machine learning runs, each answer with a proof of how good it is.

Rooms: `lowrank`, `minimax`, `balance`, `memory`, `integers`; `compress` for whole checkpoints; `nn` and `optim` for
PyTorch. Every solver returns a result with a `certificate`; `verify(result, *inputs)` derives it again from the input
and the witness alone.
"""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import infimum.balance as balance
    import infimum.compress as compress
    import infimum.errors as errors
    import infimum.integers as integers
    import infimum.lowrank as lowrank
    import infimum.memory as memory
    import infimum.minimax as minimax
    import infimum.nn as nn
    import infimum.optim as optim
    import infimum.problems as problems
    import infimum.proof as proof
    import infimum.report as report
    import infimum.scale as scale
    from infimum.proof.certificate import Certificate
    from infimum.proof.result import Result, from_json
    from infimum.proof.verify import verify

__version__ = "0.1.0"

_MODULES = (
    "balance",
    "compress",
    "errors",
    "integers",
    "lowrank",
    "memory",
    "minimax",
    "nn",
    "optim",
    "problems",
    "proof",
    "report",
    "scale",
)
_NAMES = {
    "Certificate": "infimum.proof.certificate",
    "Result": "infimum.proof.result",
    "from_json": "infimum.proof.result",
    "verify": "infimum.proof.verify",
}

__all__ = [
    "Certificate",
    "Result",
    "balance",
    "compress",
    "errors",
    "from_json",
    "integers",
    "lowrank",
    "memory",
    "minimax",
    "nn",
    "optim",
    "problems",
    "proof",
    "report",
    "scale",
    "verify",
]


_loading = threading.RLock()


def __getattr__(name: str) -> Any:
    # Rooms load on first use (PEP 562), so that "import infimum" stays light. One thread after the other: modules of
    # SciPy that import each other in a circle are seen half done by a second one. No room asks here for another room.
    if name in _MODULES:
        with _loading:
            return importlib.import_module(f"infimum.{name}")
    if name in _NAMES:
        with _loading:
            value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'infimum' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
