"""Plans that remove channels: what is claimed, against the models that come out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.compress.menu.forms import NarrowForm  # noqa: E402
from infimum.errors import CheckpointError, VerificationError  # noqa: E402
from tests.compress.conftest import LOWER  # noqa: E402
from tests.compress.test_plan import change, forge  # noqa: E402


@pytest.fixture(scope="module")
def moments(bert: Path, text: list[str]) -> compress.Moments:
    return compress.calibrate(bert, text)


@pytest.fixture
def out(bert: Path, moments: compress.Moments, tmp_path: Path) -> Path:
    return compress.plan(bert, remove=0.15, moments=moments, menu=("widths",)).save(tmp_path / "out")


def test_the_measured_error_is_that_of_the_output(llama: Path, text: list[str]) -> None:
    """The error of a narrow layer, from moments, is the mean squared change of what it puts out, run by run."""
    plan = compress.plan(llama, remove=0.2, calib=text, menu=("widths",), objective="activation")
    model, tokens = plan.checkpoint.load(), plan.moments.tokens
    for row in (row for row in plan.table if row.kept[1] < row.shape[1]):
        seen: list[torch.Tensor] = []
        module: Any = model.get_submodule(row.name)
        handle = module.register_forward_hook(lambda _m, args, _out, seen=seen: seen.append(args[0].detach()))
        with torch.no_grad():
            model(input_ids=torch.from_numpy(tokens.ids), attention_mask=torch.from_numpy(tokens.mask))
        handle.remove()
        inputs = seen[0][torch.from_numpy(tokens.mask).bool()].double()
        kept, form = np.sort(plan.orders[row.name][: row.kept[1]]), plan.forms[row.name]
        assert isinstance(form, NarrowForm)
        lost = inputs @ module.weight.detach().double().T - inputs[:, kept] @ form.weight.double().T
        scale = plan.moments.layers[row.name].gradient
        assert row.error == pytest.approx(scale * float((lost**2).sum(dim=1).mean()), rel=1e-4)
        assert row.lower_bound == pytest.approx(row.error, rel=1e-4)


def test_producers_keep_their_rows(llama: Path, text: list[str]) -> None:
    plan = compress.plan(llama, remove=0.2, calib=text, menu=("widths",))
    before = plan.checkpoint.load().model.layers[0].mlp
    after = plan.apply(plan.checkpoint.load()).model.layers[0].mlp
    kept = np.sort(plan.orders["model.layers.0.mlp.down_proj"][: after.down_proj.weight.shape[1]])
    assert 10 <= len(kept) < 40
    torch.testing.assert_close(after.gate_proj.weight, before.gate_proj.weight[kept], rtol=0, atol=0)
    torch.testing.assert_close(after.up_proj.weight, before.up_proj.weight[kept], rtol=0, atol=0)


def test_no_form_beats_the_bound_of_the_mixture(bert: Path, moments: compress.Moments) -> None:
    options = itertools.product(("mixed", "pivot", "channels"), ("global", "uniform"))
    plans = {
        (form, rule): compress.plan(bert, remove=0.15, moments=moments, **LOWER[form], allocation=rule)
        for form, rule in options
    }
    bounds = {form: plans[form, "global"].certificate.lower_bound for form in ("mixed", "pivot", "channels")}
    assert bounds["mixed"] <= min(bounds["pivot"], bounds["channels"])
    assert all(bounds[form] <= plan.certificate.value for (form, _), plan in plans.items())
    assert all(bounds["mixed"] <= plan.certificate.value for plan in plans.values())
    values = {form: plans[form, "global"].certificate.value for form in bounds}
    assert values["mixed"] <= 1.001 * min(values["pivot"], values["channels"])


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_equally_narrow_models_load_in_stock_transformers(
    name: str, request: pytest.FixtureRequest, text: list[str], tmp_path: Path
) -> None:
    folder = request.getfixturevalue(name)
    plan = compress.plan(folder, remove=0.2, calib=text, menu=("widths",), allocation="uniform")
    out = plan.save(tmp_path / "out")
    config = json.loads((out / "config.json").read_text())
    assert config["intermediate_size"] == next(row.kept[1] for row in plan.table if row.kept[1] != row.shape[1]) < 40
    assert not {"auto_map", "infimum_layers"} & set(config)
    kind = transformers.AutoModelForCausalLM if name == "llama" else transformers.AutoModel
    models = (kind.from_pretrained(out).eval(), compress.load(out), plan.apply(plan.checkpoint.load()))
    ids = torch.arange(2, 26).reshape(2, 12)
    with torch.no_grad():
        stock, loaded, in_memory = (model(input_ids=ids)[0] for model in models)
    torch.testing.assert_close(stock, loaded, rtol=0, atol=0)
    torch.testing.assert_close(stock, in_memory, rtol=0, atol=0)
    compress.verify(out)


def test_unequally_narrow_models_need_our_loader(llama: Path, text: list[str], tmp_path: Path) -> None:
    plan = compress.plan(llama, remove=0.2, calib=text, menu=("widths",))
    assert len({row.kept[1] for row in plan.table if row.kept[1] != row.shape[1]}) == 2
    out = plan.save(tmp_path / "out")
    assert json.loads((out / "config.json").read_text())["intermediate_size"] == 40
    with pytest.raises(RuntimeError, match="mismatched"):
        transformers.AutoModelForCausalLM.from_pretrained(out)


# --- verification refuses what was changed -------------------------------------------------------------------------


def test_another_order_of_channels_is_refused(out: Path) -> None:
    orders = load_file(out / "channels.safetensors")
    for order in orders.values():
        order[[0, -1]] = order[[-1, 0]]
    save_file(orders, out / "channels.safetensors")
    with pytest.raises(VerificationError, match=r"channels\.safetensors was changed"):
        compress.verify(out)
    forge(out)
    with pytest.raises(VerificationError, match="claimed"):
        compress.verify(out)


def test_an_order_with_a_channel_twice_is_refused(out: Path) -> None:
    orders = load_file(out / "channels.safetensors")
    for order in orders.values():
        order[0] = order[1]
    save_file(orders, out / "channels.safetensors")
    forge(out)
    with pytest.raises(VerificationError, match="must be different indices"):
        compress.verify(out)


def test_a_missing_order_is_refused(out: Path) -> None:
    (out / "channels.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"channels\.safetensors. is missing"):
        compress.verify(out)


def narrow(description: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in description["layers"] if row["kept"][1] < row["shape"][1])


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "wider": lambda d: narrow(d).update(kept=narrow(d)["shape"]),
    "other width": lambda d: narrow(d).update(kept=[24, 39]),
    "rank": lambda d: narrow(d).update(rank=3),
    "form": lambda d: narrow(d).update(form="pivot"),
    "dense": lambda d: narrow(d).update(form="dense"),
    "error": lambda d: narrow(d).update(error=narrow(d)["error"] * 0.99),
    "bound": lambda d: narrow(d).update(lower_bound=narrow(d)["lower_bound"] * 1.01),
    "settings": lambda d: d["settings"].update(menu=["ranks"]),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_claim_is_refused(out: Path, name: str) -> None:
    forge(out, FORGERIES[name])
    with pytest.raises((VerificationError, CheckpointError)):
        compress.verify(out)


@pytest.mark.parametrize("suffix", ["intermediate.dense.bias", "intermediate.dense.weight", "output.dense.bias"])
def test_a_changed_number_with_a_forged_hash_is_refused(out: Path, suffix: str) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors[next(name for name in tensors if name.endswith(suffix))].view(-1)[0] += 0.5

    change(out, spoil)
    forge(out)
    with pytest.raises(VerificationError):
        compress.verify(out)


def test_a_plain_output_with_a_removed_channel_restored_is_refused(
    bert: Path, moments: compress.Moments, tmp_path: Path
) -> None:
    plan = compress.plan(bert, remove=0.15, moments=moments, menu=("widths",), plain=True)
    out = plan.save(tmp_path / "out")
    compress.verify(out)

    def restore(tensors: dict[str, torch.Tensor]) -> None:
        weight = tensors["encoder.layer.0.output.dense.weight"]
        weight[:, (weight == 0).all(dim=0)] = 1e-3

    change(out, restore)
    forge(out)
    with pytest.raises(VerificationError, match="zeros for what was removed"):
        compress.verify(out)
