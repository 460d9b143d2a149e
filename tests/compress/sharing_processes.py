"""What one of two processes does that compress models together (see test_processes and tests.gloo)."""

import os
from pathlib import Path
from typing import Any

from infimum import compress
from infimum.compress.measure.processes import place, spread
from infimum.errors import OptionError, ProcessError
from tests import gloo
from tests.compress.conftest import sentences

TEXT = sentences(30, seed=1)
PLANS: dict[str, dict[str, Any]] = {
    "bert": {"remove": 0.6},
    "llama": {"remove": 0.3, "menu": ("ranks", "widths"), "of": "bytes"},
}


def plan_of(folder: Path, name: str) -> compress.Plan:
    return compress.plan(folder / "models" / name, calib=TEXT, **PLANS[name])


def refuse(some: list[int]) -> list[int]:
    if 1 in some:
        raise OptionError("one of them fails")
    return some


def compute(rank: int, folder: Path) -> dict[str, Any]:
    assert place() == (rank, gloo.WORLD)
    found: dict[str, Any] = {"turns": spread(range(5), lambda some: [(rank, item) for item in some])}
    try:
        spread(range(2), refuse)
    except OptionError as error:
        found["error"] = str(error)
    for name in PLANS:
        plan = plan_of(folder, name)
        other = plan.with_budget(PLANS[name]["remove"] - 0.1)
        found[name] = [repr(plan.table), repr(other.table), repr(plan.certificate)]
        if rank == 0:
            plan.save(folder / f"shared-{name}")
    return found


def end_early(rank: int, _folder: Path) -> str:
    if rank == 1:
        os._exit(3)
    try:
        spread(range(2), lambda some: some)
    except ProcessError as error:
        return str(error)
    return "nothing was noticed"


if __name__ == "__main__":
    gloo.run(end_early if "END_EARLY" in os.environ else compute)
