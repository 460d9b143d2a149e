"""SciPy's own tests of `scipy.sparse.linalg.svds`, where they are installed, run on `svd` through an adapter."""

from functools import partial

import numpy as np
import pytest

import infimum
from infimum import lowrank

theirs = pytest.importorskip("scipy.sparse.linalg._eigen.tests.test_svds")

# what is asked there of arguments that `svd` does not have
ARGUMENTS = ("input_validation", "parameter_tol", "v0", "maxiter")


def svds(A, k=6, *, which="LM", return_singular_vectors=True, rng=None, method="auto", **others):
    """Call `svd` as `svds` is called: values ascend, and the smallest are the last ones of all."""
    count = k if which == "LM" else min(A.shape)
    result = lowrank.svd(A, count, method=method, accuracy="triples", gap_target=1e-13, rng=rng)
    infimum.verify(result, A)
    U, s, Vh = (np.asarray(part) for part in result)
    U, s, Vh = U[:, count - k :][:, ::-1], s[count - k :][::-1], Vh[count - k :][::-1]
    if return_singular_vectors is False:
        return s
    return U if return_singular_vectors != "vh" else None, s, Vh if return_singular_vectors != "u" else None


def without(*parts):
    """Leave out the tests with one of these parts in their names."""

    def of(cases):
        for name in dir(cases):
            if name.startswith("test_") and any(part in name for part in (*ARGUMENTS, *parts)):
                setattr(cases, name, None)
        return cases

    return of


@without("svd_rng")  # nothing is random there
class TestAuto(theirs.SVDSCommonTests):
    solver = None

    @pytest.fixture(autouse=True)
    def ours(self, monkeypatch):
        monkeypatch.setattr(theirs, "svds", svds)


@without()
class TestKrylov(theirs.SVDSCommonTests):
    solver = None

    @pytest.fixture(autouse=True)
    def ours(self, monkeypatch):
        monkeypatch.setattr(theirs, "svds", partial(svds, method="krylov"))


@without("svd_rng")
class TestWhole(theirs.SVDSCommonTests):
    """As what SciPy asks of PROPACK: all triples of a matrix, too."""

    solver = "propack"

    @pytest.fixture(autouse=True)
    def ours(self, monkeypatch):
        monkeypatch.setattr(theirs, "svds", partial(svds, method="exact"))
