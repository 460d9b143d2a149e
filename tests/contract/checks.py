"""What every registered problem must satisfy: each check takes a problem and fails where it falls short.

The checks know nothing of a particular problem: a new entry in the register is picked up, and fails until complete.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from pathlib import Path
from typing import Any

import array_api_compat
import array_api_strict
import numpy as np
import torch
from numpydoc.docscrape import FunctionDoc

import infimum
from infimum._arrays import is_array, is_floating, like_array, to_numpy
from infimum.errors import FalseCertificateError, InfimumError, VerificationError
from infimum.problems import Case, Problem
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result

ROOT = Path(__file__).parents[2]
SEEDS = range(5)
LIBRARIES = {
    "numpy": np.asarray,
    "torch": torch.asarray,
    "array_api_strict": array_api_strict.asarray,
}


def solve(problem: Problem, case: Case) -> Result:
    """Run the solver with a fixed seed, where it takes one."""
    seeded = {"rng": 0} if "rng" in inspect.signature(problem.solve).parameters else {}
    return problem.solve(*case.inputs, **{**seeded, **case.options})


def tiny(problem: Problem, seed: int = 0) -> Case:
    return problem.tiny(np.random.default_rng(seed))


# ------------------------------------------------------------------ the entry itself


def check_entry(problem: Problem) -> None:
    """Every field is filled in, and the inputs are parameters of the solver."""
    room, _, function = problem.name.partition(".")
    assert room
    assert function, "the name must be room.function"
    assert problem.result.problem == problem.name, "the result class must name its problem"
    assert issubclass(problem.result, Result)
    parameters = inspect.signature(problem.solve).parameters
    assert problem.inputs
    for name in problem.inputs:
        assert name in parameters, f"{name} is not a parameter of {problem.name}"
    for text in (problem.minimises, problem.example_text):
        assert text.strip(), "a line of text is missing"
    if "rng" in parameters:
        assert parameters["rng"].kind is inspect.Parameter.KEYWORD_ONLY, "rng must be keyword-only (SPEC 7)"


def check_docstring(problem: Problem) -> None:
    """The docstring says what is minimised, documents every parameter, the errors, and names its sources."""
    doc = FunctionDoc(problem.solve)
    assert doc["Summary"], "no summary line"
    assert "inimis" in inspect.getdoc(problem.solve), "the docstring must say what is minimised"
    documented = {name.strip() for entry in doc["Parameters"] for name in entry.name.split(",")}
    missing = set(inspect.signature(problem.solve).parameters) - documented
    assert not missing, f"parameters without a description: {sorted(missing)}"
    for section in ("Returns", "Raises", "References", "Examples"):
        assert doc[section], f"no section {section}"


def check_docs_pages(problem: Problem, root: Path = ROOT) -> None:
    """The problem and the theorem of its example each have a page."""
    page = root / "docs" / "problems" / f"{problem.command}.md"
    assert page.is_file(), f"missing page docs/problems/{problem.command}.md"
    theorem = solve(problem, problem.example()).certificate.theorem
    assert (root / "docs" / "theorems" / f"{theorem}.md").is_file(), f"missing page docs/theorems/{theorem}.md"


# ------------------------------------------------------------------ truth


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


def answer_fields(result: Result) -> list[str]:
    return [field.name for field in dataclasses.fields(result) if field.name != "certificate"]


def perturbed(item: Any) -> Any:
    """Return `item` with one number changed beyond rounding."""
    if is_array(item):
        values = to_numpy(item).copy()
        index = np.unravel_index(int(np.argmax(np.abs(values))), values.shape)
        values[index] = perturbed(values[index].item())
        return array_api_compat.array_namespace(item).astype(like_array(values, item), item.dtype)
    if isinstance(item, bool):
        return not item
    if isinstance(item, int):
        return item + 1
    if isinstance(item, float | complex):
        return item * 1.5 + (1.0 if abs(item) < 1e-3 else 0.0)
    if isinstance(item, list | tuple):
        return type(item)([perturbed(item[0]), *item[1:]])
    return f"not {item}"


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


# ------------------------------------------------------------------ arrays


def converted(case: Case, library: str, dtype: str | None = None) -> Case:
    convert = LIBRARIES[library]
    return Case(
        tuple(convert(np.array(item, dtype=dtype)) if is_array(item) else item for item in case.inputs), case.options
    )


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
    """NaN, infinity, no elements and too many axes are answered with an error that names the parameter."""
    base = tiny(problem)
    for position, item in enumerate(base.inputs):
        if not is_array(item):
            continue
        values = np.asarray(item, dtype=np.float64)
        for label, bad in bad_versions(values):
            inputs = list(base.inputs)
            inputs[position] = bad
            try:
                solve(problem, converted(Case(tuple(inputs), base.options), library))
            except InfimumError as error:
                caught: Exception | None = error
            else:
                caught = None
            assert isinstance(caught, ValueError | TypeError), f"{label}: {caught!r}"
            assert problem.inputs[position] in str(caught), f"{label}: the error does not name the parameter: {caught}"


def bad_versions(values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    versions = [("no elements", np.zeros((0, *values.shape[1:]))), ("one axis more", values[None])]
    for label, number in (("NaN", np.nan), ("infinity", np.inf), ("minus infinity", -np.inf)):
        bad = values.copy()
        bad.flat[bad.size // 2] = number
        versions.append((label, bad))
    return versions


def check_hostile_arrays(problem: Problem, library: str) -> None:
    """Zero, constant, rank-deficient, single, huge and tiny inputs end in a true certificate or a clear error."""
    base = tiny(problem)
    for label, case in hostile_versions(base):
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


def hostile_versions(base: Case) -> list[tuple[str, Case]]:
    changes = {
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


CHECKS = (
    check_entry,
    check_docstring,
    check_docs_pages,
    check_brute_force,
    check_verify_accepts,
    check_verify_refuses_answers,
    check_verify_refuses_claims,
    check_verify_refuses_witnesses,
    check_json_round_trip,
    check_same_seed,
)
ARRAY_CHECKS = (
    check_library_kept,
    check_same_answer_everywhere,
    check_input_unchanged,
    check_bad_arrays,
    check_hostile_arrays,
)
