"""What acts beside an optimizer: schedules of learning rate and weight decay, and the balance of routers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infimum.optim.balance import BalanceController
    from infimum.optim.callables import as_optax
    from infimum.optim.check import IdentityCheck, verify_memory
    from infimum.optim.quantiles import order_statistics
    from infimum.optim.schedulers import MemoryLR, StreamingMemoryLR

# loaded on first use, so that optax users need no PyTorch
_HOMES = {
    "BalanceController": "balance",
    "IdentityCheck": "check",
    "MemoryLR": "schedulers",
    "StreamingMemoryLR": "schedulers",
    "as_optax": "callables",
    "order_statistics": "quantiles",
    "verify_memory": "check",
}

__all__ = [
    "BalanceController",
    "IdentityCheck",
    "MemoryLR",
    "StreamingMemoryLR",
    "as_optax",
    "order_statistics",
    "verify_memory",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"infimum.optim.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'infimum.optim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
