"""Bounds are below the optimum and values above it; what is false is refused; JSON and seeds keep every bit."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np

import infimum
from infimum._arrays import is_array, to_numpy
from infimum.errors import VerificationError
from infimum.problems import Case, Problem
from infimum.proof.result import Result
from tests.contract.cases import SEEDS, answer_fields, perturbed, solve, tiny


def check_brute_force(problem: Problem) -> None:
    """On tiny inputs the optimum found by brute force lies between the bound and the value."""
    for seed in SEEDS:
        case = tiny(problem, seed)
        result = solve(problem, case)
        optimum = problem.optimum(result, *case.inputs)
        slack = 1e-12 * problem.scale(*case.inputs)  # the brute force rounds as well
        certificate = result.certificate
        assert certificate.lower_bound <= optimum + slack, f"false bound: {certificate}, optimum {optimum!r}"
        assert optimum <= certificate.value + slack, f"false value: {certificate}, optimum {optimum!r}"


def check_verify_accepts(problem: Problem) -> None:
    """Verification accepts the results for the example and for tiny inputs, and derives the same certificate."""
    for case in (problem.example(), *(tiny(problem, seed) for seed in SEEDS)):
        result = solve(problem, case)
        derived = infimum.verify(result, *case.inputs)
        assert derived.theorem == result.certificate.theorem


def check_verify_refuses_answers(problem: Problem) -> None:
    """Changing any one field of the answer is noticed (a field that repeats an option is no part of the answer)."""
    case = tiny(problem)
    result = solve(problem, case)
    options = inspect.signature(problem.solve).parameters.keys() - set(problem.inputs)
    for field in answer_fields(result):
        if field in options:
            continue
        corrupted = dataclasses.replace(result, **{field: perturbed(getattr(result, field))})
        must_refuse(corrupted, case, f"a changed {field}")


def check_verify_refuses_claims(problem: Problem) -> None:
    """A bound raised, a value lowered, another theorem or a better rigour than derived are noticed."""
    case = tiny(problem)
    result = solve(problem, case)
    value, bound = result.certificate.value, result.certificate.lower_bound
    lies: list[dict[str, Any]] = [{"theorem": "wishful_thinking"}]
    lies.append({"rigour": "exact" if result.certificate.rigour != "exact" else "rounded", "confidence": 1.0})
    if value > 1e-9 * problem.scale(*case.inputs):
        lies.append({"value": value - type(value)(max(1e-3 * value, 1 if isinstance(value, int) else 0))})
        lies[-1]["lower_bound"] = min(bound, lies[-1]["value"])
        lies.append({"lower_bound": value + type(value)(1), "value": value + type(value)(1)})
    for lie in lies:
        forged = dataclasses.replace(result, certificate=dataclasses.replace(result.certificate, **lie))
        must_refuse(forged, case, f"the claim {lie}")


def must_refuse(result: Result, case: Case, label: str) -> None:
    try:
        infimum.verify(result, *case.inputs)
    except VerificationError:
        return
    raise AssertionError(f"verify accepted {label}")


def check_verify_refuses_witnesses(problem: Problem) -> None:
    """A changed witness is refused, unless it happens to prove the same claim."""
    for case in (problem.example(), tiny(problem)):
        result = solve(problem, case)
        witness = result.certificate.witness
        for name in witness:
            changed = {**witness, name: perturbed(witness[name])}
            certificate = dataclasses.replace(result.certificate, witness=changed)
            corrupted = dataclasses.replace(result, certificate=certificate)
            try:
                derived = infimum.verify(corrupted, *case.inputs)
            except VerificationError:
                continue
            slack = 1e-9 * problem.scale(*case.inputs)
            assert derived.lower_bound >= result.certificate.lower_bound - slack, f"witness {name} proves less"


def check_json_round_trip(problem: Problem) -> None:
    """JSON keeps every bit, and what is read back still verifies."""
    case = tiny(problem)
    result = solve(problem, case)
    again = infimum.from_json(result.to_json())
    assert type(again) is type(result)
    assert again.certificate == result.certificate
    for field in answer_fields(result):
        before, after = getattr(result, field), getattr(again, field)
        if is_array(before):
            assert np.array_equal(to_numpy(before), after), field
            assert to_numpy(before).dtype == after.dtype, field
        else:
            assert after == before, field
    infimum.verify(again, *case.inputs)


def check_same_seed(problem: Problem) -> None:
    """The same seed gives the same answer, bit for bit."""
    case = tiny(problem)
    assert solve(problem, case).to_json() == solve(problem, case).to_json()
