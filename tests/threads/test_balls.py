"""python-flint's context is the process's: one lock around every use, and the user gets it back."""

import contextlib
import functools
import itertools
import os
import re
import threading
import time
from pathlib import Path

import pytest

import infimum
from infimum import minimax
from infimum.errors import OptionError
from infimum.proof.enclosure import balls
from tests.threads.side_by_side import side_by_side

flint = pytest.importorskip("flint")
SOURCE = Path(infimum.__file__).parent


@contextlib.contextmanager
def context(prec, cap):
    """The context of a user who computes with python-flint, too."""
    before = flint.ctx.prec, flint.ctx.cap
    flint.ctx.prec, flint.ctx.cap = prec, cap
    try:
        yield
    finally:
        flint.ctx.prec, flint.ctx.cap = before


def jobs(count):
    """Cheap problems of every solver that works with balls, no two alike."""
    found = []
    for i in range(count // 5):
        a = 1.0 + i / 1024
        found += [
            functools.partial(minimax.polynomial, f"exp({a} * x)", 1 + i % 3, (0.0, 1.0)),
            functools.partial(minimax.sup_norm, [0.1 * a, 1.4, -0.5], "sqrt(x)", (0.0, 1.0)),
            functools.partial(minimax.rational, f"exp({a} * x)", (1, 1), (0.0, 1.0)),
            functools.partial(minimax.rounded, f"exp({a} * x)", 1, (0.0, 1.0), dtype="bfloat16"),
            functools.partial(minimax.msign_schedule, 0.1 * a, 2, 3),
        ]
    return found


def bits(result):
    return result.to_json() if hasattr(result, "to_json") else repr(result)


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_threads_find_the_same_bits(count):
    work = jobs(count)
    serial = [bits(job()) for job in work]
    with context(77, 13):
        assert [bits(result) for result in side_by_side(work)] == serial
        assert (flint.ctx.prec, flint.ctx.cap) == (77, 13)


def test_threads_verify_what_others_found():
    results = [job() for job in jobs(40) if job.func is not minimax.sup_norm]
    inputs = [(result.lower if isinstance(result, minimax.Composition) else result.f,) for result in results]
    work = [functools.partial(infimum.verify, *pair) for pair in zip(results, *zip(*inputs, strict=True), strict=True)]
    serial = [repr(job()) for job in work]
    assert [repr(certificate) for certificate in side_by_side(work)] == serial


@pytest.mark.parametrize(("prec", "cap"), [(2, 1), (53, 10), (1000, 40)])
def test_results_do_not_depend_on_the_context_of_the_user(prec, cap):
    work = jobs(10)
    plain = [bits(job()) for job in work]
    with context(prec, cap):
        assert [bits(job()) for job in work] == plain
        assert (flint.ctx.prec, flint.ctx.cap) == (prec, cap)


def test_the_digits_of_the_user_come_back():
    before = flint.ctx.prec
    try:
        for digits in (5, 20, 33, 100):
            flint.ctx.dps = digits
            minimax.polynomial("exp", 2)
            assert flint.ctx.dps == digits
    finally:
        flint.ctx.prec = before


def test_an_error_gives_the_context_and_the_lock_back():
    with context(60, 7):
        for _ in range(2):
            with pytest.raises(OptionError), balls.working(300, 20):
                raise OptionError("inside")
            assert (flint.ctx.prec, flint.ctx.cap) == (60, 7)
            with pytest.raises(ZeroDivisionError), balls.working(300), balls.working(400, 5):
                raise ZeroDivisionError
            assert (flint.ctx.prec, flint.ctx.cap) == (60, 7)
        assert side_by_side([lambda: bits(minimax.polynomial("exp", 2))], threads=2)


def test_blocks_nest():
    with context(60, 7), balls.working(100, 3) as module:
        with balls.working(200, 4):
            assert (module.ctx.prec, module.ctx.cap) == (200, 4)
        assert (module.ctx.prec, module.ctx.cap) == (100, 3)
        assert balls.flint() is flint


def test_outside_of_a_block_there_is_no_ball():
    with pytest.raises(RuntimeError, match="outside of `working`"):
        balls.flint()
    with balls.working(100) as module:
        ball, other = module.arb(1) / 3, []
        thread = threading.Thread(target=lambda: other.append(attempt(balls.flint)))
        thread.start()
        thread.join()
    assert isinstance(other[0], RuntimeError)
    for function in (balls.float_below, balls.float_above):
        with pytest.raises(RuntimeError, match="outside of `working`"):
            function(ball)
    with pytest.raises(RuntimeError, match="outside of `working`"):
        balls.hull(0.0, 1.0)


def attempt(function):
    try:
        return function()
    except RuntimeError as error:
        return error


def test_another_thread_waits():
    order = []

    def second():
        with balls.working(50) as module:
            order.append(module.ctx.prec)

    with balls.working(100) as module:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append(module.ctx.prec)
    thread.join()
    assert order == [100, 50]


def test_python_flint_has_one_door():
    """Nothing but `balls` imports python-flint."""
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        if path != Path(balls.__file__):
            assert not re.search(r"^\s*(import|from) flint\b|[\"']flint[\"']", text, re.MULTILINE), path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_child_process_does_not_inherit_the_lock_of_another_thread():
    entered, done = threading.Event(), threading.Event()

    def hold():
        with balls.working(100):
            entered.set()
            done.wait(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    child = os.fork()
    if child == 0:
        free = balls._lock.acquire(timeout=5)
        os._exit(0 if free and flint.ctx.prec != 100 else 1)
    done.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()


def test_many_threads_of_nested_blocks():
    def job(seed):
        found = []
        for i in range(50):
            with balls.working(40 + seed) as module:
                third = module.arb(1) / 3
                with balls.working(90 + i):
                    module.arb(2).sqrt()
                found.append((module.ctx.prec, str(third - module.arb(1) / 3), third.rel_accuracy_bits()))
        return found

    work = [functools.partial(job, seed) for seed in range(16)]
    serial = [one() for one in work]
    assert side_by_side(work) == serial
    assert all(len(set(found)) == 1 for found in serial)
    assert len(set(itertools.chain(*serial))) == 16
