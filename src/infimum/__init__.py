"""Approximation problems on which machine learning runs, each answer with a proof of how good it is.

Rooms: `lowrank`, `minimax`, `balance`, `memory`, `integers`; `compress` for whole checkpoints; `nn` and `optim` for
PyTorch, `sklearn` for scikit-learn. Every solver returns a result with a `certificate`; `verify(result, *inputs)`
derives it again from the input and the witness alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infimum._lazy import attach

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
    import infimum.sample_data as sample_data
    import infimum.scale as scale
    import infimum.sklearn as sklearn
    from infimum.proof.certificate import Certificate
    from infimum.proof.result import Result, from_json
    from infimum.proof.verify import verify

__version__ = "0.1.0"

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
    "sample_data",
    "scale",
    "sklearn",
    "verify",
]

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
    "sample_data",
    "scale",
    "sklearn",
)
_HOMES = {
    **{name: f"infimum.{name}" for name in _MODULES},
    "Certificate": "infimum.proof.certificate",
    "Result": "infimum.proof.result",
    "from_json": "infimum.proof.result",
    "verify": "infimum.proof.verify",
}
if not TYPE_CHECKING:  # a type checker would take any name for one that may load
    __getattr__, __dir__ = attach(__name__, _HOMES)  # so that "import infimum" stays light
