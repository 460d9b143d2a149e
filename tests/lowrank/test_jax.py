"""JAX arrays on the CPU: the same code, the same answers, in either precision of that library."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import infimum
from infimum import lowrank

jax = pytest.importorskip("jax")

M = np.random.default_rng(0).standard_normal((60, 40)) @ np.diag(0.8 ** np.arange(40))
SOLVERS: dict[str, Callable[[Any], Any]] = {
    "svd, gram": lambda M: lowrank.svd(M, 5),
    "svd, exact": lambda M: lowrank.svd(M, 5, method="exact"),
    "svd, krylov": lambda M: lowrank.svd(M, 5, method="krylov", rng=0),
    "svd, randomized": lambda M: lowrank.svd(M, 5, method="randomized", rng=0),
    "interpolative": lambda M: lowrank.interpolative(M, 5, rng=0),
    "cur": lambda M: lowrank.cur(M, 5, rng=0),
    "pinv": lambda M: lowrank.pinv(M),
    "nystrom": lambda M: lowrank.nystrom(M.T @ M, 5, rng=0),
}


@pytest.mark.parametrize("solver", SOLVERS)
def test_double_precision_agrees_with_numpy(solver):
    expected = SOLVERS[solver](M)
    with jax.enable_x64(True):
        given = jax.numpy.asarray(M)
        result = SOLVERS[solver](given)
        infimum.verify(result, given.T @ given if solver == "nystrom" else given)
        dense = result.matrix if solver == "pinv" else result.to_dense()
    assert isinstance(dense, jax.Array)
    assert dense.dtype == np.float64
    np.testing.assert_allclose(dense, expected.matrix if solver == "pinv" else expected.to_dense(), atol=1e-8)
    assert result.certificate.value == pytest.approx(expected.certificate.value, rel=1e-8)
    assert result.certificate.lower_bound == pytest.approx(expected.certificate.lower_bound, rel=1e-6)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64:UserWarning")
@pytest.mark.parametrize("method", ["gram", "krylov"])
def test_single_precision_takes_off_more(method):
    """JAX has no float64 unless told so: the allowance for rounding is that of what the products were made in."""
    with jax.enable_x64(False):
        given = jax.numpy.asarray(M)
        certificate = lowrank.svd(given, 5, method=method, rng=0).certificate
    optimum = np.linalg.norm(np.linalg.svd(np.asarray(given, dtype=np.float64), compute_uv=False)[5:])
    assert certificate.lower_bound <= optimum <= certificate.value
    assert certificate.ratio <= 1.02
