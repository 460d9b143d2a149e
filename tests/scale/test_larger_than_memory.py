"""A matrix of four times the memory that the process may use, factorised and verified within that limit."""

import json
import subprocess
import sys

import numpy as np
import pytest

ROWS, COLUMNS, RANK = 1_000_000, 1000, 10
LIMIT = 2_000_000_000

PROGRAM = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
import infimum
from infimum.scale import RowBlocks
M = RowBlocks(sys.argv[1])
result = infimum.lowrank.svd(M, {rank})
derived = infimum.verify(result, RowBlocks(sys.argv[1]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([result.certificate.value, result.certificate.lower_bound, derived.theorem, peak]))
"""


@pytest.mark.slow
def test_file_of_four_times_the_memory(tmp_path):
    path = tmp_path / "M.npy"
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((COLUMNS, COLUMNS)))[0]
    shape = (np.arange(1, COLUMNS + 1) ** -1.0)[:, None] * Q
    gram = np.zeros((COLUMNS, COLUMNS))
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(ROWS, COLUMNS))  # 8 GB
    for start in range(0, ROWS, 10_000):
        block = rng.standard_normal((10_000, COLUMNS)) @ shape
        gram += block.T @ block
        file[start : start + 10_000] = block
    file.flush()
    del file
    assert path.stat().st_size >= 4 * LIMIT

    code = PROGRAM.format(limit=LIMIT, rank=RANK)
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    path.unlink()
    assert run.returncode == 0, run.stderr
    value, floor, theorem, peak = json.loads(run.stdout)
    optimum = np.sqrt(np.linalg.eigvalsh(gram)[:-RANK].sum())
    print(f"value {value!r}, floor {floor!r}, optimum {optimum!r}, peak {peak / 2**30:.2f} GiB")
    assert theorem == "eckart_young"
    assert floor <= optimum * (1 + 1e-10)
    assert optimum * (1 - 1e-10) <= value <= (1 + 1e-6) * floor
    assert peak <= LIMIT
