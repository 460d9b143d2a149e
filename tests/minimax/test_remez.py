"""The exchange algorithm finds the reference: its dual bound is the optimum."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize

import infimum
from infimum import minimax
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


@pytest.mark.parametrize(
    ("f", "powers", "domain"),
    [("sin(x)", [1, 3, 7], (-1, 1)), ("cos(x) - 1", [2, 4, 10], (-1, 1)), ("cos(x) - 1", [2, 4, 10], (0, 1))],
)
def test_powers_that_all_vanish_at_zero(f, powers, domain):
    found = minimax.polynomial(f, None, domain, system=powers)
    assert found.certificate.ratio <= 1.0 + 1e-6
    infimum.verify(found, f)
    x = np.linspace(0.0, 1.0, 800)
    rows = x[:, None] ** np.array(powers)
    matrix = np.block([[rows, -np.ones((x.size, 1))], [-rows, -np.ones((x.size, 1))]])
    y = {"sin(x)": np.sin(x), "cos(x) - 1": np.cos(x) - 1.0}[f] * 1e4  # the tolerance of the program is absolute
    best = scipy.optimize.linprog([0, 0, 0, 1], A_ub=matrix, b_ub=np.concatenate([y, -y]), bounds=(None, None))
    assert best.fun / 1e4 == pytest.approx(found.certificate.value, rel=1e-4)


def test_no_function_at_all_is_zero_in_any_system():
    found = minimax.polynomial("0*x", None, (-1, 1), system=["exp(x)", "sin(x)"])
    assert (found.certificate.lower_bound, found.certificate.value) == (0.0, 0.0)
    infimum.verify(found, "0*x")
