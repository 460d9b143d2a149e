"""Tasks of lm-eval in ``infimum evaluate``: the models side by side, and in pairs."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from infimum.cli import screen

if TYPE_CHECKING:
    from infimum.compress import Difference, Score, TaskScore


def scores_of(path: Path, tasks: Sequence[str], folder: Path | None, limit: int | None) -> list[TaskScore]:
    """Run tasks on a model; what lm-eval says meanwhile, of itself and its progress, is not shown."""
    from infimum import compress as room
    from infimum.compress.calibrate import tokenizer_of

    model, tokenizer = room.load_any(path), tokenizer_of(path)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return room.task_scores(model, tokenizer, tasks, folder=folder, limit=limit)


def print_scores(models: Sequence[Path], scores: Sequence[Sequence[TaskScore]]) -> None:
    """Print a row for each metric of each task, a column for each model, and below what tells two models apart."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("task")
    for heading in ("documents", *map(str, models)):
        table.add_column(heading, justify="right")
    for same in zip(*scores, strict=True):
        values = (f"{score.value:.4g}" for score in same)
        table.add_row(f"{same[0].task} {same[0].metric}", f"{same[0].documents:,}", *values)
    console = screen.console()
    console.print(table)
    for first, second, score, found in _differences(models, scores):
        console.print(against(first, second, score.per_row, found, "task"))


def against(first: Any, second: Any, measure: str, found: Difference, where: str) -> str:
    """Say by how much the second of two models is above the first, and whether that is more than chance."""
    if not math.isfinite(found.mean):
        return f"{second} against {first}: no difference in {measure}, since one of them answers with NaN or infinity"
    verdict = "" if found.is_told_apart else f": not told apart by this {where}"
    return f"{second} against {first}: {measure} {found.mean:+.2g}, standard error {found.standard_error:.1g}{verdict}"


def document(models: Sequence[Path], scores: Sequence[Sequence[TaskScore]]) -> dict[str, Any]:
    """Return what is written as JSON: the scores of each model, and their differences."""
    return {
        "models": [
            {"model": str(path), "scores": [without_rows(score) for score in own]}
            for path, own in zip(models, scores, strict=True)
        ],
        "differences": [
            {"first": str(first), "second": str(second), "measure": score.per_row, **asdict(found)}
            for first, second, score, found in _differences(models, scores)
        ],
    }


def without_rows(score: Score | TaskScore) -> dict[str, Any]:
    """Return a score for JSON, without what it says of each row."""
    return {name: value for name, value in asdict(score).items() if name != "rows"}


def _differences(
    models: Sequence[Path], scores: Sequence[Sequence[TaskScore]]
) -> Iterator[tuple[Path, Path, TaskScore, Difference]]:
    """Compare all pairs of models in each metric that is known of more than one document."""
    from infimum.compress import difference

    for (first, own), (second, other) in itertools.combinations(zip(models, scores, strict=True), 2):
        for one, two in zip(own, other, strict=True):
            if len(one.rows) > 1 and math.isfinite(one.value) and math.isfinite(two.value):
                yield first, second, one, difference(one, two)
