"""Reports of schedules that live elsewhere: a PyTorch optimizer with its scheduler, optax callables, a training log."""

from __future__ import annotations

import copy
import csv
import dataclasses
import itertools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from infimum._arguments import optional, whole_number
from infimum._separators import DECIMAL_COMMA, separator_of
from infimum._threads import no_warnings
from infimum.errors import FileFormatError, OptionError
from infimum.memory.report import MemoryReport, report

# optimizers of PyTorch whose weight decay passes through what they do to the gradient
COUPLED = {
    "SGD": "with momentum its weight decay is accumulated like a gradient (L2); decay the weights separately",
    "Adam": "its weight decay passes through the moving averages (L2); use AdamW",
    **dict.fromkeys(("NAdam", "RAdam"), "its weight decay is L2; set decoupled_weight_decay=True"),
    **dict.fromkeys(
        ("Adadelta", "Adagrad", "Adamax", "ASGD", "RMSprop", "Rprop"),
        "its weight decay is part of the gradient that it transforms (L2)",
    ),
}


# schedulers that follow a measured loss
MEASURED = ("ReduceLROnPlateau", "PlateauLRScheduler", "GreedyLR")


def from_torch(
    optimizer: Any, scheduler: Any, steps: int, *, steps_per_epoch: int = 1, **options: Any
) -> list[MemoryReport]:
    """Measure the memory that a PyTorch optimizer and its scheduler will leave: one report for each parameter group.

    The scheduler is run on a copy; neither object changes.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        With decoupled weight decay: AdamW, Muon, SGD without momentum, or any optimizer that `verify_memory` of
        `infimum.optim` accepts.
    scheduler : torch.optim.lr_scheduler.LRScheduler, timm.scheduler.scheduler.Scheduler or None
        As constructed, before its first step; None for constant learning rates.
    steps : int
        Number of optimizer steps.
    steps_per_epoch : int
        Optimizer steps between two calls of ``scheduler.step()``. One of timm is told both counts, as timm does.
    **options
        Passed on to `report`.

    Returns
    -------
    list of MemoryReport
        In the order of ``optimizer.param_groups``.

    Raises
    ------
    OptionError
        The optimizer couples weight decay with its momentum or its denominator, or the scheduler cannot be simulated.
    """
    torch = optional("torch", "torch")
    whole_number("steps", steps, 1)
    whole_number("steps_per_epoch", steps_per_epoch, 1)
    for group in optimizer.param_groups:
        if reason := coupled_reason(optimizer, group):
            raise OptionError(f"{type(optimizer).__name__} does not follow the moving-average identity: {reason}")
    dummy = torch.optim.SGD([{**_plain(group), "params": [torch.zeros(1)]} for group in optimizer.param_groups])
    twin = copy.deepcopy(scheduler, {id(optimizer): dummy})
    table = np.empty((2, len(dummy.param_groups), steps))
    for step in range(steps):
        table[0, :, step] = [float(group["lr"]) for group in dummy.param_groups]
        table[1, :, step] = [float(group["weight_decay"]) for group in dummy.param_groups]
        if twin is not None:
            _advance(twin, step + 1, steps_per_epoch)
    return [report(lr, decay, **options) for lr, decay in zip(*table, strict=True)]


def _plain(group: dict[str, Any]) -> dict[str, Any]:
    return {name: copy.deepcopy(value) for name, value in group.items() if name != "params"}


def _advance(scheduler: Any, done: int, steps_per_epoch: int) -> None:
    name = type(scheduler).__name__
    if name in MEASURED:
        raise OptionError(
            f"{name} cannot be simulated: it follows a measured loss; train with it, log lr and weight decay, and use "
            "from_csv"
        )
    epoch, rest = divmod(done, steps_per_epoch)
    with no_warnings():  # no optimizer step precedes in a simulation, which PyTorch would point out
        try:
            if hasattr(scheduler, "step_update"):  # timm's are told how far training is
                scheduler.step_update(done)
                if not rest:
                    scheduler.step(epoch)
            elif not rest:
                scheduler.step()
        except TypeError as error:
            raise OptionError(f"{name} cannot be simulated, its step() needs arguments: {error}") from error
        except ValueError as error:
            raise OptionError(f"{name} ends after {done} steps: {error}") from error


def coupled_reason(optimizer: Any, group: dict[str, Any]) -> str:
    """Say why weight decay does not follow the identity, for PyTorch's optimizers that add it to the gradient."""
    name = type(optimizer).__name__
    decoupled = group.get("decoupled_weight_decay", name not in COUPLED)
    if decoupled or not float(group.get("weight_decay", 0.0)) or (name == "SGD" and not group.get("momentum", 0.0)):
        return ""
    return COUPLED.get(name, "its weight decay is part of the gradient that it transforms (L2)")


def from_optax(
    learning_rate: float | Callable[[int], Any],
    weight_decay: float | Callable[[int], Any],
    steps: int,
    **options: Any,
) -> MemoryReport:
    """Measure the memory of optax schedules, callables of the step count, as given to ``optax.adamw``.

    Parameters
    ----------
    learning_rate, weight_decay : float or callable
        A number, or a function of the count 0, 1, ..., `steps` - 1.
    steps : int
        Number of optimizer steps.
    **options
        Passed on to `report`.

    Returns
    -------
    MemoryReport
        As of `report`.
    """
    whole_number("steps", steps, 1)
    lr, decay = (
        np.array([float(value(count)) for count in range(steps)]) if callable(value) else np.full(steps, float(value))
        for value in (learning_rate, weight_decay)
    )
    return report(lr, decay, **options)


def from_csv(
    path: str | os.PathLike[str],
    *,
    lr: str = "lr",
    weight_decay: str | float = "weight_decay",
    step: str = "step",
    interpolate: bool = False,
    **options: Any,
) -> MemoryReport:
    """Measure the memory of a training log with a column for the learning rate.

    Parameters
    ----------
    path : path
        Table with a header; commas, ``;`` or tabs separate its columns.
    lr, step : str
        Names of the columns. Without a step column, every row is one step.
    weight_decay : str or float
        Name of the column, or the number itself.
    interpolate : bool
        Fill steps that the log leaves out by linear interpolation; otherwise they are an error.
    **options
        Passed on to `report`.

    Returns
    -------
    MemoryReport
        As of `report`, with a warning where the log starts late: what came before its first step is not counted.

    Raises
    ------
    FileFormatError
        The file is empty, a column is missing, an entry is not a number, or steps are missing or out of order.
    """
    header, rows = _read(Path(path))
    if lr not in header or (isinstance(weight_decay, str) and weight_decay not in header):
        missing = lr if lr not in header else weight_decay
        hint = "" if missing == lr else "; or give weight_decay as a number"
        raise FileFormatError(f"{path} has no column {missing!r}, only {', '.join(header)}{hint}")
    rates = _column(path, header, rows, lr)
    decays = _column(path, header, rows, weight_decay) if isinstance(weight_decay, str) else weight_decay
    first = 0
    if step in header:
        steps = _column(path, header, rows, step)
        every = _every_step(f"column {step!r} of {path}", steps, interpolate)
        rates = np.interp(every, steps, rates)
        decays = np.interp(every, steps, decays) if isinstance(decays, np.ndarray) else decays
        first = int(steps[0])
    measured = report(rates, decays, **options)
    if first > 1:
        text = f"the log starts at step {first}: what came before is not counted, and stands for the initialisation"
        measured = dataclasses.replace(measured, warnings=(text, *measured.warnings))
    return measured


def _every_step(source: str, steps: np.ndarray, interpolate: bool) -> np.ndarray:
    if np.any(np.diff(steps) <= 0.0) or np.any(steps != np.floor(steps)):
        raise FileFormatError(f"{source} must hold increasing whole numbers")
    count = int(steps[-1] - steps[0]) + 1
    if count != steps.size and not interpolate:
        raise FileFormatError(
            f"{source} names {steps.size} of {count} steps; set interpolate to fill the others linearly"
        )
    return np.arange(steps[0], steps[-1] + 1.0)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    if path.exists() and not path.is_file():
        raise FileFormatError(f"{path} is a folder, a pipe or a device; a file was expected")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = separator_of([line for line in itertools.islice(file, 2) if line.strip()]) or ","
            file.seek(0)
            rows = [row for row in csv.reader(file, delimiter=separator) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is no table of text: {error}") from error
    if len(rows) < 2:
        raise FileFormatError(f"{path} must have a header and at least one row, got {len(rows)} lines")
    header, *rows = rows
    if separator in DECIMAL_COMMA:
        rows = [[entry.replace(",", ".") for entry in row] for row in rows]
    return [name.strip() for name in header], rows


def _column(path: Any, header: list[str], rows: list[list[str]], name: str) -> np.ndarray:
    place, values = header.index(name), np.empty(len(rows))
    for number, row in enumerate(rows):
        try:
            values[number] = float(row[place])
        except (ValueError, IndexError):
            entry = repr(row[place]) if place < len(row) else "nothing"
            raise FileFormatError(
                f"{path}, row {number + 2}, column {name!r}: a number was expected, got {entry}"
            ) from None
        if not math.isfinite(values[number]):
            raise FileFormatError(f"{path}, row {number + 2}, column {name!r}: {row[place]} is not finite")
    return values
