"""A matrix of four times the memory that the process may use, factorised and verified within that limit."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

ROWS, COLUMNS, RANK = 1_000_000, 250, 3
LIMIT = 500_000_000

PROGRAM = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
import infimum
from infimum.scale import RowBlocks
M = RowBlocks(sys.argv[1], rows=4000)
result = infimum.lowrank.svd(M, {rank})
derived = infimum.verify(result, RowBlocks(sys.argv[1], rows=4000))
print(json.dumps([result.certificate.value, result.certificate.lower_bound, derived.theorem]))
"""


@pytest.mark.slow
def test_file_of_four_times_the_memory(tmp_path):
    path = tmp_path / "M.npy"
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((COLUMNS, COLUMNS)))[0]
    shape = (np.arange(1, COLUMNS + 1) ** -1.0)[:, None] * Q
    gram = np.zeros((COLUMNS, COLUMNS))
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(ROWS, COLUMNS))  # 2 GB
    for start in range(0, ROWS, 40_000):
        block = rng.standard_normal((40_000, COLUMNS)) @ shape
        gram += block.T @ block
        file[start : start + 40_000] = block
    file.flush()
    del file
    assert path.stat().st_size >= 4 * LIMIT

    code = PROGRAM.format(limit=LIMIT, rank=RANK)
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each has buffers of its own
    command = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread)
    path.unlink()
    assert run.returncode == 0, run.stderr
    value, floor, theorem = json.loads(run.stdout)
    optimum = np.sqrt(np.linalg.eigvalsh(gram)[:-RANK].sum())
    print(f"value {value!r}, floor {floor!r}, optimum {optimum!r}")
    assert theorem == "eckart_young"
    assert floor <= optimum * (1 + 1e-10)
    assert optimum * (1 - 1e-10) <= value <= (1 + 1e-6) * floor
