"""Plans, compressed checkpoints and their verification on tiny models."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.compress.budget_curve import neighbours  # noqa: E402
from infimum.compress.write import folder as folders  # noqa: E402
from infimum.compress.write import safetensors_file  # noqa: E402
from infimum.errors import (  # noqa: E402
    BudgetError,
    CalibrationError,
    CheckpointError,
    OptionError,
    VerificationError,
)
from tests.compress.conftest import LOWER, sentences, tiny_bert, tiny_llama, write  # noqa: E402


@pytest.fixture(scope="module")
def moments(bert: Path, text: list[str]) -> compress.Moments:
    return compress.calibrate(bert, text)


@pytest.fixture(scope="module")
def planned(bert: Path, moments: compress.Moments) -> compress.Plan:
    return compress.plan(bert, remove=0.3, moments=moments)


@pytest.fixture
def out(planned: compress.Plan, tmp_path: Path) -> Path:
    return planned.save(tmp_path / "out")


OPTIONS = [
    {},
    LOWER["pivot"],
    LOWER["factors"],
    LOWER["channels"],
    {**LOWER["channels"], "plain": True, "allocation": "uniform"},
    {"objective": "activation"},
    {"objective": "plain"},
    {"allocation": "uniform"},
    {"of": "all", "remove": 0.1},
    {"of": "bytes", "remove": 0.15},
    {"remove": 0.6},
    {"remove": 0.0},
    {"damping": 1e-6},
    {"plain": True},
    {**LOWER["factors"], "plain": True, "allocation": "uniform"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_plan_is_certified_saved_and_verified(
    bert: Path, moments: compress.Moments, tmp_path: Path, options: dict[str, Any]
) -> None:
    plan = compress.plan(bert, **{"remove": 0.3, "moments": moments, **options})
    certificate = plan.certificate
    assert certificate.lower_bound <= certificate.value
    assert certificate.value == pytest.approx(sum(row.error for row in plan.table))
    assert sum(row.share for row in plan.table) == pytest.approx(1.0 if certificate.value else 0.0)
    assert all(0.0 <= row.lower_bound <= row.error and row.gap >= 0.0 for row in plan.table)
    assert plan.removed >= round(plan.settings.remove * plan.denominator)
    saved = plan.save(tmp_path / "out")
    stored = sum(
        tensor.numel() for name, tensor in load_file(saved / "model.safetensors").items() if "order" not in name
    )
    biases = sum(row.shape[0] - row.kept[0] for row in plan.table)  # not counted, but gone with their channels
    assert stored == sum(plan.checkpoint.sizes.values()) - (0 if plan.settings.plain else plan.removed + biases)
    again = compress.verify(saved)  # the claims follow, and leave no more room than the moments of another machine need
    assert certificate.lower_bound <= again.lower_bound <= again.value <= certificate.value
    # a change that this text hardly sees may be large: what it is allowed for other moments then exceeds its error
    assert again.value == pytest.approx(certificate.value, rel=1e-3, abs=1e-8)
    assert again.lower_bound == pytest.approx(certificate.lower_bound, rel=1e-3, abs=1e-9)


@pytest.fixture(scope="module")
def halves(bert: Path, llama: Path, text: list[str]) -> dict[str, compress.Moments]:
    """Return what `plan` would measure: it judges by the half of the text that did not make."""
    return {folder.name: compress.calibrate(folder, text, split=True) for folder in (bert, llama)}


@pytest.mark.parametrize("model", ["bert", "llama"])
@pytest.mark.parametrize("form", ["mixed", "pivot", "factors", "channels"])
def test_load_reproduces_the_model_in_memory(
    model: str, form: str, request: pytest.FixtureRequest, halves: dict[str, compress.Moments], tmp_path: Path
) -> None:
    plan = compress.plan(request.getfixturevalue(model), remove=0.3, moments=halves[model], **LOWER[form])
    loaded = compress.load(plan.save(tmp_path / "out"))
    in_memory = plan.apply(plan.checkpoint.load())
    assert not loaded.training
    ids = torch.arange(2, 26).reshape(2, 12)
    with torch.no_grad():
        torch.testing.assert_close(loaded(input_ids=ids)[0], in_memory(input_ids=ids)[0], rtol=1e-6, atol=1e-6)
    dense = plan.checkpoint.load()
    tokens = plan.moments.tokens
    if model == "bert":
        similarity = compress.similarity(compress.embeddings(dense, tokens), loaded, tokens)
        assert 0.5 < similarity.least <= similarity.mean < 1.0
        assert (similarity.paragraphs, similarity.tokens) == (len(tokens.ids), tokens.count)


def test_the_certified_error_models_the_change_of_the_output(text: list[str], tmp_path: Path) -> None:
    # small changes: the summed error is the mean squared change, up to the independence that the model assumes
    folder = write(tiny_bert(), tmp_path / "model")
    plan = compress.plan(folder, remove=0.1, calib=text, menu=("ranks",))
    tokens = plan.moments.tokens
    before = compress.embeddings(plan.checkpoint.load(), tokens)
    after = compress.embeddings(plan.apply(plan.checkpoint.load()), tokens)
    assert 0.1 < float(((after - before) ** 2).sum(dim=1).mean()) / plan.certificate.value < 10.0


def test_every_part_of_a_plan_is_explained() -> None:
    text = str(inspect.getdoc(compress.Plan))
    assert [
        field.name for field in dataclasses.fields(compress.Plan) if not re.search(rf"\b{field.name}\b.* :", text)
    ] == []


def test_layers_without_influence_stay_dense(planned: compress.Plan) -> None:
    (pooler,) = [row for row in planned.table if row.name == "pooler.dense"]
    assert pooler.form == "dense"
    assert "does not depend" in pooler.note


def test_tied_head_is_left_alone_and_said(llama: Path, halves: dict[str, compress.Moments]) -> None:
    plan = compress.plan(llama, remove=0.2, moments=halves["llama"], menu=("ranks", "widths"))
    assert not any("lm_head" in row.name for row in plan.table)
    assert any("embeddings" in note for note in plan.notes)


def test_an_untied_head_stays(text: list[str], tmp_path: Path) -> None:
    plan = compress.plan(
        write(tiny_llama(tied=False), tmp_path / "model"), remove=0.2, calib=text, menu=("ranks", "widths")
    )
    assert not any("lm_head" in row.name for row in plan.table)
    assert any("head stays" in note for note in plan.notes)
    assert compress.load(plan.save(tmp_path / "out")).lm_head.weight.shape == (64, 24)


def test_same_seed_same_plan(bert: Path, text: list[str], planned: compress.Plan) -> None:
    again = compress.plan(bert, remove=0.3, calib=text, menu=("ranks",), damping=0.01)
    assert again.table == planned.table
    other = compress.plan(bert, remove=0.3, calib=text, seed=1, menu=("ranks",), damping=0.01)
    assert other.certificate.value != planned.certificate.value


def test_global_allocation_beats_uniform(bert: Path, moments: compress.Moments, planned: compress.Plan) -> None:
    uniform = compress.plan(bert, remove=0.3, moments=moments, allocation="uniform")
    assert planned.certificate.value < uniform.certificate.value
    assert uniform.certificate.lower_bound == pytest.approx(planned.certificate.lower_bound)


def test_another_budget_without_recalibration(bert: Path, moments: compress.Moments, planned: compress.Plan) -> None:
    replanned = planned.with_budget(0.5)
    assert replanned.table == compress.plan(bert, remove=0.5, moments=moments).table
    assert replanned.certificate.value > planned.certificate.value


def test_curve_is_ordered_and_meets_the_plan(planned: compress.Plan) -> None:
    rows = planned.curve(points=15)
    assert rows == sorted(rows)
    assert all(bound <= error for _, error, bound in rows)
    assert [error for _, error, _ in rows] == sorted(error for _, error, _ in rows)
    assert rows[0][0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_target_is_met_and_nearly_as_much_as_possible_removed(
    dtype: torch.dtype, text: list[str], tmp_path: Path
) -> None:
    start = compress.plan(write(tiny_bert().to(dtype), tmp_path / "model"), remove=0.0, calib=text, menu=("ranks",))
    target = 0.5 * start.with_budget(0.4).certificate.value
    plan, most = start.with_target(target), start.most_removable(target)
    assert 0.9 * target < plan.certificate.value <= target
    assert plan.settings.remove < most < plan.settings.remove + 0.02
    beyond = start.with_budget(most)
    assert target < beyond.certificate.value
    # what is stored in 16 bits is not quite of its rank, and the bound of a plan covers all that is as near to it
    assert target < beyond.certificate.lower_bound * (1.0 + 1e-3)
    compress.verify(plan.save(tmp_path / "out"))


def test_targets_out_of_range(planned: compress.Plan) -> None:
    everything = planned.with_target(1e9)
    assert everything.certificate.value < 1e9
    assert {row.rank for row in everything.table if row.form != "dense"} <= {1, 2}
    assert planned.most_removable(1e9) == 1.0
    for bad in (-1.0, 0.0, float("nan")):
        with pytest.raises(OptionError, match="target must be"):
            planned.with_target(bad)
    with pytest.raises(BudgetError, match="below rounding"):
        planned.with_target(1e-300)


def test_the_knee_is_where_the_slope_is_that_of_the_chord() -> None:
    points = [(x / 100, (x / 100) ** 2, 0.0) for x in range(81)]
    assert compress.knee(points) == pytest.approx(0.4)


def test_progress_and_peak_memory(bert: Path, text: list[str]) -> None:
    seen: list[tuple[str, int, int]] = []
    plan = compress.plan(bert, remove=0.3, calib=text, on_progress=lambda *step: seen.append(step), menu=("ranks",))
    assert {what for what, _, _ in seen} == {"calibrating", "dampings", "spectra", "factors"}
    assert all(0 < done <= of for _, done, of in seen)
    assert 10**7 < plan.peak_memory < 10**11


def test_little_text_is_said(bert: Path) -> None:
    plan = compress.plan(bert, remove=0.2, calib=sentences(20, seed=3), menu=("ranks",))
    assert plan.notes == ()
    wide = compress.plan(bert, remove=0.2, calib=sentences(20, seed=3)[:18], menu=("ranks",))
    assert wide.certificate.lower_bound <= wide.certificate.value


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_checkpoints_keep_their_dtype(dtype: torch.dtype, text: list[str], tmp_path: Path) -> None:
    folder = write(tiny_llama().to(dtype), tmp_path / "model")
    plan = compress.plan(folder, remove=0.3, calib=text, menu=("ranks",))
    out = plan.save(tmp_path / "out")
    kinds = {t.dtype for name, t in load_file(out / "model.safetensors").items() if t.numel() and "order" not in name}
    assert kinds == {dtype}
    replaced = [row for row in plan.table if row.form != "dense"]
    assert max(row.gap / row.error for row in replaced) > 1e-6  # the loss by rounding is in the error, not in the bound
    compress.verify(out)


def test_sharded_checkpoints_in_and_out(text: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tiny_bert(), tmp_path / "model", max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    plan = compress.plan(folder, remove=0.3, calib=text, menu=("ranks",))
    monkeypatch.setattr(safetensors_file, "SHARD_BYTES", 20_000)
    out = plan.save(tmp_path / "out")
    assert len(list(out.glob("model-*.safetensors"))) > 1
    assert (out / "model.safetensors.index.json").is_file()
    compress.verify(out)
    compress.load(out)


def test_stock_loaders_refuse_the_output(out: Path) -> None:
    with pytest.raises(RuntimeError, match="mismatched"):
        transformers.AutoModel.from_pretrained(out)
    with pytest.raises(CheckpointError, match="compressed by infimum already"):
        compress.open_checkpoint(out)


def test_output_describes_itself(out: Path, planned: compress.Plan) -> None:
    description = json.loads((out / "infimum.json").read_text())
    assert description["original"]["sha256"] == planned.checkpoint.sha256
    assert set(description["files"]) == {p.name for p in out.iterdir()} - {"infimum.json"}
    assert description["calibration"]["tokens"] == planned.moments.tokens.count
    assert description["versions"]["torch"] == torch.__version__
    assert not list(out.glob("*.bin"))


# --- nothing is overwritten, nothing is half-written ---------------------------------------------------------------


def test_an_existing_output_is_not_touched(planned: compress.Plan, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="exists already"):
        planned.save(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk", "ctrl-c"]
)
@pytest.mark.parametrize("at", ["write_small", "write_tensors", "copy_companions", "describe"])
def test_an_interrupted_save_leaves_nothing(
    planned: compress.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, at: str
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise failure

    monkeypatch.setattr(folders, at, fail)
    with pytest.raises(type(failure)):
        planned.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# --- verification refuses what was changed -------------------------------------------------------------------------


def change(out: Path, change_tensors: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(out / "model.safetensors")
    change_tensors(tensors)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


def forge(out: Path, edit: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Edit infimum.json, and make the hashes fit again."""
    path = out / "infimum.json"
    description = json.loads(path.read_text())
    description["files"] = {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in description["files"]
    }
    edit(description)
    path.write_text(json.dumps(description))


def first(description: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in description["layers"] if row["form"] == "pivot")


def test_one_changed_number_is_refused(out: Path) -> None:
    def nudge(tensors: dict[str, torch.Tensor]) -> None:
        name = next(name for name in tensors if name.endswith("coefficients"))
        tensors[name][0, 0] = torch.nextafter(tensors[name][0, 0], torch.tensor(9.0))

    change(out, nudge)
    with pytest.raises(VerificationError, match=r"model\.safetensors was changed"):
        compress.verify(out)


@pytest.mark.parametrize(
    "suffix", ["rows", "coefficients", "order", "bias", "LayerNorm.weight", "word_embeddings.weight"]
)
def test_a_changed_number_with_a_forged_hash_is_refused(out: Path, suffix: str) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        name = next(name for name in tensors if name.endswith(suffix))
        if suffix == "order":
            tensors[name] = tensors[name].flip(0)
        else:
            tensors[name].view(-1)[0] += 0.5

    change(out, spoil)
    forge(out)
    with pytest.raises(VerificationError):
        compress.verify(out)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "calibration.safetensors"])
def test_a_changed_companion_is_refused(out: Path, name: str) -> None:
    with (out / name).open("ab") as handle:
        handle.write(b" ")
    with pytest.raises(VerificationError, match=name):
        compress.verify(out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(rank=row["rank"] - 1), "cost"),
        (lambda row: row.update(rank=-3), "rank must be from 1 to"),
        (lambda row: row.update(form="dense"), "README.md must be what this version"),
        (lambda row: row.update(form="pivot"), "must be what this version"),
    ],
)
def test_forged_claims_of_a_plain_output_are_refused(
    bert: Path, moments: compress.Moments, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    out = compress.plan(bert, remove=0.3, moments=moments, plain=True).save(tmp_path / "out")
    forge(out, lambda d: change(next(row for row in d["layers"] if row["form"] == "plain")))
    with pytest.raises((VerificationError, CheckpointError), match=message):
        compress.verify(out)


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "error": lambda d: first(d).update(error=first(d)["error"] * 0.99),
    "bound": lambda d: first(d).update(lower_bound=first(d)["lower_bound"] * 1.01),
    "rank": lambda d: first(d).update(rank=first(d)["rank"] + 1),
    "cost": lambda d: first(d).update(cost=first(d)["cost"] - 1),
    "note": lambda d: first(d).update(note="please do not look here"),
    "form": lambda d: first(d).update(form="dense"),
    "tensor": lambda d: first(d).update(tensor="embeddings.word_embeddings.weight"),
    "dropped row": lambda d: d["layers"].remove(first(d)),
    "total": lambda d: d["certificate"].update(value=d["certificate"]["value"] * 0.99),
    "total bound": lambda d: d["certificate"].update(lower_bound=d["certificate"]["lower_bound"] * 1.01),
    "budget": lambda d: d.update(budget=d["budget"] + 100),
    "multiplier": lambda d: d.update(multiplier=d["multiplier"] * 1e30),  # from so far away less is proved
    "remove": lambda d: d["settings"].update(remove=0.5),
    "damping": lambda d: d["settings"].update(damping=1.0),
    "seed": lambda d: d["calibration"].update(seed=5),
    "text": lambda d: d["calibration"].update(sha256="0" * 64),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_claim_is_refused(out: Path, name: str) -> None:
    forge(out, FORGERIES[name])
    with pytest.raises(VerificationError):
        compress.verify(out)


def test_the_unchanged_forgery_is_accepted(out: Path) -> None:
    forge(out)
    compress.verify(out)


def test_another_original_is_refused(out: Path, tmp_path: Path) -> None:
    model = tiny_bert()
    with torch.no_grad():
        model.encoder.layer[0].output.dense.weight[0, 0] += 1.0
    with pytest.raises(VerificationError, match="hashes differ"):
        compress.verify(out, original=write(model, tmp_path / "other"))


def test_missing_files_of_the_output(out: Path) -> None:
    (out / "calibration.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"calibration\.safetensors. is missing"):
        compress.verify(out)
    (out / "infimum.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        compress.verify(out)
    (out / "infimum.json").unlink()
    with pytest.raises(CheckpointError, match=r"no infimum\.json"):
        compress.verify(out)
    with pytest.raises(CheckpointError, match="compressed by infimum already"):
        compress.open_checkpoint(out)


def test_missing_tensor_of_the_output(out: Path) -> None:
    change(out, lambda tensors: tensors.pop(next(name for name in tensors if name.endswith("rows"))))
    with pytest.raises(CheckpointError, match="rows is missing"):
        compress.load(out)


# --- bad settings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("remove", [-0.1, 1.0, 20, float("nan")])
def test_a_budget_out_of_range(bert: Path, remove: float) -> None:
    with pytest.raises(OptionError, match="remove must be"):
        compress.plan(bert, remove=remove, menu=("ranks",))


@pytest.mark.parametrize("allocation", ["global", "uniform"])
def test_an_infeasible_budget(bert: Path, moments: compress.Moments, allocation: str) -> None:
    with pytest.raises(BudgetError, match="remove less"):
        compress.plan(bert, remove=0.99, moments=moments, allocation=allocation)


@pytest.mark.parametrize(
    "options", [{"objective": "best"}, {"form": "cur"}, {"allocation": "x"}, {"of": "files"}, {"damping": 0.0}], ids=str
)
def test_unknown_options(bert: Path, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        compress.plan(bert, **options)


def test_moments_of_another_model(llama: Path, moments: compress.Moments) -> None:
    with pytest.raises(CalibrationError, match="calibrate this checkpoint"):
        compress.plan(llama, moments=moments)


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=str)
def measured(
    request: pytest.FixtureRequest, text: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, compress.Moments]:
    folder = write(tiny_llama().to(request.param), tmp_path_factory.mktemp("bytes") / "model")
    return folder, compress.calibrate(folder, text, split=True)


@pytest.mark.parametrize("form", ["mixed", "pivot", "factors"])
def test_a_budget_of_bytes_holds_for_the_bytes(
    form: str, measured: tuple[Path, compress.Moments], tmp_path: Path
) -> None:
    folder, moments = measured
    out = compress.plan(folder, remove=0.15, of="bytes", moments=moments, **LOWER[form]).save(tmp_path / "out")
    before, after = (
        sum(tensor.nbytes for tensor in load_file(path / "model.safetensors").values()) for path in (folder, out)
    )
    assert 0.75 * before < after <= 0.85 * before
    compress.verify(out)


def test_a_budget_of_bytes_needs_one_dtype(text: list[str], tmp_path: Path) -> None:
    folder = write(tiny_bert(), tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    save_file(tensors | {name: tensors[name].half()}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OptionError, match="one dtype, got F16, F32"):
        compress.plan(folder, of="bytes", calib=text, menu=("ranks",))
    with pytest.raises(OptionError, match="as many bytes"):
        compress.plan(folder, of="bytes", plain=True)


# --- layers that are left out ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        (
            {"keep": ["*attention*", "encoder.layer.1.output.dense"]},
            lambda name: "attention" in name or "1.output" in name,
        ),
        ({"only": ["*.intermediate.dense"]}, lambda name: "intermediate" not in name),
        ({"only": ["encoder.*"], "keep": ["*.0.*"]}, lambda name: ".0." in name or "pooler" in name),
    ],
    ids=["keep", "only", "both"],
)
def test_layers_can_be_left_out(
    options: dict[str, Any], stays: Any, bert: Path, moments: compress.Moments, tmp_path: Path
) -> None:
    plan = compress.plan(bert, remove=0.1, moments=moments, **options)
    assert {row.name for row in plan.table if row.note} >= {row.name for row in plan.table if stays(row.name)}
    assert all(row.form == "dense" for row in plan.table if stays(row.name))
    assert any(row.form != "dense" for row in plan.table)
    assert plan.removed >= 0.1 * plan.linear_size - 1
    out = plan.save(tmp_path / "out")
    assert compress.verify(out).value <= plan.certificate.value
    description = json.loads((out / "infimum.json").read_text())
    description["settings"]["keep"] = []
    description["settings"]["only"] = ["*"]
    (out / "infimum.json").write_text(json.dumps(description))
    with pytest.raises(VerificationError):
        compress.verify(out)


def test_names_that_no_layer_has(bert: Path, moments: compress.Moments) -> None:
    with pytest.raises(OptionError, match=r"no linear layer is called q_proj; encoder\.layer\.0\..* is one of"):
        compress.plan(bert, moments=moments, keep=["q_proj"])
    with pytest.raises(OptionError, match="leave none of"):
        compress.plan(bert, moments=moments, keep=["*"])


def test_the_curve_is_drawn_around_the_budget(planned: compress.Plan) -> None:
    points = planned.curve(5, within=(0.2, 0.4))
    assert [point[0] for point in points] == pytest.approx([0.2, 0.25, 0.3, 0.35, 0.4])
    assert points[2][1] == pytest.approx(planned.certificate.value, rel=1e-3)
    axes = planned.plot()
    assert axes.get_xlim() == pytest.approx((0.0, 60.0))
    assert axes.get_ylim()[1] > planned.certificate.value > 0.0


@pytest.mark.parametrize(
    ("removed", "range_"), [(0.0, (0.0, 0.5)), (0.2, (0.0, 0.4)), (0.5, (0.25, 0.75)), (0.9, (0.85, 0.95))]
)
def test_budgets_like_a_budget(removed: float, range_: tuple[float, float]) -> None:
    assert neighbours(removed) == pytest.approx(range_)
