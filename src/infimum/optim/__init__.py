"""Muon with certified steps; schedules of learning rate and weight decay; a check of optimizers; balanced routers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infimum.optim.balance import BalanceController
    from infimum.optim.callables import as_optax
    from infimum.optim.check import IdentityCheck, verify_memory
    from infimum.optim.muon import Muon
    from infimum.optim.newton_schulz import default_schedule, orthogonalize
    from infimum.optim.quantiles import order_statistics
    from infimum.optim.schedulers import MemoryLR, StreamingMemoryLR

# loaded on first use, so that optax users need no PyTorch
_HOMES = {
    "BalanceController": "balance",
    "IdentityCheck": "check",
    "MemoryLR": "schedulers",
    "Muon": "muon",
    "StreamingMemoryLR": "schedulers",
    "as_optax": "callables",
    "default_schedule": "newton_schulz",
    "order_statistics": "quantiles",
    "orthogonalize": "newton_schulz",
    "verify_memory": "check",
}

__all__ = [
    "BalanceController",
    "IdentityCheck",
    "MemoryLR",
    "Muon",
    "StreamingMemoryLR",
    "as_optax",
    "default_schedule",
    "order_statistics",
    "orthogonalize",
    "verify_memory",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"infimum.optim.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'infimum.optim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
