"""No certificate of a stack is false: NumPy and PyTorch, every precision, matrices made to break things."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import infimum
from infimum import errors, lowrank
from infimum._arrays import times_power_of_two
from tests.lowrank import exact
from tests.lowrank.exact import wide
from tests.lowrank.hostile import matrices

SLOW = pytest.param(2_600, marks=pytest.mark.slow)  # matrices for a solver in a library: 4 x 2 x 2,600 in all
LIBRARIES: dict[str, Any] = {"numpy": np.asarray, "torch": torch.from_numpy}


def stacks(count, seed):
    """Yield stacks of a hostile matrix of ordinary, the largest and the least scale, and one with its rows permuted."""
    rng = np.random.default_rng(seed)
    for index, (label, M) in enumerate(matrices((count + 3) // 4, seed)):
        dtype = np.dtype([np.float32, np.complex64, np.complex128][index % 3])
        M = wide(M) if dtype.kind == "c" else wide(M).real
        size = float(np.max(np.abs(M)))
        unit = times_power_of_two(M, -math.frexp(size)[1]) if size else M
        top, bottom = math.frexp(float(np.finfo(dtype).max))[1] - 8, math.frexp(float(np.finfo(dtype).tiny))[1] + 4
        scales = (0, top, bottom - int(rng.choice([0, 12])), 0)  # some so small that they lose digits
        parts = [times_power_of_two(unit, scale).astype(dtype) for scale in scales]
        yield f"{label} as {dtype}", np.stack([*parts[:3], parts[3][rng.permutation(len(M))]])


def judged(label, result, loss, optimum):
    certificate = result.certificate
    assert exact.at_least(certificate.value, loss), (label, certificate)
    assert exact.at_most(certificate.lower_bound, optimum), (label, certificate)
    return 1


def solved(solve, stack, *args, **options):
    """Solve the whole stack, or what of it is within range one by one: an answer too large is refused, not rounded."""
    try:
        batch = solve(stack, *args, **options)
    except errors.RangeError:
        whole = []
        for index in range(len(stack)):
            try:
                whole.append((index, solve(stack[index : index + 1], *args, **options)))
            except errors.RangeError:
                continue
        return [(index, one[0]) for index, one in whole]
    return list(enumerate(batch))


@pytest.mark.parametrize("count", [60, SLOW])
@pytest.mark.parametrize("library", LIBRARIES)
def test_svd(count, library):
    seen, rng = 0, np.random.default_rng(5)
    for label, stack in stacks(count, seed=71):
        rank = int(rng.integers(1, min(stack.shape[1:]) + 1))
        method: Any = ("auto", "exact", "gram", "krylov", "randomized")[int(rng.integers(5))]
        for index, answer in solved(lowrank.svd, LIBRARIES[library](stack), rank, method=method, rng=1):
            M, (U, s, Vh) = stack[index], (np.asarray(part) for part in answer)
            loss = exact.squared_loss(M, (wide(U), np.diag(wide(s)), wide(Vh)))
            seen += judged((label, rank, method), answer, loss, exact.squared_tails(M)[rank])
            infimum.verify(answer, LIBRARIES[library](M))
    assert seen >= count


@pytest.mark.parametrize("count", [60, SLOW])
@pytest.mark.parametrize("library", LIBRARIES)
def test_interpolative(count, library):
    seen, rng = 0, np.random.default_rng(6)
    for label, stack in stacks(count, seed=72):
        rank = int(rng.integers(1, min(stack.shape[1:]) + 1))
        method: Any = ("auto", "pivoted_qr", "greedy", "lupp")[int(rng.integers(4))]
        for index, answer in solved(lowrank.interpolative, LIBRARIES[library](stack), rank, method=method, rng=1):
            M, columns = stack[index], np.asarray(answer.columns)
            certificate, shift = answer.certificate, -math.frexp(float(np.max(np.abs(M))))[1]
            loss = exact.squared_loss(M, (wide(M[:, columns]), wide(np.asarray(answer.coefficients))))
            assert exact.at_least(certificate.value, loss), (label, rank, method, certificate)
            optimum = exact.best_columns(times_power_of_two(wide(M), shift), rank)  # by brute force
            assert math.ldexp(certificate.lower_bound, shift) <= optimum + 1e-13, (label, rank, method, certificate)
            infimum.verify(answer, LIBRARIES[library](M))
            seen += 1
    assert seen >= count


@pytest.mark.parametrize("count", [60, SLOW])
@pytest.mark.parametrize("library", LIBRARIES)
def test_pinv(count, library):
    seen, rng = 0, np.random.default_rng(7)
    for label, stack in stacks(count, seed=73):
        rtol = 10.0 ** -rng.uniform(1, 12)
        for index, answer in solved(lowrank.pinv, LIBRARIES[library](stack), rtol=rtol):
            A, X = stack[index], np.asarray(answer.matrix)
            loss = exact.squared_loss(np.eye(len(A)), (wide(A), wide(X)))
            seen += judged((label, rtol), answer, loss, exact.best_squared_loss_within(A, X))
            infimum.verify(answer, LIBRARIES[library](A))
    assert seen >= count / 2


@pytest.mark.parametrize("count", [60, SLOW])
@pytest.mark.parametrize("library", LIBRARIES)
def test_solve(count, library):
    """With a ridge against the exact optimum, without one against the least residual of the whole column space."""
    seen, rng = 0, np.random.default_rng(8)
    for label, stack in stacks(count, seed=74):
        right = rng.standard_normal((*stack.shape[:2], 2)).astype(stack.dtype)
        ridge = float(rng.choice([0.0, 1e-4, 1.0]))
        for index, (A, B) in enumerate(zip(stack, right, strict=True)):
            weight = ridge * min(max(float(np.max(np.abs(A))), 1e-150), 1e150) ** 2
            try:
                given = [LIBRARIES[library](part[None]) for part in (A, B)]
                batch: Any = lowrank.solve(*given, ridge=weight, rtol=1e-6)
            except errors.RangeError:
                continue
            answer, X = batch[0], np.asarray(batch.matrix)[0]
            own = exact.squared_loss(np.zeros(X.shape), (np.eye(len(X)), wide(X)))
            loss = exact.squared_loss(B, (wide(A), wide(X))) + own * weight
            assert exact.at_least(answer.certificate.value, loss), (label, index, ridge)
            if weight > 0.0:
                optimum = exact.best_squared_loss_with_ridge(wide(A), wide(B), weight)
                assert exact.at_most(answer.certificate.lower_bound, optimum), (label, index, ridge)
            infimum.verify(batch, *given)
            seen += 1
    assert seen >= count / 2
