"""Two processes over gloo: each runs a module of the tests, as ``MODULE RANK FOLDER``, and saves what it found."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from torch import distributed

WORLD = 2


def exit_codes(module, folder):
    """Run a module in both processes; return how they ended."""
    (folder / "store").unlink(missing_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", module.__name__]
    started = [subprocess.Popen([*command, str(rank), str(folder)], env=environment) for rank in range(WORLD)]
    try:
        return [process.wait(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()


def results(module, folder):
    """Return what both processes found."""
    assert exit_codes(module, folder) == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORLD)]


def run(compute):
    """Be one of the processes: save what `compute` finds, given its rank and the folder."""
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=WORLD)
    torch.save(compute(rank, folder), folder / f"{rank}.pt")
    distributed.destroy_process_group()
    os._exit(0)  # threads of gloo that still end were seen to abort a process whose work was done
