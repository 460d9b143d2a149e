"""Language models of every structure: Llama (grouped queries, gated MLP), GPT-2 (Conv1D, fused qkv), experts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.compress.menu.task import UNREACHED  # noqa: E402
from infimum.compress.model.experts import unfuse  # noqa: E402
from infimum.errors import CalibrationError, CheckpointError, OptionError  # noqa: E402
from tests.compress.conftest import LOWER, sentences, tiny_llama, write  # noqa: E402

SIZES = {"vocab_size": 64, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}


def tiny_gpt2() -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=64, n_embd=24, n_layer=2, n_head=2, n_positions=64)
    return transformers.GPT2LMHeadModel(config)


def tiny_experts(experts: int = 4) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    return transformers.Qwen3MoeForCausalLM(
        transformers.Qwen3MoeConfig(
            **SIZES,
            intermediate_size=40,
            moe_intermediate_size=20,
            num_experts=experts,
            num_experts_per_tok=2,
            num_key_value_heads=2,
            head_dim=6,
            max_position_embeddings=64,
        )
    )


MODELS: dict[str, tuple[Callable[[], transformers.PreTrainedModel], int]] = {
    "llama": (tiny_llama, 2 * 7),
    "gpt2": (tiny_gpt2, 2 * 4),
    "experts": (tiny_experts, 2 * (4 + 4 * 3)),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("language")
    return {name: write(make(), root / name) for name, (make, _) in MODELS.items()}


@pytest.fixture(scope="module")
def long_text() -> list[str]:
    return sentences(60, seed=1)


@pytest.fixture(scope="module")
def moments(folders: dict[str, Path], long_text: list[str]) -> dict[str, compress.Moments]:
    """Return what `plan` would measure: it judges by the half of the text that did not make."""
    return {name: compress.calibrate(folder, long_text, split=True) for name, folder in folders.items()}


@pytest.mark.parametrize("form", ["mixed", "pivot", "channels"])
@pytest.mark.parametrize("name", MODELS)
def test_compressed_saved_loaded_and_verified(
    name: str, form: str, folders: dict[str, Path], moments: dict[str, compress.Moments], tmp_path: Path
) -> None:
    plan = compress.plan(folders[name], remove=0.3, moments=moments[name], **LOWER[form])
    assert any(row.kept != row.shape for row in plan.table) == (form != "pivot")
    assert plan.moments.goal == "loss"
    assert len(plan.table) == MODELS[name][1]
    assert plan.removed >= round(0.3 * plan.linear_size)
    assert 0.0 < plan.certificate.lower_bound <= plan.certificate.value
    assert all(0.0 <= row.lower_bound <= row.error for row in plan.table)
    out = plan.save(tmp_path / "out")
    loaded, in_memory = compress.load(out), plan.apply(plan.checkpoint.load())
    ids = torch.arange(2, 26).reshape(2, 12)
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, in_memory(ids).logits, rtol=1e-5, atol=1e-5)
    again = compress.verify(out)
    assert again.value == pytest.approx(plan.certificate.value, rel=3e-4)
    assert again.lower_bound == pytest.approx(plan.certificate.lower_bound, rel=3e-4)


def test_nothing_removed_is_the_same_model(folders: dict[str, Path], moments: dict[str, compress.Moments]) -> None:
    for name, folder in folders.items():
        plan = compress.plan(folder, remove=0.0, moments=moments[name], menu=("ranks", "widths"))
        assert plan.certificate.value == 0.0
        assert {row.form for row in plan.table} == {"dense"}


def test_moments_are_those_of_the_loss(folders: dict[str, Path], long_text: list[str]) -> None:
    """Against autograd: inputs and output gradients of one layer, kept for every token."""
    moments = compress.calibrate(folders["gpt2"], long_text, max_tokens=32)
    model = compress.open_checkpoint(folders["gpt2"]).load()
    name = "transformer.h.1.mlp.c_fc"
    kept: list[torch.Tensor] = []

    def keep(_module: object, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        output.retain_grad()
        kept.extend((args[0].detach(), output))

    model.get_submodule(name).register_forward_hook(keep)
    inputs, left, count = np.zeros((24, 24)), np.zeros((96, 96)), 0
    for row in moments.tokens.ids:
        kept.clear()
        ids = torch.from_numpy(row)[None]
        logits = model(ids).logits
        torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="sum").backward()
        x, g = kept[0][0].double().numpy(), kept[1].grad[0].double().numpy()
        inputs, left, count = inputs + x.T @ x, left + g.T @ g, count + len(row)
    found = moments.layers[name]
    np.testing.assert_allclose(found.inputs, inputs / count, rtol=1e-4, atol=1e-5 * inputs.max() / count)
    np.testing.assert_allclose(found.left, left / count / 2, rtol=1e-3, atol=1e-5 * left.max() / count)
    assert found.right is found.inputs


def test_the_certified_error_models_the_increase_of_the_loss(tmp_path: Path) -> None:
    """On a model whose own samples are the text, the Fisher information is the curvature of the loss."""
    folder = write(tiny_llama(), tmp_path / "model")
    model = compress.open_checkpoint(folder).load()
    torch.manual_seed(0)
    ids = torch.full((200, 1), 2)
    with torch.no_grad():
        for _ in range(31):
            ids = torch.cat([ids, torch.multinomial(model(ids).logits[:, -1].softmax(-1), 1)], dim=1)
    plan = compress.plan(folder, remove=0.05, calib=ids.numpy(), menu=("ranks", "widths"))
    before, after = (
        compress.perplexity(m, plan.moments.tokens).loss for m in (model, plan.apply(plan.checkpoint.load()))
    )
    assert 0.2 < (after - before) / plan.certificate.value < 5.0


def test_layers_with_the_same_inputs_share_their_moment(folders: dict[str, Path], long_text: list[str]) -> None:
    layers = compress.calibrate(folders["llama"], long_text).layers
    block = "model.layers.1."
    q, k, v, o = (layers[f"{block}self_attn.{kind}_proj"].inputs for kind in "qkvo")
    assert q is k is v is not o
    assert layers[f"{block}mlp.gate_proj"].inputs is layers[f"{block}mlp.up_proj"].inputs


# --- structures ----------------------------------------------------------------------------------------------------


def test_transposed_weights_are_read_as_the_layer_applies_them(folders: dict[str, Path]) -> None:
    checkpoint = compress.open_checkpoint(folders["gpt2"])
    layer = next(layer for layer in checkpoint.layers if layer.name.endswith("h.0.attn.c_attn"))
    assert layer.shape == (72, 24)  # queries, keys and values in one
    module, x = checkpoint.load().get_submodule(layer.name), torch.randn(3, 24)
    torch.testing.assert_close(module(x), x @ checkpoint.weight(layer).T + module.bias)


def test_names_without_the_prefix_of_the_model(
    folders: dict[str, Path], moments: dict[str, compress.Moments], long_text: list[str], tmp_path: Path
) -> None:
    """As in the first checkpoints of GPT-2: ``h.0...`` for what the model calls ``transformer.h.0...``."""
    folder = write(tiny_gpt2(), tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    save_file(bare, folder / "model.safetensors", metadata={"format": "pt"})
    plan = compress.plan(folder, remove=0.2, calib=long_text, menu=("ranks", "widths"))
    assert plan.table[0].tensor == "h.0.attn.c_attn.weight"
    reference = compress.plan(folders["gpt2"], remove=0.2, moments=moments["gpt2"], menu=("ranks", "widths"))
    assert plan.certificate.value == pytest.approx(reference.certificate.value, rel=1e-6)
    out = plan.save(tmp_path / "out")
    compress.verify(out)
    ids = torch.arange(2, 26).reshape(2, 12)
    with torch.no_grad():
        torch.testing.assert_close(compress.load(out)(ids).logits, plan.apply(plan.checkpoint.load())(ids).logits)


def test_experts_one_by_one_are_the_fused_ones() -> None:
    for experts in (1, 4):
        model = tiny_experts(max(experts, 2)).eval()
        x = torch.randint(2, 60, (3, 17))
        with torch.no_grad():
            before = model(x).logits
            torch.testing.assert_close(unfuse(model)(x).logits, before, rtol=1e-5, atol=1e-5)


def test_experts_that_few_tokens_reach_stay_dense(tmp_path: Path, long_text: list[str]) -> None:
    model = tiny_experts()
    with torch.no_grad():  # the router never chooses expert 3 of the first block
        model.model.layers[0].mlp.gate.weight[3] = 0.0
        model.model.layers[0].mlp.gate.weight[:3] = torch.tensor([[50.0], [40.0], [30.0]])
        model.model.embed_tokens.weight.abs_()
        model.model.layers[0].self_attn.o_proj.weight.zero_()
    folder = write(model, tmp_path / "model")
    plan = compress.plan(folder, remove=0.2, calib=long_text, menu=("ranks", "widths"))
    rows = {row.name: row for row in plan.table}
    for part in ("gate_proj", "up_proj", "down_proj"):
        unseen = rows[f"model.layers.0.mlp.experts.3.{part}"]
        assert (unseen.form, unseen.note) == ("dense", UNREACHED)
        assert rows[f"model.layers.0.mlp.experts.0.{part}"].note == ""
    compress.verify(plan.save(tmp_path / "out"))


def test_adapters_are_refused(tmp_path: Path) -> None:
    folder = write(tiny_llama(), tmp_path / "model")
    path = folder / "model.safetensors"
    adapter = {"model.layers.0.self_attn.q_proj.lora_A.weight": torch.zeros(2, 24)}
    save_file(load_file(path) | adapter, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="merge_and_unload"):
        compress.open_checkpoint(folder)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds a LoRA adapter"):
        compress.open_checkpoint(folder)


def test_a_text_of_few_directions(folders: dict[str, Path], tmp_path: Path) -> None:
    """Moments of low rank: no inverse and no Cholesky factor of them takes part, so the plan is as valid as any."""
    ids = np.tile([5, 9, 5, 7], 100).reshape(25, 16)
    plan = compress.plan(folders["llama"], remove=0.4, calib=ids, menu=("ranks", "widths"))
    moment = plan.moments.layers["model.layers.0.self_attn.q_proj"].inputs
    rounding = 400 * np.finfo(np.float32).eps / 2  # of a sum over 400 tokens in single precision
    assert np.linalg.matrix_rank(moment, tol=rounding * np.trace(moment)) == 3
    assert 0.0 <= plan.certificate.lower_bound <= plan.certificate.value < 1e-3
    tokens = plan.moments.tokens
    before, after = (compress.perplexity(m, tokens).loss for m in (_load(plan), plan.apply(_load(plan))))
    assert after == pytest.approx(before, abs=0.05)  # on the text itself nothing is lost
    compress.verify(plan.save(tmp_path / "out"))


def _load(plan: compress.Plan) -> transformers.PreTrainedModel:
    return plan.checkpoint.load()


def test_dead_channels(long_text: list[str], tmp_path: Path) -> None:
    model = tiny_llama()
    with torch.no_grad():
        for block in model.model.layers:
            block.mlp.up_proj.weight[::2] = 0.0  # half of the channels are never active
            block.self_attn.v_proj.weight[:] = 0.0  # and attention adds nothing
    plan = compress.plan(write(model, tmp_path / "model"), remove=0.3, calib=long_text, menu=("ranks", "widths"))
    assert 0.0 <= plan.certificate.lower_bound <= plan.certificate.value
    for tensor in (part for form in plan.forms.values() for part in form.tensors().values()):
        assert bool(torch.isfinite(tensor).all())
    compress.verify(plan.save(tmp_path / "out"))


def test_packed_weights_are_refused(tmp_path: Path) -> None:
    folder = write(tiny_llama(), tmp_path / "model")
    path, name = folder / "model.safetensors", "model.layers.0.mlp.up_proj.weight"
    tensors = load_file(path)
    packed = {name + "_packed": torch.zeros(40, 3, dtype=torch.int32), name + "_scale": torch.ones(40, 1)}
    del tensors[name]
    save_file(tensors | packed, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="dequantise it"):
        compress.open_checkpoint(folder)


# --- texts ---------------------------------------------------------------------------------------------------------


def test_passages_are_full_and_hold_every_token(folders: dict[str, Path], long_text: list[str]) -> None:
    tokens = compress.tokens_for(folders["llama"], long_text, max_tokens=32)
    words = sum(len(line.split()) for line in long_text)
    assert tokens.ids.shape == (words // 32, 32)
    assert tokens.count == tokens.ids.size


def test_the_size_of_the_calibration(folders: dict[str, Path], long_text: list[str]) -> None:
    sizes = []
    for seed in (0, 0, 1):
        moments = compress.calibrate(folders["llama"], long_text, tokens=300, max_tokens=32, seed=seed)
        assert moments.tokens.count == 320
        sizes.append(moments.tokens.sha256)
    assert sizes[0] == sizes[1] != sizes[2]
    with pytest.raises(OptionError, match="tokens must be at least 256, got 100"):
        compress.calibrate(folders["llama"], long_text, tokens=100)


def test_token_ids(folders: dict[str, Path], tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(2, 62, 700)
    np.save(tmp_path / "ids.npy", ids.astype(np.uint16))
    for given in (ids, tmp_path / "ids.npy", str(tmp_path / "ids.npy"), ids[:672].reshape(21, 32)):
        tokens = compress.tokens_for(folders["llama"], given, max_tokens=32)
        assert np.array_equal(tokens.ids, ids[:672].reshape(21, 32))
    with pytest.raises(CalibrationError, match="must be below 64"):
        compress.calibrate(folders["llama"], ids + 10)
    for bad in (ids.astype(float), -ids, ids.reshape(7, 10, 10)):
        with pytest.raises(CalibrationError, match="whole numbers"):
            compress.tokens_for(folders["llama"], bad)
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(CalibrationError, match="not an array of token ids"):
        compress.tokens_for(folders["llama"], tmp_path / "objects.npy")


# --- evaluation ----------------------------------------------------------------------------------------------------


def test_perplexity_is_that_of_the_model_itself(folders: dict[str, Path], long_text: list[str]) -> None:
    model = compress.load_any(folders["llama"])
    tokens = compress.tokens_for(folders["llama"], long_text, max_tokens=32)
    measured = compress.perplexity(model, tokens)
    ids = torch.from_numpy(tokens.ids)
    with torch.no_grad():
        loss = float(model(ids, labels=ids).loss)
    assert measured.loss == pytest.approx(loss, rel=1e-5)
    assert measured.perplexity == pytest.approx(math.exp(loss), rel=1e-4)
    assert (measured.predicted, measured.tokens) == (ids.numel() - len(ids), ids.numel())


def test_padding_is_not_predicted(folders: dict[str, Path], long_text: list[str]) -> None:
    model = compress.load_any(folders["llama"])
    whole = compress.tokens_for(folders["llama"], long_text, max_tokens=32)
    wider = compress.Tokens(np.pad(whole.ids, ((0, 0), (0, 8))), np.pad(whole.mask, ((0, 0), (0, 8))), "padded")
    assert compress.perplexity(model, wider).loss == pytest.approx(compress.perplexity(model, whole).loss, rel=1e-5)


def test_rows_of_one_token_have_no_perplexity(folders: dict[str, Path]) -> None:
    tokens = compress.Tokens(np.full((300, 1), 3), np.ones((300, 1), dtype=np.int64), "ones")
    with pytest.raises(CalibrationError, match="at least two tokens"):
        compress.perplexity(compress.load_any(folders["llama"]), tokens)


def test_what_is_written_says_what_was_measured(folders: dict[str, Path], long_text: list[str], tmp_path: Path) -> None:
    plan = compress.plan(folders["llama"], remove=0.2, calib=long_text, tokens=400, menu=("ranks", "widths"))
    description = json.loads((plan.save(tmp_path / "out") / "infimum.json").read_text())
    assert description["calibration"]["goal"] == "loss"
    assert description["settings"]["damping"].keys() == {row.name for row in plan.table if not row.note}
    assert description["calibration"]["tokens"] == plan.moments.tokens.count
