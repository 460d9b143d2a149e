"""``infimum evaluate``: several models side by side on one text."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from infimum.cli import screen, task_table
from infimum.cli.outputs import STDOUT
from infimum.cli.screen import FLAG, LOUD, Talk
from infimum.cli.task_table import against, without_rows
from infimum.cli.words import SEED
from infimum.errors import CheckpointError, OptionError
from infimum.proof.folder import check_model_folder
from infimum.report.files import check_output, write_text

if TYPE_CHECKING:
    from infimum.compress import Difference, Score, TaskScore
    from infimum.compress.measure.samples import Inputs


def evaluate(
    *models: Annotated[Path, Parameter(name="MODEL")],
    text: Annotated[str | None, Parameter(name=("--text", "-t"))] = None,
    tasks: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (),
    task_folder: Path | None = None,
    limit: int | None = None,
    tokens: int = 8192,
    max_tokens: int | None = None,
    seed: Annotated[int, SEED] = 0,
    json: Path | None = None,
    force: Annotated[bool, FLAG] = False,
    talk: Talk = LOUD,
) -> int:
    """Measure models on a text: perplexity of language models, embeddings of encoders against those of the first.

    Folders of transformers checkpoints and folders that infimum compress wrote may stand side by side. All see the
    same tokens, and run in float32. Language models can be given tasks of lm-eval as well, or instead.

    Parameters
    ----------
    models
        Folders of models.
    text
        pydoc (topics of the Python documentation that calibration never sees), a .txt, .jsonl or .npy file.
    tasks
        Names of tasks of lm-eval, or patterns; needs the package lm-eval.
    task_folder
        Folder with tasks of your own: YAML files as lm-eval reads them.
    limit
        Documents of each task; by default all.
    tokens
        Size of the text: rows are drawn until they hold so many tokens.
    max_tokens
        Longest row, in tokens: by default passages of 512 for language models, paragraphs of 64 for encoders.
    seed
        Seed of the draw.
    json
        Write the measurements as JSON; - or nothing after it: to stdout, in place of the table.
    force
        Overwrite the JSON file.
    """
    if not models or not (text or tasks):
        raise OptionError(
            "give at least one model folder and a text: infimum evaluate MODEL... --text FILE, or --tasks"
        )
    _check_files(models, json, force)
    seen, rows, scores = None, [], []
    with screen.progress("reading the models", talk) as on_progress:
        if text:
            seen = _common_tokens(models, text, max_tokens).sample(tokens, seed)
            for row in _measurements(models, seen):
                rows.append(row)
                on_progress("evaluating", len(rows), len(models))
        for path in models if tasks else ():
            scores.append(task_table.scores_of(path, tasks, task_folder, limit))
            on_progress("tasks", len(scores), len(models))
    if json is not None:
        _write_json(json, models, seen, seed, rows, scores)
    if talk.quiet or json == STDOUT:
        return 0
    if seen is not None:
        _show(rows)
        drawn = f"{seen.source}, {rows[0]['score'].extent}, drawn with seed {seed}, SHA-256 {seen.sha256[:16]}"
        screen.console().print(f"text: {drawn}", style="dim")
    if scores:
        task_table.print_scores(models, scores)
    return 0


def _check_files(models: Sequence[Path], target: Path | None, force: bool) -> None:
    """Refuse what is no model, and what cannot be written, before transformers is imported."""
    if target is not None and target != STDOUT:
        check_output(target, suffixes=(".json",), overwrite=force)
    for path in models:
        check_model_folder(path)


def _common_tokens(models: Sequence[Path], text: str, max_tokens: int | None) -> Inputs:
    """Tokenise the text; refuse models that cut it into different tokens: their figures do not compare."""
    from infimum import compress as room

    first, *others = [room.tokens_for(path, text, max_tokens=max_tokens, held_out=True) for path in models]
    for path, other in zip(models[1:], others, strict=True):
        if other.sha256 != first.sha256:
            raise CheckpointError(
                f"{models[0].name} and {path.name} cut the text into different tokens, so that their figures do not "
                "compare; evaluate them one by one"
            )
    return first


def _measurements(models: Sequence[Path], tokens: Inputs) -> Any:
    """Score one model after the other; only the first and the present one are in memory."""
    from infimum import compress as room
    from infimum.compress.model.configuration import head_of

    score = None
    for path in models:
        model = room.load_any(path)
        score = score or room.scorer(model, tokens, pooling=head_of(path).pooling)
        start = time.perf_counter()
        measured: Score = score(model)
        seconds = time.perf_counter() - start
        yield {
            "model": str(path),
            "numbers": sum(parameter.numel() for parameter in model.parameters()),
            "bytes": sum(file.stat().st_size for file in path.glob("model*.safetensors")),
            "score": measured,
            "seconds": seconds,
        }


def _write_json(
    target: Path,
    models: Sequence[Path],
    tokens: Inputs | None,
    seed: int,
    rows: Sequence[dict[str, Any]],
    scores: Sequence[Sequence[TaskScore]],
) -> None:
    document: dict[str, Any] = {}
    if tokens is not None:
        document |= {
            "text": {"source": tokens.source, "tokens": tokens.count, "seed": seed, "sha256": tokens.sha256},
            "models": [{**row, "score": without_rows(row["score"])} for row in rows],
            "differences": [
                {"first": first["model"], "second": second["model"], **asdict(found)}
                for first, second, found in _differences(rows)
            ],
        }
    if scores:
        document["tasks"] = task_table.document(models, scores)
    content = json.dumps(document, indent=1) + "\n"
    if target == STDOUT:
        sys.stdout.write(content)
    else:
        write_text(target, content)


def _show(rows: Sequence[dict[str, Any]]) -> None:
    from infimum.report import plain_text

    first: Score = rows[0]["score"]
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first.measure)
    for name in ("numbers", "on disk", *first.figures, "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        amounts = (f"{row['numbers']:,}", plain_text.size(row["bytes"]), *row["score"].figures.values())
        table.add_row(row["model"], *amounts, f"{row['seconds']:.3g} s")
    screen.console().print(table)
    for one, other, found in _differences(rows):
        screen.console().print(against(one["model"], other["model"], first.per_row, found, "text"))


def _differences(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any], Difference]]:
    """Compare all pairs of models; of those that are compared with the first, itself left out."""
    from infimum.compress import Perplexity, difference

    compared = rows if isinstance(rows[0]["score"], Perplexity) else rows[1:]
    if len(rows[0]["score"].rows) > 1:  # of one row nothing is known about others
        for first, second in itertools.combinations(compared, 2):
            yield first, second, difference(first["score"], second["score"])
