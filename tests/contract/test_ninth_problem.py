"""A newcomer's problem is picked up by the contract, and fails until it is complete."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pytest

import infimum
from infimum import problems
from infimum._arrays import Array, as_array, namespace, require_finite
from infimum.errors import InfimumError, ShapeError
from infimum.problems import Case, Problem
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result
from tests.contract import checks


@dataclasses.dataclass(frozen=True)
class Center(Result):
    problem: ClassVar[str] = "toy.center"
    inputs: ClassVar[tuple[str, ...]] = ("points",)
    point: float

    def recheck(self, points: Array) -> Certificate:
        return certify(as_array(points, "points"), self.point)


def certify(points: Array, point: float) -> Certificate:
    xp = namespace(points=points)
    low, high = float(xp.min(points)), float(xp.max(points))
    value = max(high - point, point - low)
    # Any point is at least half the spread away from one of the two ends.
    return Certificate(
        np.nextafter(value, np.inf).item(), np.nextafter((high - low) / 2, 0).item(), "spread", "rounded"
    )


def center(points: Array) -> Center:
    """Find the point whose largest distance to the given points is least.

    Minimises ``max(abs(points - point))``.

    Parameters
    ----------
    points : array (n,)
        Real, finite.

    Returns
    -------
    Center
        `point`; `certificate`.

    Raises
    ------
    ShapeError, NonFiniteError
        Each says what was expected, what came, and what to do.

    References
    ----------
    .. [1] P. Chebyshev, on the centre of a bounded set of reals.

    Examples
    --------
    >>> center(np.array([0.0, 2.0])).point
    1.0
    """
    points = as_array(points, "points")
    if points.ndim != 1 or points.shape[0] == 0:
        raise ShapeError(f"points must be a vector with at least one entry, got shape {tuple(points.shape)}")
    require_finite(points, "points")
    xp = namespace(points=points)
    point = (float(xp.min(points)) + float(xp.max(points))) / 2
    return Center(point=point, certificate=certify(points, point))


TOY = Problem(
    name="toy.center",
    minimises="largest distance of a point to the given points",
    solve=center,
    result=Center,
    scale=lambda points: float(np.max(np.abs(np.asarray(points)))),
    example=lambda: Case((np.array([0.0, 1.0, 4.0]),)),
    example_text="three numbers",
    answer_text=lambda result: f"{result.point}",
    tiny=lambda rng: Case((rng.standard_normal(6),)),
    optimum=lambda result, points: (float(np.max(points)) - float(np.min(points))) / 2,
)


@pytest.fixture
def docs(tmp_path):
    for page in ("problems/center.md", "theorems/spread.md"):
        path = tmp_path / "docs" / page
        path.parent.mkdir(parents=True)
        path.write_text("# A page\n")
    return tmp_path


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(problems, "PROBLEMS", (*problems.PROBLEMS, TOY))


def run_all(problem: Problem, root: Any) -> None:
    for check in checks.CHECKS:
        check(problem, root) if check is checks.check_docs_pages else check(problem)
    for check in checks.ARRAY_CHECKS:
        for library in checks.LIBRARIES:
            check(problem, library)


def test_complete_problem_passes(docs):
    run_all(TOY, docs)
    assert isinstance(infimum.from_json(center(np.array([1.0, 2.0])).to_json()), Center)


def without_docstring(points):
    return center(points)


def false_bound(points):
    honest = center(points)
    return dataclasses.replace(honest, certificate=Certificate(9e9, 8e9, "spread", "rounded"))


def forgetful(points):
    point = float(np.random.default_rng().uniform())
    return Center(point=point, certificate=certify(as_array(points, "points"), point))


def careless(points):
    return Center(point=0.0, certificate=certify(as_array(points, "points"), 0.0))


@dataclasses.dataclass(frozen=True)
class Gullible(Center):
    def recheck(self, points: Array) -> Certificate:
        return self.certificate


@dataclasses.dataclass(frozen=True)
class Misnamed(Center):
    inputs: ClassVar[tuple[str, ...]] = ("other",)


def gullible(points):
    honest = center(points)
    return Gullible(point=honest.point, certificate=honest.certificate)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"solve": without_docstring}, checks.check_docstring),
        ({"solve": false_bound}, checks.check_brute_force),
        ({"solve": false_bound}, checks.check_verify_accepts),
        ({"solve": forgetful}, checks.check_same_seed),
        ({"solve": gullible, "result": Gullible}, checks.check_verify_refuses_answers),
        ({"solve": gullible, "result": Gullible}, checks.check_verify_refuses_claims),
        ({"minimises": ""}, checks.check_entry),
        ({"result": Misnamed}, checks.check_entry),
        ({"result": Result}, checks.check_entry),
    ],
    ids=lambda item: item.__name__ if callable(item) else ",".join(item),
)
def test_incomplete_problem_fails(change, check):
    broken = dataclasses.replace(TOY, **change)
    with pytest.raises((AssertionError, AttributeError, InfimumError)):
        check(broken)


def test_missing_page_fails(docs):
    (docs / "docs" / "theorems" / "spread.md").unlink()
    with pytest.raises(AssertionError, match="theorems/spread"):
        checks.check_docs_pages(TOY, docs)


def test_careless_input_handling_fails():
    with pytest.raises((AssertionError, ValueError)):
        checks.check_bad_arrays(dataclasses.replace(TOY, solve=careless), "numpy")
