"""``infimum msign``: the best coefficients for a Newton-Schulz iteration, and a check of any table."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from rich.table import Table

from infimum import minimax
from infimum.cli import screen
from infimum.cli.formats.opening import opened
from infimum.cli.outputs import STDOUT, Outputs
from infimum.errors import FileFormatError, OptionError
from infimum.minimax import Composition
from infimum.proof import wording

DESIGN = Group("Design", sort_key=0)
INTERVAL = Group("Interval", sort_key=0)
CHECK = Group("Check", sort_key=1)


def msign(
    *,
    lower: Annotated[float, Parameter(group=INTERVAL)] = 1e-3,
    upper: Annotated[float, Parameter(group=INTERVAL)] = 1.0,
    steps: Annotated[int | None, Parameter(group=DESIGN)] = None,
    degree: Annotated[list[int] | None, Parameter(group=DESIGN, negative_iterable="", consume_multiple=True)] = None,
    cushion: Annotated[float | None, Parameter(group=DESIGN)] = None,
    safety: Annotated[float | None, Parameter(group=DESIGN)] = None,
    table: Annotated[Path | None, Parameter(name="--verify", group=CHECK)] = None,
    noise: Annotated[float, Parameter(group=CHECK)] = 0.0,
    outputs: Outputs | None = None,
) -> int:
    """Find the best coefficients for the matrix sign (Muon's orthogonalisation), or certify a table of them.

    infimum msign --lower 1e-3 --steps 5: the odd polynomials whose composition is nearest to 1 on [lower, upper].
    infimum msign --verify table.json: the largest error of a table, and the least that a table of its size can have.

    Parameters
    ----------
    lower
        Smallest singular value, relative to the norm, that should be sent to 1.
    upper
        Largest singular value.
    steps
        Number of steps; 5 by default.
    degree
        Odd degree of all steps, or of each; 5 by default.
    cushion
        Optimise no step for less than this times the largest value: 0.024 for bfloat16, 0 by default.
    safety
        Divide the argument of all steps but the last by this: 1.01 for bfloat16, 1 by default.
    table
        JSON file with a table: [[a, b, c], ...], one row for each step, or what --json wrote.
    noise
        Widen the interval by this after every step, for rounding in low precision.
    """
    outputs = outputs or Outputs()
    outputs.check()
    if table is not None:
        given = {"steps": steps, "degree": degree, "cushion": cushion, "safety": safety}
        for name, value in given.items():
            if value is not None:
                raise OptionError(f"--{name} designs a table, and {table} already holds one: give one of them")
        schedule = minimax.verify_schedule(read_table(table), lower, upper, noise)
        source = str(table)
    else:
        if noise:
            raise OptionError("--noise belongs to --verify: a design is for exact arithmetic")
        degrees = degree or [5]
        count = (len(degrees) if len(degrees) > 1 else 5) if steps is None else steps
        each = degrees[0] if len(degrees) == 1 else tuple(degrees)
        schedule = minimax.msign_schedule(
            lower, count, each, upper=upper, cushion=cushion or 0.0, safety=1.0 if safety is None else safety
        )
        source = f"singular values from {lower:g} to {upper:g}"
    steps_text = "; ".join(", ".join(f"{c:.6g}" for c in row) for row in schedule.coefficients)
    written = outputs.write(schedule, source=source, answer=f"coefficients {steps_text}", data=[repr(lower)])
    if not outputs.quiet and outputs.json != STDOUT:
        show(schedule, source, written)
    return 0


def read_table(path: Path) -> list[list[float]]:
    """Read the coefficients from a JSON file: a list of rows, or a result."""
    with opened(str(path)) as file:
        content = file.path.read_bytes()
    try:
        text = content.decode("utf-8")
        document = json.loads(text, parse_int=float)  # a number of many digits is infinite, and refused below
        if isinstance(document, dict):
            found = Composition.from_json(text)
            if found.power != 2:
                raise FileFormatError(f"a schedule for roots, power {found.power}")
            return [list(row) for row in found.coefficients]
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} holds no table [[a, b, c], ...] as JSON ({error})") from error
    rows: list[Any] = document if isinstance(document, list) else []
    if not rows or not all(isinstance(row, list) and row and all(map(_is_number, row)) for row in rows):
        raise FileFormatError(f"{path} must hold a list of rows of numbers, [[a, b, c], ...], one for each step")
    return rows


def show(schedule: Composition, source: str, written: list[Path]) -> None:
    """Print the coefficients, the interval after every step and the certificate."""
    console = screen.console()
    table = Table("step", box=None, header_style="bold", padding=(0, 2, 0, 0))
    size = schedule.table.shape[1]
    for power in range(size):
        table.add_column(f"x^{2 * power + 1}" if power else "x", justify="right", no_wrap=True)
    for name in ("least after it", "largest", "floor so far"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = zip(schedule.coefficients, schedule.intervals[1:], schedule.floors, strict=True)
    for number, (row, (low, high), floor) in enumerate(rows, 1):
        padded = [f"{c:.6g}" for c in row] + [""] * (size - len(row))
        table.add_row(str(number), *padded, f"{low:.6g}", f"{high:.6g}", f"{floor:.4g}")
    console.print(table)
    facts = {"input": source, **screen.certificate_rows(schedule.certificate)}
    if written:
        facts["written"] = ", ".join(map(str, written))
    console.print(screen.facts(facts))
    console.print(f"\n{wording.sentence(schedule.certificate)}")


def _is_number(item: Any) -> bool:
    return isinstance(item, float) and math.isfinite(item)
