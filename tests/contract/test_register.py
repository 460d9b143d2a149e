"""Every registered problem against every check of the contract."""

import pytest

from infimum.problems import PROBLEMS
from tests.contract import checks


def named(check):
    return check.__name__.removeprefix("check_")


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
@pytest.mark.parametrize("check", [*checks.CHECKS, *checks.FILE_CHECKS], ids=named)
def test_contract(problem, check):
    check(problem)


@pytest.mark.parametrize("library", checks.LIBRARIES)
@pytest.mark.parametrize("problem", [p for p in PROBLEMS if p.arrays], ids=lambda problem: problem.name)
@pytest.mark.parametrize("check", checks.ARRAY_CHECKS, ids=named)
def test_array_contract(problem, check, library):
    check(problem, library)


def test_names_are_unique():
    names = [problem.name for problem in PROBLEMS] + [problem.command for problem in PROBLEMS]
    assert len(set(names)) == len(names)
