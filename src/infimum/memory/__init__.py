"""Learning rate and weight decay as a moving average over the data: measure the memory of a schedule, or design it.

The certificates speak of the memory profile, never of the training loss, which an even memory need not lower.
"""

from infimum.memory.decay import MatchRMS, Proportional
from infimum.memory.design import design
from infimum.memory.lr_tables import PUBLISHED, lr_table
from infimum.memory.momentum import gradient_target
from infimum.memory.report import MemoryReport, report
from infimum.memory.sources import from_csv, from_optax, from_torch
from infimum.memory.targets import forgetting, per_sample
from infimum.proof.answers.memory_design import Schedule

__all__ = [
    "PUBLISHED",
    "MatchRMS",
    "MemoryReport",
    "Proportional",
    "Schedule",
    "design",
    "forgetting",
    "from_csv",
    "from_optax",
    "from_torch",
    "gradient_target",
    "lr_table",
    "per_sample",
    "report",
]


def __dir__() -> list[str]:
    return __all__
