"""Training of what is stored of a compressed model, towards what the original says of the same text."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from infimum import memory, optim
from infimum.compress.measure.moments import BATCH
from infimum.compress.measure.outputs import Given
from infimum.compress.measure.progress import Progress
from infimum.compress.measure.samples import Inputs
from infimum.compress.menu.forms import StoredForm
from infimum.compress.model.heads import Head
from infimum.compress.search.distance import Distance
from infimum.compress.search.tunable import Tunable, tunable

Batch = tuple[Given, torch.Tensor]
DECAY, WARMUP = 0.1, 0.1  # of the changes, towards none; part of the steps
LOOKS, PATIENCE = 10, 3  # on the half that judges: so many in a run, so many without a better one before it ends
JUDGED = 16_384  # tokens of a look at most
LOOKING = 0.2  # of the time, at most, for all looks
DRY = 3  # steps by which the time of one is known


class Tuned(NamedTuple):
    """Mean distance to the original on the half that judges, before and after so many steps."""

    before: float
    after: float
    steps: int


class Tuning:
    """A compressed model whose stored numbers are trained on one half of a text, and judged on the other."""

    def __init__(self, original: Any, model: Any, forms: Mapping[str, StoredForm], head: Head, tokens: Inputs) -> None:
        self._model, self._distance = model, Distance(original, head)
        self._tunable: dict[str, Tunable] = tunable(model, forms)
        self.forms: dict[str, StoredForm] = {name: forms[name] for name in self._tunable}
        half, judge = tokens.halves()
        size = max(1, BATCH // tokens.length)
        self._half, self._judge = half.batches(size), judge.sample(JUDGED, 0).batches(size)
        groups: dict[str, list[torch.nn.Parameter]] = {}
        for one in self._tunable.values():
            for algorithm, parameters in one.parameters_by_algorithm().items():
                groups.setdefault(algorithm, []).extend(parameters)
        self._groups = [{"params": parameters, "algorithm": name} for name, parameters in groups.items()]

    def run(self, *, rate: float, minutes: float, most: int | None, seed: int, on_progress: Progress | None) -> Tuned:
        """Train, and keep the numbers that are best on the half that judges, as they are stored."""
        ends, batches = time.monotonic() + 60.0 * minutes, self._shuffled(seed)
        if most is None:
            self._look_within(LOOKING * 60.0 * minutes / (LOOKS + 2))
        before = least = self._judged()
        looking = time.monotonic() - ends + 60.0 * minutes
        steps = self._affordable(batches, 60.0 * minutes - (LOOKS + 2) * looking, most)
        optimizer, scheduler = self._scheduled(rate, steps)
        best: dict[str, StoredForm] | None = None
        every, done, without = max(1, -(-steps // LOOKS)), 0, 0
        while done < steps and without < PATIENCE and time.monotonic() < ends:
            self._step(optimizer, *next(batches))
            scheduler.step()
            done += 1
            if on_progress:
                on_progress("healing", done, steps)
            if done % every == 0 or done == steps:
                now = self._judged()
                without = 0 if now < least else without + 1
                if now < least:
                    least = now
                    best = {name: one.stored(self.forms[name]) for name, one in self._tunable.items()}
        after = before if best is None else self._rounded(best)
        if best is not None and after < before:  # rounding can undo a small gain
            self.forms = best
        return Tuned(before, min(before, after), done)

    def _look_within(self, seconds: float) -> None:
        """Judge on no more text than a look of so many seconds allows; a run that can be repeated does not ask."""
        began = time.monotonic()
        self._distance.mean(self._model, self._judge[:1])
        count = max(1, min(len(self._judge), int(seconds / (time.monotonic() - began))))
        self._judge = [self._judge[place] for place in np.linspace(0, len(self._judge) - 1, count).round().astype(int)]

    def _judged(self) -> float:
        """Return the mean distance on the half that judges."""
        return self._distance.mean(self._model, self._judge)

    def _rounded(self, forms: Mapping[str, StoredForm]) -> float:
        """Return the mean distance on the half that judges, with numbers as they are stored."""
        with torch.no_grad():
            for name, one in self._tunable.items():
                one.settle(forms[name])
        return self._judged()

    def _scheduled(self, rate: float, steps: int) -> tuple[optim.MuonAdamW, optim.MemoryLR]:
        """Return the optimizer, and the schedule by which the rate rises to `rate` and falls linearly."""
        optimizer = optim.MuonAdamW(self._groups, rate, DECAY, schedule=optim.default_schedule())
        count = max(steps, 2)
        table = memory.lr_table("linear", count, peak=rate, warmup=min(max(1, round(WARMUP * count)), count - 1))
        return optimizer, optim.MemoryLR(optimizer, memory.report(table, DECAY))

    def _affordable(self, batches: Iterator[Batch], seconds: float, most: int | None) -> int:
        """Try a few steps, and return how many there is time for."""
        optimizer = optim.MuonAdamW(self._groups, 0.0, 0.0)
        began = time.monotonic()
        for _ in range(DRY):
            self._step(optimizer, *next(batches))
        possible = int(DRY * seconds / (time.monotonic() - began))
        return max(0, possible if most is None else min(most, possible))

    def _step(self, optimizer: torch.optim.Optimizer, ids: Given, mask: torch.Tensor) -> None:
        self._distance(self._model, ids, mask).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    def _shuffled(self, seed: int) -> Iterator[Batch]:
        """Yield the batches of the half that trains, in another order each time."""
        rng = np.random.default_rng(seed)
        while True:
            for place in rng.permutation(len(self._half)):
                yield self._half[place]
