"""The adapter of what was lost: its files applied by hand, and against every other of its rank."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.compress.menu.forms import PlainForm  # noqa: E402
from infimum.compress.menu.task import Task  # noqa: E402
from infimum.errors import OptionError  # noqa: E402
from infimum.proof.theorems import weighted_tail  # noqa: E402
from tests.compress.conftest import tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.test_language_models import tiny_experts, tiny_gpt2  # noqa: E402

RANK = 3
MODELS = {"bert": tiny_bert, "llama": tiny_llama, "gpt2": tiny_gpt2}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory, text: list[str]) -> dict[str, compress.Plan]:
    root = tmp_path_factory.mktemp("adapters")
    return {
        name: compress.plan(write(make(), root / name), remove=0.4, calib=text, plain=True)
        for name, make in MODELS.items()
    }


@pytest.mark.parametrize("name", MODELS)
def test_the_files_restore_as_much_as_their_rank_can(
    name: str, plans: dict[str, compress.Plan], tmp_path: Path
) -> None:
    plan = plans[name]
    folder = plan.save(tmp_path / "out", adapter=RANK) / "adapter"
    tensors = load_file(folder / "adapter_model.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", RANK, RANK)
    assert config["fan_in_fan_out"] == (name == "gpt2")
    assert config["base_model_name_or_path"] == str(tmp_path / "out")
    parts = ("lora_A", "lora_B")
    assert set(tensors) == {f"base_model.model.{n}.{p}.weight" for n in config["target_modules"] for p in parts}
    replaced = {row.name: row for row in plan.table if row.form == "plain"}
    assert set(config["target_modules"]) == set(replaced)
    for layer in plan.checkpoint.layers:
        if layer.name not in config["target_modules"]:
            continue
        A, B = (tensors[f"base_model.model.{layer.name}.{part}.weight"].double().numpy() for part in parts)
        norm, form = Task(plan.checkpoint, plan.moments, plan.settings).member(layer).norm, plan.forms[layer.name]
        assert isinstance(form, PlainForm)
        stored = form.weight.double().numpy()
        lost = plan.checkpoint.weight(layer).double().numpy() - (stored.T if layer.transposed else stored)
        nothing = np.zeros((lost.shape[0], 1)), np.zeros((1, lost.shape[1]))
        before = weighted_tail.error(lost, *nothing, norm.C, norm.G)
        after = weighted_tail.error(lost, B, A, norm.C, norm.G)
        # Eckart-Young in that norm, from the singular values of the weighted difference
        root = (
            np.linalg.cholesky(norm.G).T
            @ lost
            @ np.linalg.cholesky(norm.C + 1e-12 * np.trace(norm.C) * np.eye(len(norm.C)))
        )
        least = float(np.sum(np.linalg.svd(root, compute_uv=False)[RANK:] ** 2))
        assert after < before
        assert after == pytest.approx(least, rel=1e-3, abs=1e-5 * before)
    compress.verify(tmp_path / "out")


def test_a_model_with_its_adapter_is_nearer_to_the_original(plans: dict[str, compress.Plan], tmp_path: Path) -> None:
    """As peft applies it: ``W + B A`` in place of W."""
    plan = plans["bert"]
    out = plan.save(tmp_path / "out", adapter=8)
    tensors = load_file(out / "adapter" / "adapter_model.safetensors")
    original, plain, restored = (transformers.AutoModel.from_pretrained(f) for f in (plan.checkpoint.path, out, out))
    with torch.no_grad():
        for name in json.loads((out / "adapter" / "adapter_config.json").read_text())["target_modules"]:
            A, B = (tensors[f"base_model.model.{name}.{part}.weight"] for part in ("lora_A", "lora_B"))
            restored.get_submodule(name).weight += B @ A
    before = compress.embeddings(original.eval(), plan.moments.tokens)
    near, nearer = (compress.similarity(before, model.eval(), plan.moments.tokens) for model in (plain, restored))
    assert near.mean < nearer.mean < 1.0


def test_adapters_that_cannot_be(plans: dict[str, compress.Plan], text: list[str], tmp_path: Path) -> None:
    plan = plans["llama"]
    for rank in (0, 25):
        with pytest.raises(OptionError, match="must be from 1 to"):
            plan.save(tmp_path / "out", adapter=rank)
    experts = compress.plan(write(tiny_experts(), tmp_path / "experts"), remove=0.4, calib=text, plain=True)
    assert {".experts." in row.name for row in experts.table if row.form == "plain"} == {True}
    for nothing in (plan.with_budget(0.0), experts):
        with pytest.raises(OptionError, match="no layer was replaced"):
            nothing.save(tmp_path / "out", adapter=2)
    factored = compress.plan(plan.checkpoint, moments=plan.moments)
    with pytest.raises(OptionError, match="needs plain output"):
        factored.save(tmp_path / "out", adapter=2)
    assert [path.name for path in tmp_path.iterdir()] == ["experts"]
