"""All public solvers in many threads: the answers and certificates of one thread, bit for bit."""

import functools
import subprocess
import sys
import warnings

import pytest
import threadpoolctl

import infimum
from infimum import sample_data
from infimum._threads import no_warnings, one_thread
from infimum.problems import PROBLEMS
from tests.contract.checks import solve, tiny
from tests.threads.side_by_side import side_by_side


def test_every_problem_in_every_thread():
    """Several threads at each problem, and all problems at once; BLAS on one thread, as sums depend on its number."""
    cases = [(problem, tiny(problem, seed)) for seed in range(2) for problem in PROBLEMS]
    assert len(cases) >= 36

    def job(problem, case):
        result = solve(problem, case)
        return result.to_json(), repr(infimum.verify(result, *case.inputs))

    work = [functools.partial(job, *case) for case in cases]
    filters = list(warnings.filters)
    with threadpoolctl.threadpool_limits(1):
        serial = [one() for one in work]
        assert side_by_side(work * 2) == serial * 2
        assert side_by_side([one for one in work for _ in range(4)], threads=4) == [s for s in serial for _ in range(4)]
    assert warnings.filters == filters


def test_sample_data_is_the_same_for_all():
    sample_data.python_documentation.cache_clear()
    sample_data.router_scores.cache_clear()
    found = side_by_side([sample_data.python_documentation, sample_data.router_scores] * 4)
    for one in found[2::2]:
        assert (one.terms, one.topics) == (found[0].terms, found[0].topics)
        assert (one.weights == found[0].weights).all()
    assert all((one == found[1]).all() for one in found[3::2])


@pytest.mark.parametrize("repeat", range(2))
def test_rooms_are_loaded_by_many_threads_at_once(repeat):
    code = (
        "import sys, infimum\n"
        "from tests.threads.side_by_side import side_by_side\n"
        "names = ['minimax', 'verify', 'lowrank', 'from_json', 'balance', 'problems', 'memory', 'integers']\n"
        f"jobs = [lambda n=n: getattr(infimum, n).__name__ for n in (names * 2)[{repeat}:]]\n"
        "print(side_by_side(jobs) == [job() for job in jobs])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (run.stdout, run.stderr) == ("True\n", "")


def test_states_of_the_process_are_given_back():
    def pools():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    def job(state):
        for _ in range(20):
            with state():
                if state is one_thread:
                    assert set(pools()) == {1}
                else:
                    warnings.warn("hidden", stacklevel=1)
        return True

    with threadpoolctl.threadpool_limits(2, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("error")
        before = pools(), list(warnings.filters)
        assert all(side_by_side([functools.partial(job, state) for state in (one_thread, no_warnings) * 4]))
        assert (pools(), list(warnings.filters)) == before
