"""PyTorch schedulers that write the learning rate **and** the weight decay."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from infimum._arguments import optional

optional("torch", "torch")

import torch  # noqa: E402  (after the check for torch)
from torch.optim import Optimizer  # noqa: E402

from infimum._arrays import to_numpy  # noqa: E402
from infimum.errors import FileFormatError, OptionError, ShapeError  # noqa: E402
from infimum.memory import MatchRMS, MemoryReport, Proportional, Schedule  # noqa: E402
from infimum.memory.online import Stream  # noqa: E402
from infimum.optim.decay_scheduler import DecayScheduler  # noqa: E402

Table: TypeAlias = Schedule | MemoryReport


class MemoryLR(DecayScheduler):
    """Set learning rate and weight decay of every step from a table: a design, or any schedule that was measured.

    A `torch.optim.lr_scheduler.LRScheduler`: call ``step()`` after every optimizer step; it works inside SequentialLR
    (a scheduler that comes before it there trains with the weight decay of this one's first step) and, as the first
    one, inside ChainedScheduler. The values are absolute, whatever ``lr`` and ``weight_decay`` the
    optimizer was made with; only groups with weight decay 0 keep that. The optimizer must decay by
    ``lr * weight_decay`` (see `verify_memory`). After the end of the schedule its last values hold.

    The state is a few numbers and a hash of the tables, which come with the schedule each time: a run that is resumed
    with another schedule, a longer one for example, goes on with that one and is warned.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        AdamW, Muon, SGD without momentum, or another optimizer with decoupled weight decay.
    schedule : Schedule, MemoryReport, or sequence of these
        What `infimum.memory.design` or `infimum.memory.report` returned: one for all parameter groups, or one for each.
    last_epoch : int
        As in PyTorch: number of steps already taken, less one.
    multipliers : sequence of float, optional
        One for each parameter group, above 0: its learning rate is multiplied, and its weight decay divided, so that
        their product, and with it the memory of the batches, is that of the schedule.

    Warns
    -----
    UserWarning
        All groups have weight decay 0, so that the schedule's is not applied; or the state that is loaded comes from
        another schedule.

    Raises
    ------
    ShapeError
        The number of schedules is neither 1 nor that of the parameter groups; or that of multipliers is another.
    OptionError
        The optimizer has no weight decay; a multiplier is not above 0.

    Examples
    --------
    >>> import torch
    >>> from infimum import memory, optim
    >>> layer = torch.nn.Linear(2, 2)
    >>> optimizer = torch.optim.AdamW(layer.parameters())
    >>> schedule = memory.design("uniform", 100, max_lr=1e-2, weight_decay=0.1, warmup=5)
    >>> scheduler = optim.MemoryLR(optimizer, schedule)
    >>> optimizer.step(); scheduler.step()
    >>> round(scheduler.get_last_lr()[0], 4), optimizer.param_groups[0]["weight_decay"]
    (0.004, 0.1)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Table | Sequence[Table],
        last_epoch: int = -1,
        *,
        multipliers: Sequence[float] | None = None,
    ) -> None:
        groups = len(optimizer.param_groups)
        schedules = [schedule] * groups if isinstance(schedule, Schedule | MemoryReport) else list(schedule)
        if len(schedules) != groups:
            raise ShapeError(f"one schedule, or one for each of {groups} parameter groups, expected {len(schedules)}")
        self._factors = _group_multipliers(multipliers, groups)
        tables = {id(item): (_numbers(item.lr), _numbers(item.weight_decay)) for item in schedules}  # shared by groups
        self._tables = [tables[id(item)] for item in schedules]
        self.schedule_hash = self._hash()
        super().__init__(optimizer, last_epoch)
        kept = any(group["initial_weight_decay"] for group in optimizer.param_groups)
        if not kept and any(any(decay) for _, decay in tables.values()):
            warnings.warn(
                "every parameter group has weight decay 0 and keeps it, so the weight decay of the schedule is not "
                "applied; make the optimizer with a weight decay above 0 for the groups that shall decay",
                stacklevel=2,
            )

    def get_lr(self) -> list[float | torch.Tensor]:
        """Return the learning rate of every group at the present step."""
        step = max(self.last_epoch, 0)
        pairs = zip(self._tables, self._factors, strict=True)
        return [(lr[step] if step < len(lr) else lr[-1]) * factor for (lr, _), factor in pairs]

    def get_weight_decay(self) -> list[float]:
        """Return the weight decay of every group at the present step."""
        step = max(self.last_epoch, 0)
        pairs = zip(self._tables, self._factors, strict=True)
        return [(decay[step] if step < len(decay) else decay[-1]) / factor for (_, decay), factor in pairs]

    def _hash(self) -> str:
        digest, seen = hashlib.sha256(), {}
        for tables, factor in zip(self._tables, self._factors, strict=True):
            if id(tables) not in seen:
                seen[id(tables)] = hashlib.sha256(b"".join(np.array(table).tobytes() for table in tables)).hexdigest()
            digest.update(f"{seen[id(tables)]} {len(tables[0])} {factor!r};".encode())
        return digest.hexdigest()[:16]

    def state_dict(self) -> dict[str, Any]:
        """Return a few numbers and the hash of the schedule, which is not stored."""
        return {key: value for key, value in super().state_dict().items() if key not in ("_tables", "_factors")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the step, then write the values of the given schedule there; warn if the saved one was another."""
        own, saved = self.schedule_hash, state_dict.get("schedule_hash")
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "schedule_hash"})
        if saved == own:
            return
        warnings.warn(
            f"the state comes from another schedule (hash {saved}) than the one given (hash {own}); the run goes on at "
            f"step {self.last_epoch} of the one given",
            stacklevel=2,
        )
        if state_dict.get("in_charge", True):
            self._last_lr = self.get_lr()
            self._restore()


def memory_scheduler(
    optimizer: Optimizer,
    design: str | Path,
    last_epoch: int = -1,
    *,
    multipliers: Sequence[float] | None = None,
) -> MemoryLR:
    """Make a `MemoryLR` from what ``infimum memory design --json design.json`` wrote, for loops driven by files.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        As for `MemoryLR`.
    design : str or Path
        The JSON of a design.
    last_epoch, multipliers
        As for `MemoryLR`.

    Returns
    -------
    MemoryLR
        A scheduler for all parameter groups.

    Raises
    ------
    FileFormatError
        The file cannot be read, or holds something else.
    ShapeError, OptionError
        As for `MemoryLR`.
    """
    try:
        text = Path(design).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{design} cannot be read as the JSON of a design: {error}") from error
    try:
        schedule = Schedule.from_json(text)
    except FileFormatError as error:
        raise FileFormatError(f"{design}: {error}; write it with infimum memory design --json") from error
    return MemoryLR(optimizer, schedule, last_epoch, multipliers=multipliers)


class StreamingMemoryLR(DecayScheduler):
    """Learning rate and weight decay that remember every batch as wanted, without knowing how long training lasts.

    Stopped after any step, the memory of the batches is proportional to what was wanted of them, after the warm-up and
    as far as `max_lr` allows. With equal wishes and constant weight decay this is the schedule
    ``lr / (1 + weight_decay * lr * s)``.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        With decoupled weight decay (see `verify_memory`).
    max_lr : float
        Learning rate after the warm-up, and largest one.
    weight_decay : float, Proportional or MatchRMS
        As for `infimum.memory.design`.
    warmup : int
        Steps of linear warm-up.
    last_epoch : int
        As in PyTorch.

    Raises
    ------
    OptionError, InfeasibleError
        As for `infimum.memory.design`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        max_lr: float,
        weight_decay: float | Proportional | MatchRMS,
        warmup: int = 0,
        last_epoch: int = -1,
    ) -> None:
        self._stream = Stream(max_lr, weight_decay, warmup)
        self._filled = self._stream.start
        self._now = (0.0, 0.0)
        super().__init__(optimizer, last_epoch)

    def step(self, wanted: float = 1.0) -> None:  # type: ignore[override]
        """Move on to the next batch, of which this much is to be remembered, relative to the first one.

        The first batch has weight 1. Call it after the optimizer's step.
        """
        taken = self._stream.take(self._filled, self.last_epoch + 1, wanted)
        self._filled, self._now = taken.filled, (taken.lr, taken.weight_decay)
        super().step()

    def get_lr(self) -> list[float | torch.Tensor]:
        """Return the learning rate of every group at the present step."""
        return [self._now[0]] * len(self.optimizer.param_groups)

    def get_weight_decay(self) -> list[float]:
        """Return the weight decay of every group at the present step."""
        return [self._now[1]] * len(self.optimizer.param_groups)

    def state_dict(self) -> dict[str, Any]:
        """Return the state: numbers only, so that it can be loaded with ``weights_only=True``."""
        return {key: value for key, value in super().state_dict().items() if key != "_stream"}


def _numbers(values: Any) -> list[float]:
    numbers: list[float] = to_numpy(values).astype(np.float64).tolist()
    return numbers


def _group_multipliers(multipliers: Sequence[float] | None, groups: int) -> list[float]:
    factors = [1.0] * groups if multipliers is None else [float(factor) for factor in multipliers]
    if len(factors) != groups:
        raise ShapeError(f"multipliers must be one for each of {groups} parameter groups, got {len(factors)}")
    if not all(0.0 < factor < math.inf for factor in factors):
        raise OptionError(f"multipliers must be finite and above 0, got {factors}")
    return factors
