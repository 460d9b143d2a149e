"""Two workers in processes of their own, with a limit of memory: they share the work, and one of them may die."""

import os
import signal
import threading
import time
from typing import Any

import dask.array
import numpy as np
import pytest

import infimum
from infimum import lowrank
from infimum.scale import RowBlocks

distributed: Any = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of the cluster about itself

ROWS, COLUMNS, RANK, CHUNK = 240_000, 200, 10, 6000


def source(turn=False, cuts=COLUMNS):
    """A matrix of 384 MB that the workers make: half of it noise, the rest of decaying singular values."""
    inner = np.random.default_rng(1).standard_normal((60, COLUMNS)) * (0.9 ** np.arange(60))[:, None]
    draw = dask.array.random.default_rng(2)
    M = draw.standard_normal((ROWS, 60), chunks=(CHUNK, 60)) @ inner + 0.01 * draw.standard_normal(
        (ROWS, COLUMNS), chunks=(CHUNK, COLUMNS)
    )
    M = M.rechunk((CHUNK, cuts))
    return M.T if turn else M


@pytest.fixture(scope="module")
def client():
    environment = {"distributed.nanny.pre-spawn-environ.OPENBLAS_NUM_THREADS": 1}
    with (
        dask.config.set(environment),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, memory_limit="1GB", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def received(client, monkeypatch):
    """Bytes of all that came to the client."""
    sizes, gather = list[int](), client._gather

    async def counted(futures, *args, **options):
        results = await gather(futures, *args, **options)
        sizes.extend(np.asarray(part).nbytes for part in results)
        return results

    monkeypatch.setattr(client, "_gather", counted)
    return sizes


def tasks(client):
    return np.array(list(client.run(lambda dask_worker: dask_worker.state.executed_count).values()))


def in_memory(rank=RANK):
    return lowrank.svd(source().compute(scheduler="sync"), rank, method="gram").certificate


@pytest.mark.parametrize("form", ["tall", "wide", "both"])
def test_work_is_shared_and_long_factors_stay(client, received, form):
    M = source(turn=form == "wide", cuts=90 if form == "both" else COLUMNS)
    before = tasks(client)
    result = lowrank.svd(RowBlocks(M), RANK)
    columns = lowrank.interpolative(RowBlocks(M), RANK, axis=0 if form == "wide" else 1)
    derived = infimum.verify(result, RowBlocks(M))
    infimum.verify(columns, RowBlocks(M))
    one, other = tasks(client) - before
    print(f"{form}: tasks {one}, {other}; to the client {sum(received) / M.nbytes:.2%}")
    assert max(one, other) <= 1.25 * min(one, other)
    assert sum(received) <= 0.01 * M.nbytes
    assert isinstance(result.Vh if form == "wide" else result.U, dask.array.Array)
    assert isinstance(columns.skeleton, dask.array.Array)
    expected = in_memory()
    assert derived.value == pytest.approx(expected.value, rel=1e-9)
    assert derived.lower_bound == pytest.approx(expected.lower_bound, rel=1e-6)
    assert result.certificate.theorem == expected.theorem


def test_a_worker_that_dies_changes_nothing(client):
    M, found = source(), list[Any]()
    undisturbed = lowrank.svd(RowBlocks(M), RANK).certificate
    solving = threading.Thread(target=lambda: found.append(lowrank.svd(RowBlocks(M), RANK)))
    before, victim = tasks(client).sum(), next(iter(client.run(os.getpid).values()))
    solving.start()
    while tasks(client).sum() < before + 60:
        time.sleep(0.05)
    assert solving.is_alive()
    os.kill(victim, signal.SIGKILL)
    solving.join(300)
    assert found[0].certificate.value == pytest.approx(undisturbed.value, rel=1e-12)
    assert found[0].certificate.lower_bound == pytest.approx(undisturbed.lower_bound, rel=1e-12)
    infimum.verify(found[0], RowBlocks(M))
    assert len(client.run(os.getpid)) == 2
