"""A newcomer's problem is picked up by the contract, and fails until it is complete."""

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import infimum
from infimum import problems
from infimum._arrays import Array
from infimum.errors import InfimumError
from infimum.problems import Problem
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from tests.contract import checks
from tests.contract.center import THEOREM, TOY, Center, center, certify_center, checked_points

FILES = {
    "docs/problems/center.md": "# A page\n",
    "docs/theorems/spread.md": "# A page\n",
    "docs/how-to-choose.md": "| numbers | their middle | {py:obj}`infimum.toy.center` |\n",
    "tests/toy/test_center.py": "",
    "benchmarks/toy.py": 'Comparison(problem="center", input="three numbers")\n',
}


@pytest.fixture
def root(tmp_path):
    """Return the root of a repository that holds what belongs to the problem."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(problems, "PROBLEMS", (*problems.PROBLEMS, TOY))
    monkeypatch.setitem(sys.modules, f"infimum.proof.theorems.{THEOREM}", SimpleNamespace(THEOREM=THEOREM))


def check_files(problem: Problem, root: Path) -> None:
    for check in checks.FILE_CHECKS:
        check(problem, root)


def run_all(problem: Problem, root: Path) -> None:
    for check in checks.CHECKS:
        check(problem)
    check_files(problem, root)
    for check in checks.ARRAY_CHECKS:
        for library in checks.LIBRARIES:
            check(problem, library)


def test_complete_problem_passes(root):
    run_all(TOY, root)
    assert isinstance(infimum.from_json(center(np.array([1.0, 2.0])).to_json()), Center)


def without_docstring(points):
    return center(points)


def false_bound(points):
    honest = center(points)
    return dataclasses.replace(honest, certificate=Certificate(9e9, 8e9, THEOREM, "rounded"))


def forgetful(points):
    point = float(np.random.default_rng().uniform())
    return Center(point=point, certificate=certify_center(checked_points(points), point))


def careless(points):
    return Center(point=0.0, certificate=certify_center(points, 0.0))


@dataclasses.dataclass(frozen=True)
class Gullible(Center):
    def recheck(self, points: Array) -> Certificate:
        return self.certificate


@dataclasses.dataclass(frozen=True)
class Misnamed(Center):
    inputs: ClassVar[tuple[str, ...]] = ("other",)


@dataclasses.dataclass(frozen=True)
class Undrawn(Center):
    def plot(self, ax: Any = None) -> Any:
        return ax


@dataclasses.dataclass(frozen=True)
class Boastful(Center):
    """Its plot shows the largest of samples as if it were the loss."""

    def plot(self, ax: Any = None) -> Any:
        ax = Center.plot(self, ax)
        ax.set_title(f"error {self.certificate.value:.5g}")
        return ax


def solver_of(kind):
    def solve(points):
        honest = center(points)
        return kind(point=honest.point, certificate=honest.certificate)

    solve.__name__ = kind.__name__.lower()
    return {"solve": solve, "result": kind}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"solve": without_docstring}, checks.check_docstring),
        ({"solve": false_bound}, checks.check_brute_force),
        ({"solve": false_bound}, checks.check_verify_accepts),
        ({"solve": forgetful}, checks.check_same_seed),
        (solver_of(Gullible), checks.check_verify_refuses_answers),
        (solver_of(Gullible), checks.check_verify_refuses_claims),
        (solver_of(Undrawn), checks.check_plot),
        (solver_of(Boastful), checks.check_plot),
        ({"short": "nowhere"}, checks.check_command),
        ({"minimises": ""}, checks.check_entry),
        ({"result": Misnamed}, checks.check_entry),
        ({"result": Result}, checks.check_entry),
    ],
    ids=lambda item: item.__name__ if callable(item) else ",".join(map(str, item)),
)
def test_incomplete_problem_fails(change, check):
    broken = dataclasses.replace(TOY, **change)
    with pytest.raises((AssertionError, AttributeError, InfimumError)):
        check(broken)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_fails(root, name):
    """Each of the files that belong to a problem is asked for, by name."""
    (root / name).write_text("") if name.startswith(("docs/how", "benchmarks")) else (root / name).unlink()
    with pytest.raises(AssertionError, match=name.rpartition("/")[0] or name):
        check_files(TOY, root)


@pytest.mark.parametrize("check", [checks.check_bad_arrays, checks.check_complex_arrays])
def test_careless_input_handling_fails(check):
    with pytest.raises((AssertionError, ValueError, TypeError, np.exceptions.ComplexWarning)):
        check(dataclasses.replace(TOY, solve=careless), "numpy")
