"""Arrays of every library, whole, broken and hostile, real and complex."""

from __future__ import annotations

import math
from collections.abc import Callable

import array_api_compat
import numpy as np

import infimum
from infimum._arrays import Array, is_array, is_floating, to_numpy
from infimum.errors import DTypeError, FalseCertificateError, InfimumError
from infimum.lowrank import Batch
from infimum.problems import Case, Problem
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from tests.contract.cases import answer_fields, converted, solve, tiny


def check_library_kept(problem: Problem, library: str) -> None:
    """Arrays of the answer have the library, the device and the floating dtype of the input; scalars are Python's."""
    for dtype in ("float64", "float32"):
        case = converted(tiny(problem), library, dtype)
        source = next(item for item in case.inputs if is_array(item))
        result = solve(problem, case)
        for field in answer_fields(result):
            item = getattr(result, field)
            if not is_array(item):
                assert not isinstance(item, np.generic), f"{field} must be a Python number"
                continue
            assert array_api_compat.array_namespace(item) == array_api_compat.array_namespace(source), field
            assert array_api_compat.device(item) == array_api_compat.device(source), field
            if is_floating(item):
                assert item.dtype == source.dtype, f"{field} is {item.dtype}, the input {source.dtype}"
        assert isinstance(result.certificate.value, float | int)
        assert isinstance(result.certificate.lower_bound, float | int)
        infimum.verify(result, *case.inputs)


def check_same_answer_everywhere(problem: Problem, library: str) -> None:
    """Every library reaches the same certificate as NumPy, to rounding."""
    case = tiny(problem)
    reference, other = solve(problem, case).certificate, solve(problem, converted(case, library)).certificate
    slack = 1e-9 * problem.scale(*case.inputs)
    assert math.isclose(reference.value, other.value, rel_tol=1e-9, abs_tol=slack)
    slack += 0.1 * reference.gap  # a bound that is searched ends wherever it is near enough
    assert math.isclose(reference.lower_bound, other.lower_bound, rel_tol=1e-9, abs_tol=slack)


def check_input_unchanged(problem: Problem, library: str) -> None:
    """The solver writes to no input: read-only arrays are accepted and nothing changes."""
    case = converted(tiny(problem), library)
    before = [np.array(to_numpy(item)) for item in case.inputs if is_array(item)]
    if library == "numpy":
        for item in case.inputs:
            if is_array(item):
                item.setflags(write=False)
    infimum.verify(solve(problem, case), *case.inputs)
    after = [to_numpy(item) for item in case.inputs if is_array(item)]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def check_bad_arrays(problem: Problem, library: str) -> None:
    """NaN, infinity where it bars no pair, no elements, too many axes: the error names the parameter."""
    base = tiny(problem)
    for position, item in enumerate(base.inputs):
        if not is_array(item):
            continue
        values = np.asarray(item, dtype=np.float64)
        for label, bad in bad_versions(values, problem.barred):
            inputs = list(base.inputs)
            inputs[position] = bad
            try:
                solved: object = solve(problem, converted(Case(tuple(inputs), base.options), library))
            except InfimumError as error:
                caught: Exception | None = error
            else:
                if label == "one axis more" and isinstance(solved, Batch):
                    continue  # a stack of one: the problem takes stacks
                caught = None
            assert isinstance(caught, ValueError | TypeError), f"{label}: {caught!r}"
            assert problem.inputs[position] in str(caught), f"{label}: the error does not name the parameter: {caught}"


def bad_versions(values: np.ndarray, barred: float | None) -> list[tuple[str, np.ndarray]]:
    versions = [("no elements", np.zeros((0, *values.shape[1:]))), ("one axis more", values[None])]
    for label, number in (("NaN", np.nan), ("infinity", np.inf), ("minus infinity", -np.inf)):
        if number == barred:
            continue
        bad = values.copy()
        bad.flat[bad.size // 2] = number
        versions.append((label, bad))
    return versions


def check_hostile_arrays(problem: Problem, library: str) -> None:
    """Zero, constant, rank-deficient, single, huge and tiny inputs end in a true certificate or a clear error."""
    base = tiny(problem)
    for label, case in [*hostile_versions(base), *barred_versions(base, problem.barred)]:
        ready = converted(case, library)
        try:
            result = solve(problem, ready)
        except FalseCertificateError:
            raise
        except InfimumError:
            continue  # a clear refusal is allowed here; the tests of each room say which inputs must be solved
        certificate = infimum.verify(result, *ready.inputs)
        assert isinstance(certificate, Certificate), label
        optimum = problem.optimum(result, *(to_numpy(item) if is_array(item) else item for item in ready.inputs))
        slack = 1e-12 * problem.scale(*ready.inputs)
        assert certificate.lower_bound <= optimum + slack, f"{label}: {certificate}, optimum {optimum!r}"
        assert optimum <= certificate.value + slack, f"{label}: {certificate}, optimum {optimum!r}"


def barred_versions(base: Case, barred: float | None) -> list[tuple[str, Case]]:
    """Return the case with one pair, and with most pairs, that no answer may choose, where the problem has such."""
    if barred is None:
        return []
    values = np.asarray(base.inputs[0], dtype=np.float64)
    one, most = values.copy(), np.full(values.shape, barred)
    one[0, 0] = barred
    most[np.arange(values.shape[0]), np.arange(values.shape[0]) % values.shape[1]] = 1.0
    return [(label, Case((item,), base.options)) for label, item in (("one barred", one), ("most barred", most))]


def hostile_versions(base: Case) -> list[tuple[str, Case]]:
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "zero": np.zeros_like,
        "constant": np.ones_like,
        "one entry": lambda a: a[(slice(0, 1),) * a.ndim],
        "repeated": lambda a: np.broadcast_to(a[:1], a.shape).copy(),
        "huge": lambda a: a * 1e150,
        "tiny": lambda a: a * 1e-150,
        "mixed": lambda a: a * np.logspace(-150, 150, a.size).reshape(a.shape),
    }
    return [
        (label, Case(tuple(change(np.array(i, dtype=float)) if is_array(i) else i for i in base.inputs), base.options))
        for label, change in changes.items()
    ]


def check_complex_arrays(problem: Problem, library: str) -> None:
    """Complex numbers are solved and certified truly, or refused by an error that names the dtype and the parameter."""
    base = tiny(problem)
    for position, item in enumerate(base.inputs):
        if not is_array(item):
            continue
        inputs = tuple(turned(i) if is_array(i) else i for i in base.inputs)
        mixed = tuple(turned(i) if at == position else i for at, i in enumerate(base.inputs))
        for chosen in (inputs, mixed):
            case = converted(Case(chosen, base.options), library)
            try:
                result = solve(problem, case)
            except DTypeError as error:
                refusal = str(error)
            else:
                must_be_true(problem, result, case)
                continue
            assert any(name in refusal for name in problem.inputs), f"the error does not name the parameter: {refusal}"
            assert "complex" in refusal, f"the error does not name the dtype: {refusal}"


def turned(item: Array) -> np.ndarray:
    """Turn the phases of rows and columns, which leaves norms, singular values and definiteness as they are."""
    values = np.asarray(item, dtype=np.complex128)
    for axis, sign in zip(range(values.ndim), (1, -1, 1), strict=False):
        phases = np.exp(sign * 1j * np.arange(1, values.shape[axis] + 1))
        values = values * phases.reshape([-1 if at == axis else 1 for at in range(values.ndim)])
    return values


def must_be_true(problem: Problem, result: Result, case: Case) -> None:
    """Verification accepts the result, and brute force finds the optimum between bound and value."""
    certificate = infimum.verify(result, *case.inputs)
    inputs = tuple(to_numpy(item) if is_array(item) else item for item in case.inputs)
    optimum, slack = problem.optimum(result, *inputs), 1e-12 * problem.scale(*inputs)
    assert certificate.lower_bound <= optimum + slack, f"{certificate}, optimum {optimum!r}"
    assert optimum <= certificate.value + slack, f"{certificate}, optimum {optimum!r}"
