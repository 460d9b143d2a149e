"""Forgeries that were once believed, and their kin: each must be refused, and in time."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import infimum
from infimum import balance, integers, lowrank, minimax, problems
from infimum.errors import FileFormatError, OptionError, VerificationError
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from infimum.proof.theorems import allocation_dual
from tests.attack.honest import pool
from tests.attack.judge import limited

NAMES = [problem.name for problem in problems.PROBLEMS]


def changed(
    result: Any, witness: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, **fields: Any
) -> Any:
    """Return a result with other fields, parts of the witness and claims."""
    certificate = result.certificate
    whole = {**certificate.witness, **(witness or {})}
    certificate = dataclasses.replace(certificate, witness=whole, **(claims or {}))
    return dataclasses.replace(result, certificate=certificate, **fields)


def believed(result: Result, *inputs: Any) -> Certificate | None:
    """Verify a result that claims what a checker derives from it; None where it is refused."""
    with limited():
        try:
            derived = result.recheck(*inputs)
            names = ("value", "lower_bound", "theorem", "rigour", "confidence")
            claims = {name: getattr(derived, name) for name in names}
            result = changed(result, claims=claims)
        except Exception:  # what cannot be derived may still be claimed
            pass
        try:
            return infimum.verify(result, *inputs)
        except VerificationError:
            return None


def triples(M: np.ndarray, first: int, count: int, **claims: Any) -> lowrank.SVD:
    """Return singular triples of M that are not the leading ones, as an answer of `svd`."""
    U, s, Vh = np.linalg.svd(M, full_matrices=False)
    kept = slice(first, first + count)
    return lowrank.SVD(U=U[:, kept], s=s[kept], Vh=Vh[kept], certificate=Certificate(**claims))


# ------------------------------------------------------------------ signs and ranges that a theorem asks for


@pytest.mark.parametrize("shift", [-316.2, -1.0, -1e-9, 0.0, -0.0, math.nan, math.inf, True, "1.0", 2j, None])
def test_ritz_block_needs_a_positive_shift(shift: Any) -> None:
    rng = np.random.default_rng(0)
    M = rng.standard_normal((120, 100))
    witness = {"basis": rng.standard_normal((100, 8)), "shift": shift, "converged": 3}
    claims = {"value": 29.25, "lower_bound": 29.16, "theorem": "ritz_block", "rigour": "rounded", "witness": witness}
    assert believed(triples(M, 60, 5, **claims), M) is None


@pytest.mark.parametrize("converged", [-1, 9, 100, 10**12, 1.5, True, None])
def test_ritz_block_counts_converged_pairs_of_the_block(converged: Any) -> None:
    rng = np.random.default_rng(1)
    M = rng.standard_normal((40, 30))
    witness = {"basis": rng.standard_normal((30, 8)), "shift": 50.0, "converged": converged}
    claims = {"value": 40.0, "lower_bound": 0.0, "theorem": "ritz_block", "rigour": "rounded", "witness": witness}
    assert believed(triples(M, 10, 5, **claims), M) is None


@pytest.mark.parametrize("mu", [-1.0, -1e-3, -1e-38, -5e-324, math.nan, math.inf, -math.inf, True, 1j, [1.0]])
def test_tikhonov_dual_needs_a_multiplier_of_at_least_zero(mu: Any) -> None:
    A = np.random.default_rng(2).standard_normal((8, 5))
    honest = lowrank.pinv(A)
    flipped = changed(honest, {"mu": mu}, matrix=-honest.matrix, penrose=np.array([2.0, 2.0, 0.0, 0.0]))
    assert believed(flipped, A) is None
    assert believed(changed(honest, {"mu": mu}), A) is None


@pytest.mark.parametrize("shape", [(12, 1), (1, 9), (1, 1), (12,), (), (9, 12), (1, 12, 9), (13, 9)])
def test_a_dual_has_the_shape_of_its_target(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    A, B = rng.standard_normal((12, 4)), np.repeat(rng.standard_normal((12, 1)), 9, axis=1)
    honest = lowrank.solve(A, B, ridge=1e-3)
    dual = np.resize(np.asarray(honest.certificate.witness["dual"]).T, shape)
    assert believed(changed(honest, {"dual": dual}), A, B) is None


@pytest.mark.parametrize("multiplier", [-1.0, -1e-9, -math.inf, math.nan, math.inf, True, 1j])
def test_allocation_dual_needs_a_price_of_at_least_zero(multiplier: Any) -> None:
    unit = ((allocation_dual.Curve(np.array([1.0, 2.0, 4.0]), np.array([4.0, 1.0, 0.0])),),)
    with pytest.raises(VerificationError):
        allocation_dual.dual_value([unit], 10.0, multiplier)


# ------------------------------------------------------------------ draws


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_whoever_proves_does_not_choose_the_draws(seed: int) -> None:
    """A block that holds the very probes that should find what it misses hides the leading direction from them."""
    rng = np.random.default_rng(5)
    U, V = (np.linalg.qr(rng.standard_normal((200, 200)))[0] for _ in range(2))
    M = (U * np.append(1.0, np.full(199, 0.0095))) @ V.T
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((200, 32)))[0]
    delta = 1e-12
    for shift in (1e-4, 1e-3, 1e-2):
        witness = {"basis": basis, "seed": seed, "delta": delta, "probed": 32, "shift": shift, "converged": 0}
        claims = {"value": 1.1, "lower_bound": 0.856, "theorem": "ritz_block", "witness": witness}
        result = triples(M, 20, 1, rigour="probable", confidence=1.0 - delta, **claims)
        for draw in (None, 0, 1):
            try:
                derived = infimum.verify(result, M, rng=draw)
            except VerificationError:
                continue
            assert derived.lower_bound <= np.linalg.norm(M - 1.0 * np.outer(U[:, 0], V[:, 0]))
        assert believed(result, M) is None or result.recheck(M).lower_bound <= 0.134


# ------------------------------------------------------------------ whole numbers that wrap


@pytest.mark.parametrize("high", [2**62, 2**63 - 1, 2**61])
def test_loads_do_not_wrap(high: int) -> None:
    scores = np.random.default_rng(6).standard_normal((8, 4))
    chosen = np.zeros(scores.shape, dtype=bool)
    chosen.flat[np.argsort(scores, axis=None)[:6]] = True
    loads = chosen.sum(axis=0)
    load = np.stack([np.zeros(4, dtype=np.int64), np.full(4, high, dtype=np.int64)])
    thresholds = np.full(4, -np.finfo(float).eps)
    given_up = float(np.sort(scores, axis=None)[-6:].sum() - scores[chosen].sum())
    forged = balance.ThresholdRouting(
        chosen=chosen,
        bias=-thresholds,
        loads=loads,
        score=float(math.fsum(scores[chosen])),
        load=load,
        certificate=Certificate(
            given_up, given_up, "assignment_dual", "exact", witness={"thresholds": thresholds, "level": -1.0}
        ),
    )
    found = believed(forged, scores)
    assert found is None or found.lower_bound == 0.0


# ------------------------------------------------------------------ kinds of numbers


@pytest.mark.parametrize("imaginary", [1e6, 1.0, 1e-12])
def test_an_imaginary_part_is_not_dropped(imaginary: float) -> None:
    rng = np.random.default_rng(7)
    A, B = rng.standard_normal((8, 3)), rng.standard_normal((8, 2))
    for options in ({}, {"ridge": 0.1}):
        honest = lowrank.solve(A, B, **options)
        assert believed(changed(honest, matrix=honest.matrix + imaginary * 1j), A, B) is None
        dual = np.asarray(honest.certificate.witness["dual"]) + imaginary * 1j
        assert believed(changed(honest, {"dual": dual}), A, B) is None


@pytest.mark.parametrize("name", NAMES)
def test_no_complex_array_in_a_real_answer(name: str) -> None:
    honest = pool(name)[0]
    result = infimum.from_json(json.dumps(honest.document))
    for field in dataclasses.fields(result):
        item = getattr(result, field.name)
        if isinstance(item, np.ndarray) and item.dtype.kind == "f":
            assert believed(changed(result, **{field.name: item + 1e6j}), *honest.inputs) is None, field.name
    for part, item in result.certificate.witness.items():
        if isinstance(item, np.ndarray) and item.dtype.kind == "f":
            assert believed(changed(result, {part: item + 1e6j}), *honest.inputs) is None, part


@pytest.mark.parametrize("name", NAMES)
def test_no_truth_value_is_a_number(name: str) -> None:
    document = pool(name)[0].document
    for claim in ("value", "lower_bound", "confidence"):
        forged = {**document, "certificate": {**document["certificate"], claim: True}}
        with pytest.raises(FileFormatError):
            infimum.from_json(json.dumps(forged))


def test_a_certificate_takes_no_truth_value() -> None:
    for claims in ((True, 0.0, 1.0), (1.0, True, 1.0), (1.0, 0.0, True)):
        with pytest.raises(OptionError):
            Certificate(claims[0], claims[1], "gram", "rounded", claims[2])


# ------------------------------------------------------------------ claims


def test_a_claim_far_below_one_is_compared() -> None:
    f = "exp(x)/10**17"
    honest = minimax.rounded(f, 1, (0.0, 1.0), dtype="float32")
    assert 1e-19 < honest.certificate.value < 1e-17
    for value in (1e-30, 0.0, honest.certificate.lower_bound / 2):
        with pytest.raises(VerificationError):
            infimum.verify(changed(honest, claims={"value": value, "lower_bound": min(value, 1e-31)}), f)


def test_a_schedule_claims_no_less_than_its_error() -> None:
    honest = minimax.msign_schedule(0.9, steps=9, degree=5)
    assert 0.0 < honest.certificate.value < 1e-100
    for value in (0.0, honest.certificate.value / 2):
        with pytest.raises(VerificationError):
            infimum.verify(changed(honest, claims={"value": value, "lower_bound": 0.0}), 0.9)


@pytest.mark.parametrize("name", NAMES)
def test_claims_have_no_slack(name: str) -> None:
    """The next number on the unsafe side of what is derived is refused."""
    for honest in pool(name):
        result = infimum.from_json(json.dumps(honest.document))
        derived = infimum.verify(result, *honest.inputs)
        for lie in _lies(derived):
            with pytest.raises(VerificationError):
                infimum.verify(changed(result, claims=lie), *honest.inputs)


def _lies(derived: Certificate) -> Iterator[dict[str, Any]]:
    value, bound = derived.value, derived.lower_bound
    if isinstance(value, int):
        yield {"value": value - 1, "lower_bound": min(bound, value - 1)}
        yield {"lower_bound": bound + 1, "value": max(value, bound + 1)}
        return
    lower, higher = math.nextafter(value, -math.inf), math.nextafter(bound, math.inf)
    yield {"value": lower, "lower_bound": min(bound, lower)}
    if higher <= value:
        yield {"lower_bound": higher}
    yield {"lower_bound": higher, "value": 2.0 * max(abs(value), abs(higher)) + 1.0}


@pytest.mark.parametrize("change", ["permuted", "negative", "zero above", "one negative"])
def test_singular_values_are_positive_and_descend(change: str) -> None:
    M = np.random.default_rng(8).standard_normal((9, 7))
    for method in ("exact", "gram", "krylov"):
        honest = lowrank.svd(M, 3, method=method)
        U, s, Vh = (np.array(item) for item in (honest.U, honest.s, honest.Vh))
        order = [1, 0, 2]
        signs = np.array([1.0, 1.0, -1.0])
        forged = {
            "permuted": (U[:, order], s[order], Vh[order]),
            "negative": (-U, -s, Vh),
            "zero above": (U[:, ::-1], s[::-1], Vh[::-1]),
            "one negative": (U * signs, s * signs, Vh),
        }[change]
        assert believed(changed(honest, U=forged[0], s=forged[1], Vh=forged[2]), M) is None


# ------------------------------------------------------------------ verifications that would not end


def test_a_search_tree_beyond_the_solvers_is_refused() -> None:
    M = np.random.default_rng(9).standard_normal((40, 40))
    for result in (lowrank.interpolative(M, 12), lowrank.cur(M, 12)):
        for nodes in (10**12, 10**30, 10**7):
            claims = {"theorem": "column_subset", "rigour": "rounded", "confidence": 1.0}
            assert _refused_in_time(changed(result, {"nodes": nodes}, claims), M)


def test_a_choice_of_terms_beyond_the_solvers_is_refused() -> None:
    rng = np.random.default_rng(10)
    X, Y = rng.standard_normal((20, 40)), rng.standard_normal((40, 20))
    result = lowrank.cr(X, Y, 20)
    witness = {"diagonal": np.zeros(40), "nodes": 10**12}
    assert _refused_in_time(changed(result, witness, {"theorem": "gram"}, weights=None), X, Y)


@pytest.mark.parametrize("stop", [10**30, 10**18, 10**300])
def test_lines_beyond_the_solvers_are_refused(stop: int) -> None:
    n, cost = 10**12, (10**9 + 7, 10**9 + 9, 1)
    forged = integers.ProductPlusRemainder(
        a=0,
        b=0,
        c=n,
        cost=cost,
        certificate=Certificate(n, 0, "product_plus_remainder", "exact", witness={"first": 1, "stop": stop}),
    )
    assert _refused_in_time(forged, n)


def test_breakpoints_beyond_the_solvers_are_refused() -> None:
    points = tuple(np.linspace(0.001, 0.999, 200_000).tolist())
    honest = minimax.polynomial("exp(x)", 3, (0.0, 1.0))
    assert _refused_in_time(dataclasses.replace(honest, breakpoints=points), "exp(x)")
    quotient = minimax.rational("exp(x)", (1, 1), (0.0, 1.0))
    assert _refused_in_time(dataclasses.replace(quotient, breakpoints=points), "exp(x)")
    machine = minimax.rounded("exp(x)", 2, (0.0, 1.0))
    assert _refused_in_time(dataclasses.replace(machine, breakpoints=points), "exp(x)")


def _refused_in_time(result: Any, *inputs: Any) -> bool:
    with limited(10.0):
        try:
            infimum.verify(result, *inputs)
        except VerificationError:
            return True
    return False
