"""Arrays spread over processes or devices by other means than Dask are told what to do."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import infimum
from infimum import errors, lowrank
from infimum.scale import RowBlocks


@pytest.fixture
def spread():
    """A tensor with its rows spread over a group of one process."""
    distributed: Any = torch.distributed
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    tensor = pytest.importorskip("torch.distributed.tensor")
    mesh = tensor.init_device_mesh("cpu", (1,))
    yield tensor.distribute_tensor(torch.arange(24.0).reshape(8, 3), mesh, [tensor.Shard(0)])
    distributed.destroy_process_group()


def test_tensors_of_many_processes(spread):
    for solve in (lowrank.svd, lowrank.interpolative, lowrank.cur):
        with pytest.raises(errors.LibraryError, match=r"DTensor.*full_tensor.*RowBlocks"):
            solve(spread, 2)
    result = lowrank.svd(spread.full_tensor(), 2)
    with pytest.raises(errors.VerificationError, match="DTensor"):
        infimum.verify(result, spread)
    with pytest.raises(errors.LibraryError, match="Dask"):
        RowBlocks(spread)


def test_tensors_are_no_blocks():
    with pytest.raises(errors.LibraryError, match=r"source.numpy\(\)"):
        RowBlocks(torch.ones(4, 2))


PROGRAM = """
import jax, numpy as np, infimum
jax.config.update("jax_enable_x64", True)
mesh = jax.sharding.Mesh(jax.devices(), ("rows",))
placed = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))
M = np.vander(np.linspace(0, 1, 40), 5)
spread = jax.device_put(M, placed)
assert len(spread.devices()) == 2
try:
    infimum.lowrank.svd(spread, 2)
except infimum.errors.LibraryError as error:
    print(error)
result = infimum.lowrank.svd(infimum.scale.RowBlocks(spread), 2)
infimum.verify(result, M)
"""


def test_arrays_of_jax_on_two_devices():
    pytest.importorskip("jax")
    two = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env=two)
    assert run.returncode == 0, run.stderr
    assert "on one device, got a JAX array on 2" in run.stdout


def test_chunks_that_hold_another_library_keep_it():
    """Chunks are multiplied in their own library: what is made here for them lies there, too."""
    dask_array = pytest.importorskip("dask.array")
    from infimum._arrays import like_array, namespace, to_numpy

    chunks = dask_array.from_array(np.ones((6, 2)), chunks=(2, 2))
    assert isinstance(like_array(np.ones(3), chunks), np.ndarray)
    assert namespace(chunks=chunks, small=np.ones(2)).__name__.endswith("dask.array")
    assert isinstance(to_numpy(chunks), np.ndarray)
    with pytest.raises(errors.LibraryError, match="one library"):
        namespace(chunks=chunks, small=torch.ones(2))
