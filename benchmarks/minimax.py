"""Best polynomials against other solvers of the same problem, and against Chebyshev interpolation.

baryrat and pm-remez belong to the dependency group ``bench``; Sollya is timed where its binary is installed. baryrat
can take minutes, so it is interrupted; pm-remez can loop for ever in native code: where it does, it runs in a process
that is ended.
"""

from __future__ import annotations

import contextlib
import io
import math
import multiprocessing
import shutil
import signal
import subprocess
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.harness import Comparison, Contender
from infimum import minimax
from infimum.minimax.remez.exchange import solve
from infimum.proof.enclosure.approximants import stored
from infimum.proof.enclosure.parsing import parse
from infimum.proof.enclosure.task import as_task

DEADLINE = 4  # seconds of CPU for one run of a peer

Values = Callable[[np.ndarray], np.ndarray]
Domain = tuple[float, float]

CASES: tuple[tuple[str, int, Domain], ...] = (
    ("exp(x)", 5, (-1.0, 1.0)),
    ("exp(x)", 10, (-1.0, 1.0)),
    ("exp(x)", 15, (-1.0, 1.0)),
    ("abs(x)", 20, (-1.0, 1.0)),
    ("sqrt(x)", 10, (0.0, 1.0)),
    ("abs(x)", 50, (-1.0, 1.0)),
    ("abs(x)", 100, (-1.0, 1.0)),
    ("abs(x)", 200, (-1.0, 1.0)),
    ("sigmoid(x)", 20, (-8.0, 8.0)),
    ("sigmoid(x)", 40, (-8.0, 8.0)),
    ("sigmoid(x)", 60, (-8.0, 8.0)),
    ("gelu(x)", 20, (-8.0, 8.0)),
    ("1/(1 + 25*x**2)", 50, (-1.0, 1.0)),
)
SCALAR: dict[str, Callable[[float], float]] = {  # pm-remez asks for one value at a time
    "exp(x)": math.exp,
    "abs(x)": abs,
    "sqrt(x)": lambda x: math.sqrt(max(x, 0.0)),
    "sigmoid(x)": lambda x: 1.0 / (1.0 + math.exp(-x)),
    "gelu(x)": lambda x: x * math.erfc(-x / math.sqrt(2.0)) / 2.0,
    "1/(1 + 25*x**2)": lambda x: 1.0 / (1.0 + 25.0 * x * x),
}
NEVER_RETURNS = (("exp(x)", 15),)  # for pm-remez


def comparisons() -> Iterator[Comparison]:
    """Yield every comparison of the minimax room."""
    for text, degree, domain in CASES:
        yield best_polynomial(text, degree, domain)


def best_polynomial(text: str, degree: int, domain: Domain) -> Comparison:
    """Compare by the largest error: ours enclosed, with the proof; the others, and our exchange alone, on a grid."""
    best = minimax.polynomial(text, degree, domain)
    f = parse(text)
    x = dense(best, domain)

    def loss(answer: Any) -> float:
        if isinstance(answer, minimax.MinimaxPolynomial):
            return float(answer.certificate.value)
        return float(np.max(np.abs(answer(x) - f(x))))

    def quick(seed: int) -> Values:
        task = as_task(text, degree, domain)
        found = solve(task)
        return stored(task.space, found.interval, found.coefficients)

    contenders: dict[str, Contender] = {
        "infimum minimax": lambda seed: minimax.polynomial(text, degree, domain),
        "infimum minimax, double precision, no enclosure": quick,
        "infimum minimax, certify=False": lambda seed: minimax.polynomial(text, degree, domain, certify=False),
        "numpy, Chebyshev interpolation": lambda seed: np.polynomial.Chebyshev.interpolate(f, degree, domain),
        "pm-remez (Rust)": lambda seed: pm_remez(text, degree, domain),
        "baryrat brasil": lambda seed: baryrat(f, degree, domain),
    }
    if shutil.which("sollya"):
        contenders["Sollya remez"] = lambda seed: sollya(text, degree, domain)
    low, high = domain
    return Comparison(
        problem="minimax",
        input=f"{text} on [{low:g}, {high:g}]",
        task=f"degree {degree}",
        contenders=contenders,
        loss=loss,
        floor=float(best.certificate.lower_bound),
        certify=lambda answer: answer.recheck(text) if isinstance(answer, minimax.MinimaxPolynomial) else None,
        rounds=3,
    )


def dense(best: minimax.MinimaxPolynomial, domain: Domain) -> np.ndarray:
    """Many points, among them those where the error of the best polynomial is largest."""
    low, high = domain
    x = (low + high) / 2 - (high - low) / 2 * np.cos(np.linspace(0.0, np.pi, 4001))
    return np.unique(np.clip(np.concatenate([x, best.points, [0.0]]), low, high))


def pm_remez(text: str, degree: int, domain: Domain) -> Values:
    """Solve as a filter: a polynomial of degree n is a symmetric one of 2n + 1 taps, with x = cos(2 pi frequency)."""
    import pm_remez as peer

    f, (low, high) = SCALAR[text], domain

    def gain(frequency: float) -> float:
        return f(low + (high - low) * (math.cos(2.0 * math.pi * frequency) + 1.0) / 2.0)

    if (text, degree) in NEVER_RETURNS:
        return in_a_process(lambda: peer.remez(2 * degree + 1, [0.0, 0.5], [gain]).weighted_error)
    taps = np.asarray(peer.remez(2 * degree + 1, [0.0, 0.5], [gain]).impulse_response)
    return np.polynomial.Chebyshev(np.concatenate([[taps[degree]], 2.0 * taps[degree + 1 :]]), domain)


def in_a_process(task: Callable[[], Any]) -> Any:
    """Run a task in another process, which is ended at the deadline."""
    process = multiprocessing.get_context("fork").Process(target=task)
    process.start()
    process.join(DEADLINE)
    if process.is_alive():
        process.kill()
        process.join()
        raise TimeoutError(f"does not return within {DEADLINE} s")
    raise RuntimeError("returned after all: take it from the list")


def baryrat(f: Values, degree: int, domain: Domain) -> Values:
    """BRASIL with a constant denominator; its warnings about convergence are what the quality shows."""
    import baryrat as peer

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), interrupted():
        warnings.simplefilter("ignore")
        return peer.brasil(f, domain, (degree, 0))  # type: ignore[no-any-return]


@contextlib.contextmanager
def interrupted() -> Iterator[None]:
    """Raise TimeoutError at the deadline, in CPU time: the machine may be busy."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"does not return within {DEADLINE} s")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, DEADLINE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def sollya(text: str, degree: int, domain: Domain) -> Values:
    """Solve in Sollya, at its default quality; the start of the program is included."""
    low, high = domain
    lines = f"p = remez({text}, {degree}, [{low!r}; {high!r}]); for i from 0 to {degree} do print(D(coeff(p, i)));"
    run = subprocess.run(
        ["sollya"], input=f"display = decimal!; prec = 165!; {lines}", capture_output=True, text=True, timeout=DEADLINE
    )
    numbers = [float(line) for line in run.stdout.split("\n") if line and line[0] in "-.0123456789"]
    return np.polynomial.Polynomial(numbers[-degree - 1 :])
