"""``python -m benchmarks.cluster``: a Dask array on two workers, against Dask's own `svd_compressed`.

The workers make the array anew at every pass. Time is told twice: as it passes, and as processors were busy with it.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import infimum
from infimum import lowrank
from infimum.scale import RowBlocks

COLUMNS, CHUNK, INNER, RANK, DECAY = 2000, 10_000, 100, 50, 0.95


def matrix(gigabytes: float) -> Any:
    """Return a tall array with singular values that fall by a twentieth each."""
    array = importlib.import_module("dask.array")
    rows = CHUNK * max(2, round(gigabytes * 1e9 / (8 * COLUMNS * CHUNK)))
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((COLUMNS, INNER)))[0].T
    left = array.random.default_rng(2).standard_normal((rows, INNER), chunks=(CHUNK, INNER))
    return left @ (DECAY ** np.arange(INNER)[:, None] * basis)


def compressed(M: Any) -> Any:
    """Decompose as Dask does, with two power iterations; what is long stays on the workers."""
    dask, array = importlib.import_module("dask"), importlib.import_module("dask.array")
    U, s, Vh = dask.persist(*array.linalg.svd_compressed(M, RANK, n_power_iter=2, seed=0))
    return U, s.compute(), Vh.compute()


def error(M: Any, parts: Any) -> float:
    """Return the Frobenius norm of what three factors leave."""
    U, s, Vh = parts
    return float(importlib.import_module("dask.array").linalg.norm(M - (U * s) @ Vh).compute())


def busy(client: Any) -> np.ndarray:
    """Return the seconds that each worker, and at last the client, had a processor."""
    spent = client.run(lambda: sum(__import__("os").times()[:2]))
    return np.array([*spent.values(), time.process_time()])


def timed(client: Any, name: str, call: Callable[[], Any]) -> Any:
    """Run a call, and print how long it took."""
    start, before = time.perf_counter(), busy(client)
    result = call()
    spent = busy(client) - before
    shares = " + ".join(f"{seconds:.0f}" for seconds in spent)
    print(f"{name:22s} {time.perf_counter() - start:7.0f} s, processors {spent.sum():7.0f} s ({shares})", flush=True)
    return result


def compare(client: Any, M: Any, repeats: int) -> None:
    """Print times in turn, then errors."""
    calls: Mapping[str, Callable[[], Any]] = {
        "infimum svd": lambda: lowrank.svd(RowBlocks(M), RANK),
        "dask svd_compressed": lambda: compressed(M),
    }
    results: dict[str, Any] = {}
    for _ in range(repeats):
        for name, call in calls.items():
            results.pop(name, None)
            results[name] = timed(client, name, call)
    answer = results["infimum svd"]
    floor = answer.certificate.lower_bound
    print(timed(client, "infimum verify", lambda: infimum.verify(answer, RowBlocks(M))))
    print(f"error of Dask / floor - 1: {error(M, results['dask svd_compressed']) / floor - 1:.2e}")
    results.clear()
    columns = timed(client, "infimum interpolative", lambda: lowrank.interpolative(RowBlocks(M), RANK))
    print(timed(client, "infimum verify", lambda: infimum.verify(columns, RowBlocks(M))))


def main() -> None:
    """Make the cluster, and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the array (default: 4)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds in turn (default: 3)")
    parser.add_argument("--memory", default="2GB", help="limit of each of the two workers (default: 2GB)")
    arguments = parser.parse_args()
    distributed = importlib.import_module("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=arguments.memory, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        M = matrix(arguments.gigabytes)
        print(f"{M.shape[0]:,} x {M.shape[1]:,}, {M.nbytes / 1e9:g} GB in {M.npartitions} chunks, rank {RANK}")
        compare(client, M, arguments.repeats)


if __name__ == "__main__":
    main()
