"""Outputs in the format "compressed-tensors": planned, loaded by stock transformers and by ours, verified, forged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import infimum  # noqa: E402
from infimum import compress  # noqa: E402
from infimum.compress.menu.compressed_tensors import Packed, linear_layers  # noqa: E402
from infimum.compress.menu.vllm_rules import broken_rules, fused_layers  # noqa: E402
from infimum.compress.search.offers import RoundedOffer  # noqa: E402
from infimum.errors import BudgetError, OptionError  # noqa: E402
from infimum.nn import QuantizedLinear  # noqa: E402
from tests.compress.conftest import saved_again_is_the_same, tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.test_forgeries import change, in_row, put, refused, scaled, seal  # noqa: E402
from tests.compress.test_language_models import tiny_experts, tiny_gpt2  # noqa: E402
from tests.compress.test_names import falcon, mixtral, neox  # noqa: E402

CASES = {
    "bert": (tiny_bert, torch.float32),
    "llama": (tiny_llama, torch.float32),
    "llama-bf16": (tiny_llama, torch.bfloat16),
    "llama-fp16": (tiny_llama, torch.float16),
}
REMOVE = {torch.float32: 0.7, torch.float16: 0.5, torch.bfloat16: 0.5}


@pytest.fixture(scope="module")
def plans(text: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, compress.Plan]:
    root = tmp_path_factory.mktemp("packed")
    folders = {name: write(make().to(dtype), root / name) for name, (make, dtype) in CASES.items()}
    return {
        name: compress.plan(folder, remove=REMOVE[CASES[name][1]], format="compressed-tensors", calib=text)
        for name, folder in folders.items()
    }


@pytest.fixture(scope="module")
def outputs(plans: dict[str, compress.Plan], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("packed-out")
    return {name: plan.save(root / name) for name, plan in plans.items()}


@pytest.fixture
def copy(outputs: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    return lambda name="llama": Path(shutil.copytree(outputs[name], tmp_path / "out"))


def stock(name: str, folder: Path) -> Any:
    """Load a folder as anybody would, and ask that nothing was missing or too much."""
    kind = transformers.AutoModel if name == "bert" else transformers.AutoModelForCausalLM
    model, report = kind.from_pretrained(folder, output_loading_info=True)
    assert model.dtype == CASES[name][1]
    assert not any(report.values())
    return model


def output_of(model: Any, plan: compress.Plan, text: list[str]) -> Any:
    tokens = compress.tokens_for(plan.checkpoint, text)
    ids, mask = torch.from_numpy(tokens.ids[:2]), torch.from_numpy(tokens.mask[:2])
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask)[0]


@pytest.mark.parametrize(
    ("name", "choices", "format"),
    [
        ("llama-fp16", {"remove": 0.5}, "compressed-tensors"),
        ("llama-fp16", {"remove": 0.8}, "infimum"),
        ("llama-fp16", {"remove": 0.5, "menu": ("bits",)}, "infimum"),
        ("llama-fp16", {"remove": 0.5, "plain": True}, "infimum"),
        ("bert", {"remove": 0.5}, "infimum"),
    ],
)
def test_language_models_are_written_for_engines_where_the_budget_lets_it(
    name: str, choices: dict[str, Any], format: str, plans: dict[str, compress.Plan]
) -> None:
    plan = compress.plan(plans[name].checkpoint, **choices, moments=plans[name].moments)
    assert plan.settings.format == format


@pytest.mark.parametrize(("make", "format"), [(neox, "compressed-tensors"), (falcon, "infimum"), (mixtral, "infimum")])
def test_what_transformers_cannot_load_for_engines_is_not_written_so(
    make: Any, format: str, text: list[str], tmp_path: Path
) -> None:
    """Falcon's class asks for weights before it has any, and of experts in files of their own none is found."""
    folder = write(make(), tmp_path / "model")
    plan = compress.plan(folder, remove=0.1, calib=text, max_tokens=64)
    assert plan.settings.format == format
    if format == "infimum":
        chosen = {"remove": 0.1, "moments": plan.moments, "format": "compressed-tensors"}
        out = compress.plan(folder, **chosen).save(tmp_path / "out")
        with pytest.raises((AttributeError, RuntimeError)):
            transformers.AutoModelForCausalLM.from_pretrained(out)
        compress.verify(out)
        assert type(compress.load(out)) is type(plan.checkpoint.load())


def test_the_least_budget_for_engines_is_met(plans: dict[str, compress.Plan]) -> None:
    plan = plans["llama"]
    least = max(remove for remove, *_ in plan.curve(2))
    assert plan.with_budget(least).certificate.value > 0.0
    chosen = [
        compress.plan(plan.checkpoint, remove=remove, moments=plan.moments).settings.format
        for remove in (least, least + 0.001)
    ]
    assert chosen == ["compressed-tensors", "infimum"]


@pytest.mark.parametrize("name", CASES)
def test_a_plan_keeps_its_budget_and_its_bound(name: str, plans: dict[str, compress.Plan]) -> None:
    plan, item = plans[name], CASES[name][1].itemsize
    rows = [row for row in plan.table if row.form == "packed"]
    assert rows
    assert {row.bits for row in rows} <= {4, 8}
    assert sum(row.cost for row in plan.table) <= (1.0 - plan.settings.remove) * plan.linear_size + 1
    assert 0.0 < plan.certificate.lower_bound <= plan.certificate.value
    assert all(0.0 <= row.lower_bound <= row.error for row in plan.table)
    for row in rows:
        stored = sum(part.numel() * part.element_size() for part in plan.forms[row.name].tensors().values())
        assert row.cost == -(-stored // item)


@pytest.mark.parametrize("name", CASES)
def test_layers_that_become_one_are_decided_together(name: str, plans: dict[str, compress.Plan]) -> None:
    rows = {row.name: row for row in plans[name].table}
    together = list(fused_layers(rows))
    assert len(together) == 2 if name == "bert" else 4
    for names in together:
        assert len({(rows[each].form, rows[each].bits, rows[each].group) for each in names}) == 1


@pytest.mark.parametrize("name", CASES)
def test_ours_loads_and_verifies(
    name: str, plans: dict[str, compress.Plan], outputs: dict[str, Path], text: list[str]
) -> None:
    derived, claimed = compress.verify(outputs[name]), plans[name].certificate
    assert claimed.lower_bound <= derived.lower_bound <= derived.value <= claimed.value
    model = compress.load(outputs[name])
    assert sum(isinstance(module, QuantizedLinear) for module in model.modules()) == sum(
        row.form == "packed" for row in plans[name].table
    )
    applied = plans[name].apply(stock(name, plans[name].checkpoint.path))
    assert torch.equal(output_of(model, plans[name], text), output_of(applied, plans[name], text))


@pytest.mark.parametrize("name", CASES)
def test_stock_transformers_gives_the_same_output(
    name: str, plans: dict[str, compress.Plan], outputs: dict[str, Path], text: list[str]
) -> None:
    pytest.importorskip("compressed_tensors")
    applied, loaded = plans[name].apply(stock(name, plans[name].checkpoint.path)), stock(name, outputs[name])
    assert torch.equal(output_of(loaded, plans[name], text), output_of(applied, plans[name], text))


@pytest.mark.parametrize("name", CASES)
def test_the_configuration_keeps_the_rules(
    name: str, plans: dict[str, compress.Plan], outputs: dict[str, Path]
) -> None:
    config = json.loads((outputs[name] / "config.json").read_text())
    assert "auto_map" not in config
    assert not list(outputs[name].glob("*.py"))
    assert broken_rules(config["quantization_config"], linear_layers(plans[name].checkpoint)) == []


def test_what_is_saved_again_is_the_same(outputs: dict[str, Path], tmp_path: Path) -> None:
    saved_again_is_the_same(outputs["llama"], tmp_path / "again")


def test_alternatives_are_groups_and_whole_rows(plans: dict[str, compress.Plan]) -> None:
    offered = {
        one
        for offer in plans["llama"].offers
        if isinstance(offer, RoundedOffer)
        for each in offer.menu.offered
        for one in each[0].alternatives
        if one
    }
    assert offered == {Packed(bits, group, "F32") for bits in (4, 8) for group in (24, 40)}


def test_the_report_says_what_the_format_costs(plans: dict[str, compress.Plan], tmp_path: Path) -> None:
    plan = plans["bert"]
    own = plan.with_own_format()
    assert own.budget == plan.budget
    assert own.settings.format == "infimum"
    assert own.certificate.lower_bound < plan.certificate.value
    path = infimum.report.write(plan, tmp_path / "report.html", own_format=own)
    said = json.loads(path.with_suffix(".json").read_text())
    assert said["own_format"]["value"] == own.certificate.value
    assert "What the format costs" in path.read_text()
    assert "What the format costs" not in infimum.report.write(plan, tmp_path / "other.html").read_text()


@pytest.mark.parametrize("make", [tiny_gpt2, tiny_experts])
def test_layers_that_the_format_does_not_know_stay(make: Callable[[], Any], text: list[str], tmp_path: Path) -> None:
    folder = write(make(), tmp_path / "model")
    known = linear_layers(compress.open_checkpoint(folder))
    options: dict[str, Any] = {"format": "compressed-tensors", "calib": text}
    plan = compress.plan(folder, remove=0.0, **options)
    assert all(row.form == "dense" for row in plan.table if row.name not in known)
    with pytest.raises(BudgetError):
        compress.plan(folder, remove=0.9, moments=plan.moments, **options)


def test_of_layers_that_become_one_none_is_left_out_alone(llama: Path, text: list[str], tmp_path: Path) -> None:
    plan = compress.plan(llama, remove=0.3, format="compressed-tensors", keep=["model.layers.0.*.k_proj"], calib=text)
    forms = {row.name: row.form for row in plan.table}
    assert {forms[f"model.layers.0.self_attn.{name}_proj"] for name in "qkv"} == {"dense"}
    assert "packed" in forms.values()
    compress.verify(plan.save(tmp_path / "out"))


@pytest.mark.parametrize("options", [{"menu": ("ranks",)}, {"menu": ("bits", "ranks")}])
def test_the_format_holds_few_bits_only(options: dict[str, Any], bert: Path, text: list[str]) -> None:
    with pytest.raises(OptionError, match="holds few bits only"):
        compress.plan(bert, format="compressed-tensors", calib=text, **options)


# --- forged outputs --------------------------------------------------------------------------------------------------


def test_what_is_sealed_again_is_accepted(copy: Callable[..., Path]) -> None:
    compress.verify(seal(copy()))


def one_of_three(described: dict[str, Any]) -> None:
    row = next(row for row in described["layers"] if row["name"].endswith("q_proj"))
    row["bits"] = 12 - row["bits"]


SAID = {
    "a smaller error": scaled("error", 0.999),
    "a larger bound of a layer": in_row(lower_bound=1e3),
    "other bits": in_row(bits=6),
    "another group": in_row(group=8),
    "a smaller cost": in_row(cost=1),
    "another form": in_row(form="bits"),
    "one of three fused layers": one_of_three,
    "another format": put("settings", "format", value="infimum"),
    "a format that is none": put("settings", "format", value="gptq"),
    "a larger menu": put("settings", "menu", value=["bits", "ranks"]),
}


@pytest.mark.parametrize("what", SAID)
def test_false_statements_are_refused(what: str, copy: Callable[..., Path]) -> None:
    refused(seal(copy(), SAID[what]))


@pytest.mark.parametrize("part", ["weight_packed", "weight_scale", "weight_shape"])
@pytest.mark.parametrize("edit", ["changed", "another dtype", "another shape", "missing"])
def test_changed_tensors_are_refused(part: str, edit: str, copy: Callable[..., Path]) -> None:
    out = copy()
    rows = json.loads((out / "infimum.json").read_text())["layers"]
    name = next(r["tensor"] for r in rows if r["form"] == "packed" and "down_proj" in r["name"]) + part[6:]

    def forged(tensors: dict[str, Any]) -> None:
        old = tensors[name]
        if edit == "changed":
            new = old.clone()
            new.flatten()[0] = new.flatten()[0] * 2 + 1
            tensors[name] = new
        elif edit == "another dtype":
            tensors[name] = old.to(torch.float32 if old.is_floating_point() else torch.int16)
        elif edit == "another shape":
            tensors[name] = old[:-1].clone()
        else:
            del tensors[name]

    refused(seal(change(out, forged)))


CONFIGURED: dict[str, Callable[[dict[str, Any]], None]] = {
    "another width": lambda said: said["config_groups"]["group_0"]["weights"].update(num_bits=6),
    "zero points": lambda said: said["config_groups"]["group_0"]["weights"].update(symmetric=False),
    "a target less": lambda said: said["config_groups"]["group_0"]["targets"].pop(),
    "nothing ignored": lambda said: said.update(ignore=[]),
    "another layout": lambda said: said.update(format="int-quantized"),
    "another state": lambda said: said.update(quantization_status="frozen"),
}


@pytest.mark.parametrize("what", CONFIGURED)
def test_a_changed_configuration_is_refused(what: str, copy: Callable[..., Path]) -> None:
    out = copy()
    config = json.loads((out / "config.json").read_text())
    CONFIGURED[what](config["quantization_config"])
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    refused(seal(out))
