"""Schedules as functions of the step count, for optax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from infimum._arrays import is_array, like_array, namespace, to_numpy
from infimum.memory import MemoryReport, Schedule


def as_optax(schedule: Schedule | MemoryReport) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return learning rate and weight decay as functions of the step count, for ``optax.adamw`` and its kin.

    Parameters
    ----------
    schedule : Schedule or MemoryReport
        What `infimum.memory.design` or `infimum.memory.report` returned.

    Returns
    -------
    learning_rate, weight_decay : callable
        Functions of the count 0, 1, ... (a number, or an array that may be traced by ``jax.jit``); after the end of the
        schedule its last value holds.

    Examples
    --------
    >>> from infimum import memory, optim
    >>> schedule = memory.design("uniform", 3, max_lr=0.1, weight_decay=1.0)
    >>> learning_rate, weight_decay = optim.as_optax(schedule)
    >>> round(learning_rate(0), 4), round(learning_rate(2), 4), weight_decay(2)
    (0.1, 0.0833, 1.0)
    """
    lr, decay = (_look_up(to_numpy(table).astype(float)) for table in (schedule.lr, schedule.weight_decay))
    return lr, decay


def _look_up(table: np.ndarray) -> Callable[[Any], Any]:
    def value(count: Any) -> Any:
        if not is_array(count):
            return float(table[min(max(int(count), 0), table.size - 1)])
        xp = namespace(count=count)
        return xp.take(like_array(table, count), xp.clip(count, 0, table.size - 1))

    return value
