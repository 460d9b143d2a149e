"""Tasks of lm-eval, the LM evaluation harness, on models as they are in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from infimum._arguments import optional, whole_number
from infimum._display import Shown
from infimum.compress.evaluate import Rows
from infimum.compress.model.heads import loader_of
from infimum.errors import CheckpointError, OptionError

BATCH = 8  # requests that a model answers at a time


@dataclass(frozen=True)
class TaskScore(Shown):
    """What a language model scores in a task of lm-eval.

    `value` is the metric as lm-eval aggregates it over the documents. `rows` hold what it says of each: the metric and
    1, or of perplexities the loss in nats and the number of words or bytes; empty where a metric is of all together.
    """

    task: str
    metric: str
    value: float
    documents: int
    rows: Rows = field(default=(), repr=False)

    @property
    def per_row(self) -> str:
        """What the mean of the rows is."""
        if self.rows and self.metric.endswith("_perplexity"):
            return f"{self.task} loss per {self.metric.removesuffix('_perplexity')}"
        return f"{self.task} {self.metric}"


def task_scores(
    model: PreTrainedModel,
    tokenizer: Any,
    tasks: Sequence[str],
    *,
    folder: str | Path | None = None,
    limit: int | None = None,
) -> list[TaskScore]:
    """Run tasks of lm-eval on a language model, compressed or not; two models compare by `difference`.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Such as `load` or `load_any` returns.
    tokenizer : transformers.PreTrainedTokenizerBase
        Its tokenizer, with a token for the beginning or the end of a text, which lm-eval puts before every text.
    tasks : sequence of str
        Names of tasks, groups or tags, or patterns such as ``"arc_*"``.
    folder : path, optional
        Folder with tasks of one's own, YAML files as lm-eval reads them; its own tasks are known as well.
    limit : int, optional
        Documents of each task, from the first on; by default all.

    Returns
    -------
    list of TaskScore
        One for each metric of each task.

    Raises
    ------
    MissingExtraError
        lm-eval is not installed.
    OptionError
        No task has one of the names, or `folder` is none; `limit` is below 1; or `model` is no language model.
    CheckpointError
        The tokenizer has no token for the beginning or the end of a text.
    """
    if loader_of(type(model).__name__)[1] != "loss":
        raise OptionError(f"tasks of lm-eval are for language models, got {type(model).__name__}")
    harness = optional("lm_eval", "lm-eval")
    if tokenizer.bos_token_id is None and tokenizer.eos_token_id is None:
        raise CheckpointError(
            "the tokenizer has no token for the beginning or the end of a text, which lm-eval puts before every text; "
            "set its bos_token or eos_token"
        )
    if folder is not None and not Path(folder).is_dir():
        raise OptionError(f"a folder of tasks was expected, got {folder}")
    if limit is not None:
        limit = whole_number("limit", limit, 1)
    manager = optional("lm_eval.tasks", "lm-eval").TaskManager(include_path=None if folder is None else str(folder))
    if missing := [name for name in tasks if not manager.match_tasks([name])]:
        where = "" if folder is None else f" nor in {folder}"
        raise OptionError(f"no task of lm-eval{where} is called {', '.join(missing)}; lm-eval ls tasks lists its own")
    wrapped = optional("lm_eval.models.huggingface", "lm-eval").HFLM(
        pretrained=model, tokenizer=tokenizer, batch_size=BATCH
    )
    names = manager.match_tasks(list(tasks))
    found = harness.simple_evaluate(
        model=wrapped, tasks=names, task_manager=manager, limit=limit, bootstrap_iters=0, log_samples=True
    )
    return [
        score
        for name, samples in found["samples"].items()
        for score in _scores_of(name, samples, found["results"][name])
    ]


def _scores_of(task: str, samples: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> list[TaskScore]:
    """Return the scores of a task: one for each metric and filter of the answers."""
    found = []
    for key in dict.fromkeys(f"{metric},{sample['filter']}" for sample in samples for metric in sample["metrics"]):
        metric, _, chosen = key.partition(",")
        values = [sample[metric] for sample in samples if sample["filter"] == chosen]
        if key in results:
            name = metric if chosen == "none" else f"{metric} ({chosen})"
            found.append(TaskScore(task, name, float(results[key]), len(values), _rows_of(values)))
    return found


def _rows_of(values: Sequence[Any]) -> Rows:
    """Return what is known of each document; nothing where that is neither a number nor a likelihood of some units."""
    rows: list[tuple[float, int]] = []
    for value in values:
        pair = value if isinstance(value, tuple) and len(value) == 2 else None
        if pair is None and not isinstance(value, int | float):
            return ()
        rows.append((float(value), 1) if pair is None else (-float(pair[0]), int(pair[1])))
    return tuple(rows) if all(math.isfinite(total) and count > 0 for total, count in rows) else ()
