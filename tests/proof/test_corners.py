"""Branches of the trusted core for rare inputs and for what only a forger writes, each entered once."""

import dataclasses
import importlib.util
import math
import sys
from types import SimpleNamespace

import dask.array
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

from infimum import balance, lowrank, memory, verify
from infimum.errors import DTypeError, NotSemidefiniteError, RangeError, VerificationError
from infimum.proof import checkpoint, real_arrays
from infimum.proof.answers import cur
from infimum.proof.operators import kernel, product
from infimum.proof.operators.inputs import as_operator
from infimum.proof.theorems import nystrom_trace
from infimum.proof.theorems import product_plus_remainder as lines
from infimum.proof.thin_product import ThinProduct
from infimum.scale import RowBlocks

M = np.random.default_rng(7).standard_normal((6, 5))


def claiming(result, **claims):
    return dataclasses.replace(result, certificate=dataclasses.replace(result.certificate, **claims))


# ------------------------------------------------------------------ matrices


def test_the_theorem_of_single_weights_says_nothing_of_a_matrix_of_weights():
    single = lowrank.cr(M, M.T, 2, weights="diagonal").certificate
    full = lowrank.cr(M, M.T, 2, weights="full")
    assert single.theorem == "weighted_terms"
    with pytest.raises(VerificationError, match="got a matrix of weights"):
        verify(claiming(full, theorem=single.theorem, witness=single.witness), M, M.T)


def test_weights_that_no_double_holds_beside_their_terms():
    sizes = np.array([1e150, 1e150, 1e-150, 1e-150, 1e-150])
    parts = product.terms(M * sizes, M.T / sizes[:, None])
    with pytest.raises(RangeError, match="out of range"):
        product.residual_norm(parts, np.array([0, 2]), np.full((2, 2), 1e100))


def test_the_loss_of_a_large_matrix_is_measured_once(monkeypatch):
    """In twice the precision it would be too much work: the value has the whole allowance, and stays above the loss."""
    H = scipy.linalg.hilbert(60)
    careful = lowrank.cur(H, rows=20, columns=20)
    monkeypatch.setattr(cur, "CAREFUL", 0)
    quick = lowrank.cur(H, rows=20, columns=20)
    assert quick.certificate.value > careful.certificate.value
    verify(quick, H)


def test_columns_that_contradict_the_diagonal_are_no_kernel(monkeypatch):
    places = np.arange(12.0)[:, None]
    K = lowrank.KernelMatrix(places, lambda X, Y: np.exp(-((X - Y.T) ** 2)))
    result = lowrank.nystrom(K, 2, rng=0)
    assert "landmarks" in result.certificate.witness
    monkeypatch.setattr(nystrom_trace, "landmark_bound", lambda *_: 2.0 * result.certificate.value)
    with pytest.raises(VerificationError, match="contradict its diagonal"):
        verify(result, K)
    with pytest.raises(NotSemidefiniteError, match="contradict its diagonal"):
        lowrank.nystrom(K, 2, rng=0)


def test_kernels_are_asked_for_numbers_and_for_entries_that_the_diagonal_allows(monkeypatch):
    texts = np.full(2100, "x")
    with pytest.raises(DTypeError, match="K must hold real or complex numbers"):
        lowrank.nystrom(scipy.sparse.csr_array((texts, np.arange(2100), np.arange(2101))), 3)
    monkeypatch.setattr(kernel, "SPECTRUM", 2)  # where it would be too much work to find all eigenvalues
    with pytest.raises(NotSemidefiniteError, match=r"K\[0, 2\] is larger than sqrt"):
        lowrank.nystrom(np.array([[1.0, 0.5, 2.0], [0.5, 1.0, 0.0], [2.0, 0.0, 1.0]]), 1)


@pytest.mark.parametrize("axis", [0, 1])
def test_lengths_of_sparse_rows_and_columns(axis):
    dense = np.where(M > 0.0, M, 0.0)
    sparse = as_operator(scipy.sparse.csr_array(dense), "M")
    squares = np.sum(dense**2, axis=axis)
    assert np.asarray(sparse.energies(axis)) * 4.0**sparse.exponent == pytest.approx(squares)


def test_sparse_matrices_are_asked_for_numbers():
    texts = scipy.sparse.csr_array((np.full(2, "x"), np.arange(2), np.arange(3)))
    with pytest.raises(DTypeError, match="M must hold real or complex numbers"):
        lowrank.svd(texts, 1)


def test_empty_chunks_of_a_dask_array_hold_nothing():
    whole = dask.array.from_array(np.tile(M, (4, 1)), chunks=((0, 12, 0, 12), 5))
    result = lowrank.svd(RowBlocks(whole), 2, rng=0)
    assert result.s == pytest.approx(np.linalg.svd(np.tile(M, (4, 1)), compute_uv=False)[:2])
    verify(result, RowBlocks(whole))


def test_a_product_of_thin_factors_says_its_shape():
    left, right = lowrank.svd(M, 2).factors()
    assert repr(ThinProduct((left, right))) == "ThinProduct(shape=(6, 5), dtype=float64)"


# ------------------------------------------------------------------ what else there is


def test_a_bias_has_no_more_parts_than_a_sum_can_need():
    scores = np.random.default_rng(0).standard_normal((6, 4))
    honest = balance.balanced_topk(scores, 2)
    for parts in (0, 65):
        witness = {**honest.certificate.witness, "bias": np.zeros((parts, 4))}
        with pytest.raises(VerificationError, match=f"must have 1 to 64 rows, got {parts}"):
            verify(claiming(honest, witness=witness), scores)


def test_numbers_below_every_normal_one_stay_in_double_precision():
    subnormal = np.array([5e-324, -1e-320])
    kept = real_arrays.fitted(subnormal, np.zeros(2, dtype=np.float32))
    assert kept.dtype == np.float64
    assert np.array_equal(kept, subnormal)


@pytest.mark.parametrize("inputs", [{}, {"a": np.float32(1.0)}], ids=["none", "a number"])
def test_stored_inputs_have_rows(inputs):
    with pytest.raises(VerificationError, match="whose first axis are rows"):
        checkpoint.check_inputs(inputs)


def test_a_schedule_with_momentum_is_drawn_and_needs_its_whole_witness():
    schedule = memory.design("uniform", 60, max_lr=0.1, weight_decay=0.6, warmup=6, max_initial_share=0.2, beta1=0.9)
    verify(schedule, "uniform")
    assert schedule.plot().lines
    witness = {name: value for name, value in schedule.certificate.witness.items() if name != "missed"}
    assert witness != schedule.certificate.witness
    with pytest.raises(VerificationError):
        verify(claiming(schedule, witness=witness), "uniform")


def test_large_integers_of_gmpy2_are_used_where_it_is_installed(monkeypatch):
    asked = []

    def isqrt(n):
        asked.append(n)
        return math.isqrt(n)

    monkeypatch.setitem(sys.modules, "gmpy2", SimpleNamespace(mpz=int, isqrt=isqrt))
    spec = importlib.util.spec_from_file_location("lines_with_gmpy2", lines.__file__)
    copy = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, copy)
    spec.loader.exec_module(copy)
    assert copy._isqrt is isqrt
    assert (copy._integer, copy.THEOREM) == (int, lines.THEOREM)
