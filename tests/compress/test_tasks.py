"""Tasks of lm-eval, made of texts that lie here: what they say is what the models say, document by document."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.cli.task_table import against  # noqa: E402
from infimum.compress import tasks as module  # noqa: E402
from infimum.compress.calibrate import tokenizer_of  # noqa: E402
from infimum.errors import CheckpointError, MissingExtraError, OptionError  # noqa: E402
from tests.compress.conftest import sentences, tiny_bert, tiny_llama, write  # noqa: E402

CHOICES = ["red", "blue", "green"]
QUESTIONS = [f"the {word} is" for word in ("sea", "sun", "moon", "tree", "house", "river", "sky")]
TASK = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
output_type: {kind}
test_split: test
doc_to_text: "{question}"
doc_to_target: "{target}"
metric_list:
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tasks: questions with choices, and pages of text."""
    root = tmp_path_factory.mktemp("tasks")
    questions = [{"question": text, "choices": CHOICES, "answer": i % 3} for i, text in enumerate(QUESTIONS)]
    pages = [{"page": page} for page in sentences(6, seed=3)]
    for name, documents in (("questions", questions), ("pages", pages)):
        (root / f"{name}.jsonl").write_text("\n".join(map(json.dumps, documents)))
    multiple = {"kind": "multiple_choice", "question": "{{question}}", "target": "{{answer}}"}
    rolling = {"kind": "loglikelihood_rolling", "question": "", "target": "{{page}}"}
    for name, options, more in (
        ("questions", multiple, '  - metric: acc\ndoc_to_choice: "{{choices}}"\n'),
        ("pages", rolling, "  - metric: word_perplexity\n  - metric: byte_perplexity\n"),
    ):
        text = TASK.format(name=name, file=root / f"{name}.jsonl", **options) + more
        (root / f"{name}.yaml").write_text(text)
    return root


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write(tiny_llama(), tmp_path_factory.mktemp("models") / "llama")
    tokenizer = tokenizer_of(path)
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(0)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    pytest.importorskip("lm_eval")
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)


def likelihood(model: Any, tokenizer: Any) -> Callable[[str, str], float]:
    """Return the function of a text and what follows it: the logarithm of the probability of what follows."""

    def of(before: str, after: str) -> float:
        start = tokenizer(before, add_special_tokens=False).input_ids or [tokenizer.eos_token_id]
        ids = torch.tensor([start + tokenizer(after, add_special_tokens=False).input_ids])
        with torch.no_grad():
            logs = model(input_ids=ids).logits[0, :-1].double().log_softmax(dim=-1)
        return float(logs.gather(1, ids[0, 1:, None])[len(start) - 1 :].sum())

    return of


@pytest.mark.usefixtures("offline")
def test_scores_are_what_the_model_says(llama: Path, folder: Path, tmp_path: Path) -> None:
    out = compress.plan(llama, calib=sentences(40, seed=1), remove=0.5, menu=("ranks",)).save(tmp_path / "out")
    tokenizer, found = tokenizer_of(llama), []
    for path in (llama, out):
        model = compress.load_any(path)
        scores = compress.task_scores(model, tokenizer, ["questions", "pages"], folder=folder)
        known = {(score.task, score.metric): score for score in scores}
        assert known.keys() == {("questions", "acc"), ("pages", "word_perplexity"), ("pages", "byte_perplexity")}
        says = likelihood(model, tokenizer)
        right = []
        for number, question in enumerate(QUESTIONS):
            each = [says(question, f" {choice}") for choice in CHOICES]
            right.append((float(each.index(max(each)) == number % 3), 1))
        assert list(known["questions", "acc"].rows) == right
        assert known["questions", "acc"].value == pytest.approx(sum(value for value, _ in right) / len(right))
        pages = sentences(6, seed=3)
        losses = [loss for loss, _ in known["pages", "byte_perplexity"].rows]
        assert losses == pytest.approx([-says("", page) for page in pages], rel=1e-4)
        assert [count for _, count in known["pages", "byte_perplexity"].rows] == [len(page) for page in pages]
        found.append(known)
    key = "pages", "word_perplexity"
    apart = compress.difference(found[0][key], found[1][key])
    assert apart.rows == 6
    ratio = torch.tensor([found[1][key].value / found[0][key].value]).log().item()
    assert apart.mean == pytest.approx(ratio, rel=1e-4)
    with pytest.raises(OptionError, match="two scores of one kind"):
        compress.difference(found[0]["pages", "byte_perplexity"], found[1][key])


@pytest.mark.usefixtures("offline")
def test_the_command(llama: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from infimum.cli import main

    arguments = ["evaluate", str(llama), str(llama), "--tasks", "questions", "pages", "--task-folder", str(folder)]
    assert main([*arguments, "--limit", "4"]) == 0
    said = capsys.readouterr().out
    assert "questions acc" in said
    assert "not told apart by this task" in said
    assert main([*arguments, "--json", str(tmp_path / "scores.json"), "--quiet"]) == 0
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written.keys() == {"tasks"}
    assert sorted(score["documents"] for score in written["tasks"]["models"][0]["scores"]) == [6, 6, 7]
    assert {pair["mean"] for pair in written["tasks"]["differences"]} == {0.0}


@pytest.mark.usefixtures("offline")
def test_what_is_no_task(llama: Path, folder: Path) -> None:
    model, tokenizer = compress.load_any(llama), tokenizer_of(llama)
    with pytest.raises(OptionError, match="is called no_such_task"):
        compress.task_scores(model, tokenizer, ["questions", "no_such_task"], folder=folder)
    with pytest.raises(OptionError, match="a folder of tasks was expected"):
        compress.task_scores(model, tokenizer, ["questions"], folder=folder / "none")
    with pytest.raises(OptionError, match="limit must be at least 1"):
        compress.task_scores(model, tokenizer, ["questions"], folder=folder, limit=0)
    tokenizer.eos_token = None
    with pytest.raises(CheckpointError, match="no token for the beginning"):
        compress.task_scores(model, tokenizer, ["questions"], folder=folder)


def test_what_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="are for language models, got BertModel"):
        compress.task_scores(tiny_bert(), None, ["arc_easy"])

    def missing(name: str, extra: str) -> None:
        raise MissingExtraError(f"{name} {extra}")

    monkeypatch.setattr(module, "optional", missing)
    with pytest.raises(MissingExtraError, match="lm_eval lm-eval"):
        compress.task_scores(tiny_llama(), None, ["arc_easy"])


def test_models_without_an_answer_are_not_compared() -> None:
    said = against("old", "new", "loss", compress.Difference(math.nan, math.nan, 4), "text")
    assert said == "new against old: no difference in loss, since one of them answers with NaN or infinity"
