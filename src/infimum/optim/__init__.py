"""Muon with certified steps, alone or beside AdamW; schedules of learning rate and weight decay; balanced routers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infimum._lazy import attach

if TYPE_CHECKING:
    from infimum.optim.balance import BalanceController
    from infimum.optim.callables import as_optax
    from infimum.optim.check import IdentityCheck, verify_memory
    from infimum.optim.matrices import Split
    from infimum.optim.muon import Muon
    from infimum.optim.muon_adamw import MuonAdamW
    from infimum.optim.newton_schulz import default_schedule, orthogonalize
    from infimum.optim.parameter_groups import split_parameters
    from infimum.optim.quantiles import order_statistics
    from infimum.optim.schedulers import MemoryLR, StreamingMemoryLR, memory_scheduler

__all__ = [
    "BalanceController",
    "IdentityCheck",
    "MemoryLR",
    "Muon",
    "MuonAdamW",
    "Split",
    "StreamingMemoryLR",
    "as_optax",
    "default_schedule",
    "memory_scheduler",
    "order_statistics",
    "orthogonalize",
    "split_parameters",
    "verify_memory",
]

_HOMES = {
    "BalanceController": "infimum.optim.balance",
    "IdentityCheck": "infimum.optim.check",
    "MemoryLR": "infimum.optim.schedulers",
    "Muon": "infimum.optim.muon",
    "MuonAdamW": "infimum.optim.muon_adamw",
    "Split": "infimum.optim.matrices",
    "StreamingMemoryLR": "infimum.optim.schedulers",
    "as_optax": "infimum.optim.callables",
    "default_schedule": "infimum.optim.newton_schulz",
    "memory_scheduler": "infimum.optim.schedulers",
    "order_statistics": "infimum.optim.quantiles",
    "orthogonalize": "infimum.optim.newton_schulz",
    "split_parameters": "infimum.optim.parameter_groups",
    "verify_memory": "infimum.optim.check",
}
if not TYPE_CHECKING:  # a type checker would take any name for one that may load
    __getattr__, __dir__ = attach(__name__, _HOMES)  # so that users of optax need no PyTorch
