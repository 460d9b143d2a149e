"""Healing: no worse on text that was not trained on, the same places and sizes, and every claim follows."""

# ruff: noqa: F811 (a fixture that is imported is named again by every test that takes it)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.compress.menu.written_output import WrittenOutput  # noqa: E402
from infimum.compress.rewritten import tunable_forms, with_forms  # noqa: E402
from infimum.compress.search import tuning  # noqa: E402
from infimum.errors import CheckpointError, OptionError, VerificationError  # noqa: E402
from tests.compress.rewritten_outputs import CASES, TEXT, models, outputs, sizes  # noqa: E402, F401


def state(folder: Path) -> dict[str, torch.Tensor]:
    return dict(compress.load(folder).state_dict())


@pytest.mark.parametrize("name", CASES)
def test_what_is_healed_is_better_and_verified(name: str, outputs: dict[str, Path], tmp_path: Path) -> None:
    out = outputs[name]
    healed = compress.heal(out, tmp_path / "healed", steps=30, text=TEXT)
    assert healed.after < healed.before
    assert 0 < healed.steps <= 30
    derived = compress.verify(healed.out)
    claimed = healed.certificate
    assert claimed.lower_bound <= derived.lower_bound <= derived.value <= claimed.value
    assert sizes(healed.out) == sizes(out), "the files are as long as before"
    before, after = state(out), state(healed.out)
    assert before.keys() == after.keys()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    kinds = {key.rpartition(".")[2] for key in changed}
    allowed = {"bits": {"scales"}, "packed": {"scales"}, "factors": {"left", "right"}}
    assert kinds
    assert kinds <= allowed.get(name, {"rows", "coefficients", "weight"})


def test_the_distance_is_that_of_the_stored_numbers(
    models: dict[str, Path], outputs: dict[str, Path], tmp_path: Path
) -> None:
    healed = compress.heal(outputs["bits"], tmp_path / "healed", steps=10, text=TEXT)
    _, judge = compress.tokens_for(models["bert"], TEXT).halves()
    first = compress.embeddings(compress.load_any(models["bert"]), judge)
    for folder, said in ((outputs["bits"], healed.before), (healed.out, healed.after)):
        moved = (compress.embeddings(compress.load_any(folder), judge) - first).square().sum(dim=1)
        assert float(moved.double().mean()) == pytest.approx(said, rel=1e-4)


def test_what_is_healed_can_be_healed(outputs: dict[str, Path], tmp_path: Path) -> None:
    first = compress.heal(outputs["bits"], tmp_path / "a", steps=5, text=TEXT)
    again = compress.heal(outputs["bits"], tmp_path / "b", steps=5, text=TEXT)
    assert all(
        torch.equal(one, other) for one, other in zip(state(first.out).values(), state(again.out).values(), strict=True)
    )
    second = compress.heal(first.out, tmp_path / "c", steps=5, text=TEXT)
    assert second.before == pytest.approx(first.after, rel=1e-5)
    assert second.after <= second.before
    compress.verify(second.out)


def test_nothing_worse_is_written(outputs: dict[str, Path], tmp_path: Path) -> None:
    """A rate that ruins the model leaves the numbers that came, and ends before its time."""
    healed = compress.heal(outputs["bits"], tmp_path / "healed", steps=50, text=TEXT, rate=5.0)
    assert healed.after == healed.before
    assert healed.steps < 50
    before, after = state(outputs["bits"]), state(healed.out)
    assert all(torch.equal(before[key], after[key]) for key in before)
    compress.verify(healed.out)


def test_what_layers_gain_lowers_the_bound(outputs: dict[str, Path], tmp_path: Path) -> None:
    """What is stored is offered: where its error falls, so may the least sum over all choices."""
    output = WrittenOutput.open(outputs["bits"], None)
    forms = tunable_forms(output)
    healed = compress.heal(outputs["bits"], tmp_path / "healed", steps=30, text=TEXT)
    rows = {row.name: row for row in WrittenOutput.open(healed.out, None).described.layers}
    gained = sum(max(row.error - rows[row.name].error, 0.0) for row in output.described.layers)
    assert healed.certificate.lower_bound == pytest.approx(output.described.lower_bound - gained, rel=1e-12)
    unchanged = with_forms(output, output.task(None), forms)
    assert unchanged.certificate.lower_bound == pytest.approx(output.described.lower_bound, rel=1e-6)
    assert unchanged.certificate.value == pytest.approx(output.described.value, rel=1e-6)


def test_time_ends_the_training(outputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "DRY", 1)
    healed = compress.heal(outputs["bits"], tmp_path / "healed", minutes=1e-6, text=TEXT)
    assert (healed.steps, healed.after) == (0, healed.before)
    compress.verify(healed.out)


@pytest.mark.parametrize(("seconds", "batches"), [(1e-3, 1), (2.5, 2), (1e9, 4)])
def test_looks_take_a_part_of_the_time(seconds: float, batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a large model a look at all of the text that judges would leave no time for the training."""
    one, now = tuning.Tuning.__new__(tuning.Tuning), [0.0]

    class Slow:
        def mean(self, _model: object, seen: list[str]) -> float:
            now[0] += len(seen)
            return 1.0

    judge: Any = list("abcd")
    distance: Any = Slow()
    one._model, one._judge, one._distance = None, judge, distance
    monkeypatch.setattr("infimum.compress.search.tuning.time.monotonic", lambda: now[0])
    one._look_within(seconds)
    assert "".join(map(str, one._judge)) == {1: "a", 2: "ad", 4: "abcd"}[batches]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"minutes": 0.0}, OptionError, "minutes must be a number above 0"),
        ({"rate": float("nan")}, OptionError, "rate must be a number above 0"),
        ({"steps": 0}, OptionError, "steps must be at least 1"),
    ],
)
def test_wrong_options(
    options: dict[str, Any], error: type[Exception], message: str, outputs: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        compress.heal(outputs["bits"], tmp_path / "healed", text=TEXT, **options)
    assert not (tmp_path / "healed").exists()


def test_embeddings_of_few_bits_stay(models: dict[str, Path], tmp_path: Path) -> None:
    plan = compress.plan(models["llama"], calib=TEXT, of="bytes", remove=0.72, menu=("bits",))
    assert any(row.form == "bits" for row in plan.table if "embed" in row.name)
    healed = compress.heal(plan.save(tmp_path / "out"), tmp_path / "healed", steps=3, text=TEXT)
    compress.verify(healed.out)


def test_wrong_folders(models: dict[str, Path], outputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="lies inside"):
        compress.heal(outputs["bits"], outputs["bits"] / "healed", steps=1, text=TEXT)
    with pytest.raises(CheckpointError, match="exists already"):
        compress.heal(outputs["bits"], tmp_path, text=TEXT)
    with pytest.raises(CheckpointError, match=r"has no infimum\.json"):
        compress.heal(models["bert"], tmp_path / "a", text=TEXT)
    with pytest.raises(VerificationError, match="is not the checkpoint that was compressed"):
        compress.heal(outputs["bits"], tmp_path / "a", text=TEXT, original=models["llama"])
    plain = compress.plan(models["bert"], calib=TEXT, plain=True).save(tmp_path / "plain")
    with pytest.raises(OptionError, match="nothing that can be changed"):
        compress.heal(plain, tmp_path / "a", text=TEXT)
    file = outputs["mixed"] / "model.safetensors"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(VerificationError, match="hash"):
            compress.heal(outputs["mixed"], tmp_path / "a", text=TEXT)
    finally:
        file.write_bytes(whole)
