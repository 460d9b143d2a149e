"""Layers of few bits in a plan: made by one half of the text, judged by the other, stored, loaded, verified, forged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.compress.menu.alternatives import Alternative, alternatives_of, numbers_in  # noqa: E402
from infimum.compress.menu.forms import BitsForm  # noqa: E402
from infimum.compress.menu.task import Task  # noqa: E402
from infimum.compress.search.offers import RoundedOffer  # noqa: E402
from infimum.errors import CalibrationError, OptionError  # noqa: E402
from infimum.nn import QuantizedLinear  # noqa: E402
from tests.compress.conftest import saved_again_is_the_same, tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.gguf_models import tiny_model  # noqa: E402
from tests.compress.test_forgeries import change, in_row, put, refused, scaled, seal  # noqa: E402
from tests.compress.test_language_models import tiny_gpt2  # noqa: E402

MAKERS = {"bert": tiny_bert, "llama": tiny_llama, "gpt2": tiny_gpt2}


@pytest.fixture(scope="module")
def plans(text: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, compress.Plan]:
    root = tmp_path_factory.mktemp("bits")
    folders = {name: write(make(), root / name) for name, make in MAKERS.items()}
    return {name: compress.plan(folder, remove=0.8, menu=("bits",), calib=text) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def outputs(plans: dict[str, compress.Plan], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bits-out")
    return {name: plan.save(root / name) for name, plan in plans.items()}


@pytest.fixture
def copy(outputs: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    return lambda name="bert": Path(shutil.copytree(outputs[name], tmp_path / "out"))


@pytest.mark.parametrize("name", MAKERS)
def test_a_plan_keeps_its_budget_and_its_bound(name: str, plans: dict[str, compress.Plan]) -> None:
    plan = plans[name]
    rows = [row for row in plan.table if row.bits]
    assert rows
    assert sum(row.cost for row in plan.table) <= 0.2 * plan.linear_size + 1
    assert 0.0 < plan.certificate.lower_bound <= plan.certificate.value
    assert all(0.0 <= row.lower_bound <= row.error for row in plan.table)
    for row in rows:
        rank = row.rank if row.form == "bit-factors" else 0
        assert row.cost == numbers_in(Alternative(row.bits, row.group, rank).bytes(row.kept), 4)
        assert (
            sum(part.numel() * part.element_size() for part in plan.forms[row.name].tensors().values()) <= 4 * row.cost
        )


@pytest.mark.parametrize("name", MAKERS)
def test_an_output_loads_and_verifies(
    name: str, plans: dict[str, compress.Plan], outputs: dict[str, Path], text: list[str]
) -> None:
    derived = compress.verify(outputs[name])
    claimed = plans[name].certificate
    assert claimed.lower_bound <= derived.lower_bound <= derived.value <= claimed.value
    model = compress.load(outputs[name])
    applied = plans[name].apply(compress.open_checkpoint(plans[name].checkpoint.path).load())
    tokens = compress.tokens_for(plans[name].checkpoint, text)
    ids, mask = torch.from_numpy(tokens.ids[:2]), torch.from_numpy(tokens.mask[:2])
    with torch.no_grad():
        ours, theirs = (each(input_ids=ids, attention_mask=mask)[0] for each in (model, applied))
    assert torch.equal(ours, theirs)
    layers = [module for module in model.modules() if isinstance(module, QuantizedLinear)]
    assert len(layers) == sum(row.form == "bits" for row in plans[name].table)


@pytest.mark.usefixtures("code_cache")
@pytest.mark.parametrize("name", ["bert", "llama"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_transformers_loads_the_same_numbers(name: str, dtype: torch.dtype, outputs: dict[str, Path]) -> None:
    kind = transformers.AutoModel if name == "bert" else transformers.AutoModelForCausalLM
    stock = kind.from_pretrained(outputs[name], trust_remote_code=True, dtype=dtype)
    ours = compress.load(outputs[name])
    for layer, module in ours.named_modules():
        if isinstance(module, QuantizedLinear):
            assert torch.equal(stock.get_submodule(layer).to_dense(), module.to_dense())


def test_what_is_saved_again_is_the_same(outputs: dict[str, Path], tmp_path: Path) -> None:
    saved_again_is_the_same(outputs["llama"], tmp_path / "again")


def test_the_error_is_that_of_the_half_that_judges(plans: dict[str, compress.Plan]) -> None:
    plan = plans["bert"]
    task = Task(plan.checkpoint, plan.moments, plan.settings)
    row = next(row for row in plan.table if row.form == "bits")
    layer = next(layer for layer in plan.checkpoint.layers if layer.name == row.name)
    form = plan.forms[row.name]
    assert isinstance(form, BitsForm)
    stored = form.unpacked(row.bits, layer.shape[1])
    (judge,), maker = task.judges(layer), task.maker(layer)
    D = judge.W - stored.matrix()
    errors = [float(np.sum((each.norm.G @ D @ each.norm.C) * D)) for each in (judge, maker)]
    assert row.error == pytest.approx(errors[0], rel=1e-3)
    assert abs(errors[1] / errors[0] - 1.0) > 1e-2


def test_more_bytes_are_never_worse(plans: dict[str, compress.Plan]) -> None:
    plan = plans["bert"]
    values = [plan.with_budget(remove).certificate.value for remove in (0.8, 0.7, 0.5, 0.0)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0.0
    assert len(plan.curve(9)) == 9


def test_what_was_built_is_not_built_again(plans: dict[str, compress.Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    remove = plans["bert"].settings.remove
    plan = plans["bert"].with_budget(remove)
    other = plan.with_budget(remove + 0.04)
    built = []
    monkeypatch.setattr(RoundedOffer, "build", lambda *asked: built.append(asked))
    again = plan.with_budget(remove)
    assert not built
    assert again.table == plan.table
    assert again.table != other.table
    assert again.certificate == plan.certificate
    for name, form in plan.forms.items():
        kept = again.forms[name].tensors()
        assert all(torch.equal(kept[part], tensor) for part, tensor in form.tensors().items())


def test_halves_are_all_of_the_text_and_apart(text: list[str], plans: dict[str, compress.Plan]) -> None:
    tokens = plans["bert"].moments.tokens
    first, second = tokens.halves()
    assert first.count + second.count == tokens.count
    assert abs(len(first.ids) - len(second.ids)) <= 8
    everything = np.concatenate([first.ids, second.ids])
    assert sorted(map(tuple, everything.tolist())) == sorted(map(tuple, tokens.ids.tolist()))
    with pytest.raises(CalibrationError, match="two rows of text"):
        compress.Tokens(tokens.ids[:1], tokens.mask[:1], "one").halves()


@pytest.mark.parametrize(
    ("shape", "item", "most"), [((24, 40), 4, None), ((8, 128), 2, None), ((4, 96), 4, None), ((1, 1), 4, 0)]
)
def test_alternatives_are_smaller_than_the_layer(shape: tuple[int, int], item: int, most: int | None) -> None:
    offered = alternatives_of(shape, item, ranks=True)
    sizes = [one.bytes(shape) for one in offered]
    assert sizes == sorted(set(sizes))
    assert all(size < item * shape[0] * shape[1] for size in sizes)
    assert all(shape[1] % one.group == 0 for one in offered)
    assert (most is None) == bool(offered)


@pytest.mark.parametrize("options", [{"plain": True}, {"allocation": "uniform"}])
def test_what_few_bits_cannot_be(options: dict[str, Any], bert: Path, text: list[str]) -> None:
    with pytest.raises(OptionError, match="few bits"):
        compress.plan(bert, menu=("bits",), calib=text, **options)


def test_moments_must_fit_the_form(bert: Path, text: list[str]) -> None:
    with pytest.raises(CalibrationError, match="calibrate with split=True"):
        compress.plan(bert, menu=("bits",), moments=compress.calibrate(bert, text))


# --- ranks and widths among the bits ---------------------------------------------------------------------------------

SMALL = {"factors": (("bits", "ranks"), 1.8), "narrow": (("bits", "widths"), 3.2)}  # bits a weight


@pytest.fixture(scope="module")
def small(bert: Path, text: list[str]) -> dict[str, compress.Plan]:
    checkpoint, moments = compress.open_checkpoint(bert), compress.calibrate(bert, text, split=True)
    reached = sum(layer.size for layer in checkpoint.layers if layer.name in moments.layers)
    whole = sum(layer.size for layer in checkpoint.layers)
    return {
        name: compress.plan(checkpoint, remove=reached * (1.0 - bits / 32) / whole, menu=menu, moments=moments)
        for name, (menu, bits) in SMALL.items()
    }


@pytest.fixture(scope="module")
def small_outputs(small: dict[str, compress.Plan], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("small-out")
    return {name: plan.save(root / name) for name, plan in small.items()}


def is_small(name: str, row: compress.LayerPlan) -> bool:
    return row.form == "bit-factors" if name == "factors" else row.kept != row.shape


@pytest.mark.usefixtures("code_cache")
@pytest.mark.parametrize("name", SMALL)
def test_small_budgets_mix_the_kinds(
    name: str, small: dict[str, compress.Plan], small_outputs: dict[str, Path], text: list[str]
) -> None:
    plan, out = small[name], small_outputs[name]
    assert any(is_small(name, row) for row in plan.table)
    assert any(row.form == "bits" and row.kept == row.shape for row in plan.table)
    claimed, derived = plan.certificate, compress.verify(out)
    assert 0.0 < claimed.lower_bound <= derived.lower_bound <= derived.value <= claimed.value
    assert plan.removed >= plan.settings.remove * plan.linear_size - 1
    ours, applied = compress.load(out), plan.apply(compress.open_checkpoint(plan.checkpoint.path).load())
    stock = transformers.AutoModel.from_pretrained(out, trust_remote_code=True)
    tokens = compress.tokens_for(plan.checkpoint, text)
    ids, mask = torch.from_numpy(tokens.ids[:2]), torch.from_numpy(tokens.mask[:2])
    with torch.no_grad():
        first, *others = (model(input_ids=ids, attention_mask=mask)[0] for model in (ours, applied, stock))
    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("name", SMALL)
def test_the_error_of_a_small_layer_is_measured_as_stored(name: str, small: dict[str, compress.Plan]) -> None:
    plan = small[name]
    task, model = Task(plan.checkpoint, plan.moments, plan.settings), plan.apply(plan.checkpoint.load())
    for row in (row for row in plan.table if is_small(name, row)):
        layer = next(layer for layer in plan.checkpoint.layers if layer.name == row.name)
        module: Any = model.get_submodule(row.name)
        (judge,), dense = task.judges(layer), module.to_dense().double().numpy()
        order = plan.orders.get(row.name, np.arange(row.shape[1]))
        if row.kept[0] != row.shape[0]:
            continue  # which outputs are kept is what the layer behind it says
        D = judge.W.copy()
        D[:, np.sort(order[: row.kept[1]])] -= dense
        assert row.error == pytest.approx(float(np.sum((judge.norm.G @ D @ judge.norm.C) * D)), rel=1e-3)
        assert 0.0 < row.lower_bound <= row.error


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("part", ["integers", "scales", "zeros", "bias"])
def test_a_changed_small_layer_is_refused(name: str, part: str, small_outputs: dict[str, Path], tmp_path: Path) -> None:
    out = Path(shutil.copytree(small_outputs[name], tmp_path / "out"))
    rows = json.loads((out / "infimum.json").read_text())["layers"]
    side = 0 if part == "bias" else 1  # what reads normalised states is not changed by a constant added to its rows
    row = next(row for row in rows if row["form"] == "bit-factors" or row["kept"][side] != row["shape"][side])
    stem = row["tensor"].removesuffix("weight")

    def forge(tensors: dict[str, Any]) -> None:
        held = tensors[next(key for key in tensors if key.startswith(stem) and key.endswith(part))]
        held.copy_(held + 1 if part != "scales" else held ^ 0x3000)

    refused(seal(change(out, forge)))


@pytest.mark.parametrize(
    ("name", "forged"), [("factors", {"rank": 9}), ("factors", {"form": "bits"}), ("narrow", {"bits": 8})]
)
def test_what_is_not_offered_is_refused(
    name: str, forged: dict[str, Any], small_outputs: dict[str, Path], tmp_path: Path
) -> None:
    def edit(description: dict[str, Any]) -> None:
        rows = description["layers"]
        next(row for row in rows if row["form"] == "bit-factors" or row["kept"] != row["shape"]).update(forged)

    refused(seal(Path(shutil.copytree(small_outputs[name], tmp_path / "out")), edit))


# --- forged outputs --------------------------------------------------------------------------------------------------


def test_what_is_sealed_again_is_accepted(copy: Callable[..., Path]) -> None:
    compress.verify(seal(copy()))


def bounds_of(document: dict[str, Any]) -> tuple[float, float]:
    """Return value and bound: as a plan claims a per cent less than is derived, 1.01 times its claim may be true."""
    return document["certificate"]["value"], document["certificate"]["lower_bound"]


SAID = {
    "a smaller error": scaled("error", 0.999),
    "a larger bound of a layer": in_row(lower_bound=1e3),
    "a larger bound": lambda d: d["certificate"].update(lower_bound=0.5 * sum(bounds_of(d))),
    "a smaller value": lambda d: d["certificate"].update(value=0.999 * d["certificate"]["value"]),
    "fewer bits": in_row(bits=1),
    "bits that are none": in_row(bits=2.0),
    "more bits": in_row(bits=9),
    "another group": in_row(group=7),
    "no group": in_row(group=0),
    "a smaller cost": in_row(cost=1),
    "another form": in_row(form="dense"),
    "a form that is none": in_row(form="pivot"),
    "text that was not split": put("calibration", "split", value=False),
    "a split that is no truth value": put("calibration", "split", value=1),
    "a larger budget": lambda d: d.update(budget=2 * d["budget"]),
    "another setting": put("settings", "menu", value=["ranks"]),
}


@pytest.mark.parametrize("what", SAID)
def test_false_statements_are_refused(what: str, copy: Callable[..., Path]) -> None:
    refused(seal(copy(), SAID[what]))


def part_of(out: Path, part: str) -> str:
    """Name a part of a layer that reads no normalised states: there a constant added to a row changes something."""
    rows = json.loads((out / "infimum.json").read_text())["layers"]
    row = next(row for row in rows if row["form"] == "bits" and "attention.output" in row["name"])
    return str(row["tensor"]).removesuffix("weight") + part


@pytest.mark.parametrize("part", ["integers", "scales", "zeros"])
@pytest.mark.parametrize("edit", ["flipped", "another dtype", "another shape", "missing"])
def test_changed_tensors_are_refused(part: str, edit: str, copy: Callable[..., Path]) -> None:
    out = copy()
    name = part_of(out, part)

    def forge(tensors: dict[str, Any]) -> None:
        held = tensors[name]
        if edit == "missing":
            del tensors[name]
        elif edit == "flipped":
            tensors[name] = held ^ 1 if part != "scales" else held ^ 0x3000
        else:
            tensors[name] = held.to(torch.int32) if edit == "another dtype" else torch.cat([held, held])

    refused(seal(change(out, forge)))


def test_a_scale_that_is_not_finite_is_refused(copy: Callable[..., Path]) -> None:
    out = copy()
    name = part_of(out, "scales")
    refused(seal(change(out, lambda tensors: tensors[name].fill_(0x7C00))))


def test_a_bias_of_another_is_refused(copy: Callable[..., Path]) -> None:
    out = copy()
    name = part_of(out, "bias")
    refused(seal(change(out, lambda tensors: tensors[name].add_(1.0))), "should be")


@pytest.mark.parametrize("format", ["infimum", "compressed-tensors", "gguf"])
def test_entries_beyond_every_scale_are_refused_by_name(format: str, text: list[str], tmp_path: Path) -> None:
    model = tiny_model("llama", tmp_path / "model")
    large = transformers.AutoModelForCausalLM.from_pretrained(model)
    name = "model.layers.1.mlp.up_proj"
    with torch.no_grad():
        large.get_submodule(name).weight[3, 5] = 1e6
    large.save_pretrained(model)
    options = {"calib": text, "remove": 0.6, "menu": ("bits",), "format": format}
    with pytest.raises(OptionError, match=rf"{name} has an entry of size 1e\+06"):
        compress.plan(model, **options)
    out = compress.plan(model, **options, keep=[name]).save(tmp_path / "out")
    assert compress.verify(out).value >= 0.0
