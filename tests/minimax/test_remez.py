"""The exchange algorithm finds the reference: its dual bound is the optimum."""

from itertools import pairwise

import pytest

from infimum.minimax.remez.exchange import solve
from infimum.proof.enclosure.task import as_task
from infimum.proof.uniform_error.error_bounds import dual_bound
from tests.minimax.optima import OPTIMA


@pytest.mark.parametrize("name", OPTIMA)
def test_known_optima(name):
    f, degree, domain, options, optimum = OPTIMA[name]
    task = as_task(f, degree, domain, **options)
    found = solve(task)
    if optimum < 1e-10:  # beyond double precision
        found = solve(task, bits=300, start=found.points)
    bound, signs = dual_bound(task, found.points)
    digits = 6e-9 if "sigmoid" in name else 1e-10
    assert bound == pytest.approx(optimum, rel=digits)
    assert all(a == -b for a, b in pairwise(signs))
