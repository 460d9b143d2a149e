"""A matrix of four times the memory that the process may use, factorised and verified within that limit.

It has 2 GB; INFIMUM_LARGE_TEST_BYTES asks for more, at a limit of a tenth of that: the figures in the documentation are
those of 20 GB within 2 GB. A file that is read counts against the whole address space; one that is mapped is address
space itself, so there the limit is on what is the process's own.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from infimum import lowrank

SIZE = int(os.environ.get("INFIMUM_LARGE_TEST_BYTES", "2000000000"))
LIMIT = max(500_000_000, SIZE // 10)
COLUMNS, RANK = 500, 5
COPIES = 64  # the large matrix is the small one so many times, so its certificate is sqrt(COPIES) times that

PROGRAM = """
import json, resource, sys
kind, limit, path, rank = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_AS if kind == "file" else resource.RLIMIT_DATA, (limit, limit))
import numpy as np
import infimum
from infimum.scale import RowBlocks

source = path if kind == "file" else np.load(path, mmap_mode="r")
if kind == "dask":
    import dask.array

    class Store:  # as a file of HDF5 is one; of a NumPy array Dask would make a copy
        shape, dtype, ndim = source.shape, source.dtype, 2

        def __getitem__(self, part):
            return np.load(path, mmap_mode="r")[part]

    source = dask.array.from_array(Store(), chunks=(10_000, -1))
M = RowBlocks(source, rows=10_000)
result = infimum.lowrank.svd(M, rank)
derived = infimum.verify(result, M)
usage = resource.getrusage(resource.RUSAGE_SELF)
facts = {"CPU seconds": round(usage.ru_utime + usage.ru_stime), "GB resident": usage.ru_maxrss / 1e6}
print(json.dumps([result.certificate.value, result.certificate.lower_bound, derived.theorem, facts]))
"""


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    decaying = (np.arange(1, COLUMNS + 1) ** -1.0)[:, None] * np.linalg.qr(rng.standard_normal((COLUMNS, COLUMNS)))[0]
    return rng.standard_normal((-(-SIZE // (8 * COLUMNS * COPIES)), COLUMNS)) @ decaying


@pytest.fixture(scope="module")
def large(small, tmp_path_factory):
    """Copies of the small matrix, one below the other, their rows in other orders and with other signs."""
    path = tmp_path_factory.mktemp("large") / "M.npy"
    rng = np.random.default_rng(1)
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (COPIES * small.shape[0], COLUMNS)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(COPIES):
            signs = rng.choice([-1.0, 1.0], (small.shape[0], 1))
            (signs * small[rng.permutation(small.shape[0])]).tofile(file)
    yield path
    path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "map", "dask"])
def test_certificate_of_the_small_matrix_within_the_limit(kind, small, large):
    assert large.stat().st_size >= SIZE >= 4 * LIMIT
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each has buffers of its own
    command = [sys.executable, "-c", PROGRAM, kind, str(LIMIT), str(large), str(RANK)]
    start = time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread)
    assert run.returncode == 0, run.stderr
    value, floor, theorem, facts = json.loads(run.stdout)
    expected = lowrank.svd(small, RANK, method="gram").certificate
    print(f"{kind}: {time.perf_counter() - start:.0f} s, {facts}, {SIZE / 1e9} GB on disk, limit {LIMIT / 1e9} GB")
    print(f"value {value!r}, floor {floor!r}; small {expected.value!r}, {expected.lower_bound!r}")
    assert theorem == expected.theorem
    assert value == pytest.approx(COPIES**0.5 * expected.value, rel=1e-10)
    assert floor == pytest.approx(COPIES**0.5 * expected.lower_bound, rel=1e-6)
    assert floor <= value <= (1 + 1e-6) * floor
