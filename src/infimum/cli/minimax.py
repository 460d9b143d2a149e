"""``infimum minimax``: the best polynomial for a function, with its proof, rounded or as code if asked."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from infimum import minimax as room
from infimum import problems
from infimum.cli import screen
from infimum.cli.outputs import STDOUT, Outputs
from infimum.errors import OptionError
from infimum.minimax import MinimaxPolynomial
from infimum.proof import wording

SPACE = Group("Space", sort_key=0)
ERROR = Group("Error", sort_key=1)
ANSWER = Group("Answer", sort_key=2)
FLAG = Parameter(negative="", show_default=False)
LISTED = Parameter(negative_iterable="", consume_multiple=True)
SHOWN = 16  # coefficients on the screen; all of them with --json or --save


def minimax(
    f: Annotated[str, Parameter(name="FUNCTION")],
    /,
    *,
    degree: Annotated[int | None, Parameter(group=SPACE)] = None,
    domain: Annotated[list[float], LISTED, Parameter(name=("--on", "--domain"), group=SPACE)] | None = None,
    odd: Annotated[bool, FLAG, Parameter(group=SPACE)] = False,
    even: Annotated[bool, FLAG, Parameter(group=SPACE)] = False,
    system: Annotated[list[int], LISTED, Parameter(name="--powers", group=SPACE)] | None = None,
    fixed: Annotated[list[str], LISTED, Parameter(group=SPACE)] | None = None,
    relative: Annotated[bool, FLAG, Parameter(group=ERROR)] = False,
    weight: Annotated[str | None, Parameter(group=ERROR)] = None,
    breakpoints: Annotated[list[float], LISTED, Parameter(group=ERROR)] | None = None,
    precision: Annotated[Literal["auto", "double", "multiple"], Parameter(group=ANSWER)] = "auto",
    tol: Annotated[float, Parameter(group=ANSWER)] = 1e-6,
    dtype: Annotated[str | None, Parameter(name="--round", group=ANSWER)] = None,
    emit: Annotated[Literal["c", "numpy", "torch", "triton"] | None, Parameter(group=ANSWER)] = None,
    outputs: Outputs | None = None,
) -> int:
    """Approximate a function by the polynomial whose largest error is least, and prove that none is better.

    infimum minimax "exp(x)" --degree 5 --on -1 1

    infimum minimax gelu --degree 20 --on -8 8 --report gelu.html

    infimum minimax "sign(x)" --degree 9 --on -1 -0.1 0.1 1

    Parameters
    ----------
    f
        A name (gelu, tanh, erf, ...) or an expression in x.
    degree
        Largest degree; left out with --powers.
    domain
        The domain: two numbers an interval. By default -1 1.
    odd
        Odd powers only.
    even
        Even powers only.
    system
        These powers only: 1,3,7.
    fixed
        Coefficients that are given, exactly: 0=1,1=1/3.
    relative
        Divide the error by the function.
    weight
        Multiply the error by this expression in x, positive on the domain.
    breakpoints
        Where the function has kinks; those of abs, max and the like are found.
    precision
        Arithmetic of the solver; auto goes on in multiple precision where the error needs it.
    tol
        Relative distance of value and lower bound that is aimed at.
    dtype
        Round the coefficients to a machine format (bfloat16, float16, float32) and optimise them again on its grid.
    emit
        Print the polynomial as code, in place of the table.
    """
    outputs = outputs or Outputs()
    outputs.check()
    if emit is not None and outputs.json == STDOUT:
        raise OptionError("--emit and --json - both print to stdout: give the JSON a file name")
    if degree is None and system is None:
        raise OptionError("--degree is missing; give it, or --powers in its place")
    if degree is not None and system is not None:
        raise OptionError("--degree and --powers exclude each other: give one of them")
    intervals = _pairs(domain if domain is not None else [-1.0, 1.0])
    options: dict[str, Any] = {"domain": intervals, "system": _system(odd, even, system), "relative": relative}
    options["fixed"] = _fixed(fixed or [])
    options |= {"weight": weight, "breakpoints": tuple(breakpoints or ()), "precision": precision, "tol": tol}
    with screen.progress("solving minimax.polynomial", outputs):
        start = time.perf_counter()
        best = room.polynomial(f, degree, **options)
        result: Any = best if dtype is None else best.round(dtype)
        seconds = time.perf_counter() - start
    code = "" if emit is None else _emitters(result)[emit]()
    source = f"{best.f} on " + " and ".join(f"[{low:g}, {high:g}]" for low, high in best.domain)
    written = outputs.write(
        result, source=source, answer=f"coefficients {_coefficients(result)}", seconds=seconds, data=[best.f]
    )
    if emit is not None:
        print(code.rstrip())
    elif not outputs.quiet and outputs.json != STDOUT:
        rows = {"minimised": problems.problem_of(best).minimises, "function": source}
        rows |= {"alternates on": f"{len(best.points)} points", **_rows(result)}
        if dtype is not None:
            rows["unrounded"] = f"{wording.number(best.certificate.value)}, without rounding"
        rows |= {**screen.certificate_rows(result.certificate), "time": f"{seconds:.3g} s"}
        if written:
            rows["written"] = ", ".join(map(str, written))
        screen.console().print(screen.facts(rows))
        screen.console().print(f"\n{wording.sentence(result.certificate)}")
    return 0


def _pairs(ends: list[float]) -> list[tuple[float, float]]:
    if not ends or len(ends) % 2:
        raise OptionError(f"--on takes two numbers an interval, such as --on -1 1, got {len(ends)} of them")
    return list(zip(ends[::2], ends[1::2], strict=True))


def _fixed(given: list[str]) -> dict[int, str]:
    pairs = [re.fullmatch(r"\s*(\d+)\s*=\s*(\S+)\s*", text) for entry in given for text in entry.split(",")]
    if not all(pairs):
        raise OptionError(f"--fixed takes power=number, such as --fixed 0=1,1=1/3, got {','.join(given)!r}")
    return {int(pair[1]): pair[2] for pair in pairs if pair is not None}


def _system(odd: bool, even: bool, powers: list[int] | None) -> Any:
    if odd + even + (powers is not None) > 1:
        raise OptionError("--odd, --even and --powers exclude each other: give one of them")
    if powers is not None:
        return powers
    return "odd" if odd else "even" if even else "full"


def _emitters(result: Any) -> dict[str, Callable[[], str]]:
    return {"c": result.to_c, "numpy": result.to_numpy, "torch": result.to_torch, "triton": result.to_triton}


def _rows(result: Any) -> dict[str, str]:
    rows = {"coefficients": _coefficients(result)}
    if isinstance(result, MinimaxPolynomial) and result.expansion.shape[0] > 1:
        rows["stored"] = f"{result.expansion.shape[0]} doubles a coefficient: one is not enough for this error"
    return rows


def _coefficients(result: Any) -> str:
    pairs = list(zip(result.powers, map(float, result.exact_coefficients()), strict=True))
    shown = ", ".join(f"x^{power}: {c!r}" for power, c in pairs[:SHOWN])
    return shown if len(pairs) <= SHOWN else f"{shown}, ... ({len(pairs)} in all)"
