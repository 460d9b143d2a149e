"""PyTorch schedulers that write the learning rate **and** the weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from infimum._arguments import optional

optional("torch", "torch")

import torch  # noqa: E402  (after the check for torch)
from torch.optim import Optimizer  # noqa: E402
from torch.optim.lr_scheduler import LRScheduler  # noqa: E402

from infimum._arrays import to_numpy  # noqa: E402
from infimum.errors import OptionError, ShapeError  # noqa: E402
from infimum.memory import MatchRMS, MemoryReport, Proportional, Schedule  # noqa: E402
from infimum.memory.online import Stream  # noqa: E402

Table: TypeAlias = Schedule | MemoryReport


class _DecayScheduler(LRScheduler):
    """Abstract base: a scheduler that knows the weight decay as well, and restores both.

    Groups whose weight decay is 0 when the scheduler is made (biases, norms) keep it at 0.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        for group in optimizer.param_groups:
            if "weight_decay" not in group:
                raise OptionError(f"{type(optimizer).__name__} has no weight decay to schedule in its parameter groups")
            group.setdefault("initial_weight_decay", float(group["weight_decay"]))
        super().__init__(optimizer, last_epoch)

    def get_weight_decay(self) -> list[float]:
        """Return the weight decay of every group at the present step."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Move on to the next step; call it after the optimizer's."""
        super().step(epoch)
        self._set()  # a PyTorch without _update_lr has set the learning rate only

    def _update_lr(self, epoch: int | None = None) -> None:
        # torch calls this, not step(), when SequentialLR switches schedulers
        super()._update_lr(epoch)
        self._set()

    def _set(self) -> None:
        self._last_weight_decay = self.get_weight_decay()
        self._write()

    def _write(self) -> None:
        values = zip(self.optimizer.param_groups, self._last_lr, self._last_weight_decay, strict=True)
        for group, lr, decay in values:
            _put(group, "lr", float(lr))
            _put(group, "weight_decay", decay if group["initial_weight_decay"] else 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimizer, and whether this scheduler is the one that sets its present values."""
        groups = self.optimizer.param_groups
        in_charge = all(float(group["lr"]) == float(lr) for group, lr in zip(groups, self._last_lr, strict=True))
        return {**super().state_dict(), "in_charge": in_charge}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore everything, then write learning rate and weight decay to the optimizer.

        So the first step after a resume uses the right ones, whether the optimizer's state was loaded before or after
        this scheduler was made. A scheduler that was not in charge (another one of a SequentialLR was) writes nothing.
        """
        state = dict(state_dict)
        in_charge = state.pop("in_charge", True)
        super().load_state_dict(state)
        if in_charge:
            self._write()


class MemoryLR(_DecayScheduler):
    """Set learning rate and weight decay of every step from a table: a design, or any schedule that was measured.

    A `torch.optim.lr_scheduler.LRScheduler`: call ``step()`` after every optimizer step; it works inside SequentialLR
    (a scheduler that comes before it there trains with the weight decay of this one's first step) and, as the first
    one, inside ChainedScheduler. The values are absolute, whatever ``lr`` and ``weight_decay`` the
    optimizer was made with; only groups with weight decay 0 keep that. The optimizer must decay by
    ``lr * weight_decay`` (see `verify_memory`). After the end of the schedule its last values hold.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        AdamW, Muon, SGD without momentum, or another optimizer with decoupled weight decay.
    schedule : Schedule, MemoryReport, or sequence of these
        What `infimum.memory.design` or `infimum.memory.report` returned: one for all parameter groups, or one for each.
    last_epoch : int
        As in PyTorch: number of steps already taken, less one.

    Raises
    ------
    ShapeError
        The number of schedules is neither 1 nor that of the parameter groups.
    OptionError
        The optimizer has no weight decay.

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

    def __init__(self, optimizer: Optimizer, schedule: Table | Sequence[Table], last_epoch: int = -1) -> None:
        groups = len(optimizer.param_groups)
        schedules = [schedule] * groups if isinstance(schedule, Schedule | MemoryReport) else list(schedule)
        if len(schedules) != groups:
            raise ShapeError(f"one schedule, or one for each of {groups} parameter groups, expected {len(schedules)}")
        self.lr_table = [_table(item.lr) for item in schedules]
        self.weight_decay_table = [_table(item.weight_decay) for item in schedules]
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | torch.Tensor]:
        """Return the learning rate of every group at the present step."""
        return [self._at(table) for table in self.lr_table]

    def get_weight_decay(self) -> list[float]:
        """Return the weight decay of every group at the present step."""
        return [self._at(table) for table in self.weight_decay_table]

    def _at(self, table: torch.Tensor) -> float:
        return float(table[min(max(self.last_epoch, 0), table.numel() - 1)])


class StreamingMemoryLR(_DecayScheduler):
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


def _table(values: Any) -> torch.Tensor:
    return torch.tensor(to_numpy(values), dtype=torch.float64)


def _put(group: dict[str, Any], name: str, value: float) -> None:
    if isinstance(group[name], torch.Tensor):
        group[name].fill_(value)
    else:
        group[name] = value
