"""Checkpoints whose files call tensors otherwise than the model does, or lack some: read, written, verified, loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.compress.model.experts import unfuse  # noqa: E402
from infimum.compress.model.linear_maps import shape_of  # noqa: E402
from infimum.errors import VerificationError  # noqa: E402
from infimum.proof.folder import file_hash  # noqa: E402
from tests.compress.conftest import saved_again_is_the_same, tiny_bert, write  # noqa: E402

COMMON = {"vocab_size": 64, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES = COMMON | {"intermediate_size": 40, "max_position_embeddings": 64}


def neox() -> Any:
    return transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**SIZES, bos_token_id=0, eos_token_id=0))


def falcon() -> Any:
    options = {"bos_token_id": 0, "eos_token_id": 0, "ffn_hidden_size": 40, "new_decoder_architecture": False}
    return transformers.FalconForCausalLM(transformers.FalconConfig(**COMMON, **options))


def mixtral() -> Any:
    options = {"num_key_value_heads": 2, "num_local_experts": 3, "num_experts_per_tok": 2}
    return transformers.MixtralForCausalLM(transformers.MixtralConfig(**SIZES, **options))


def gpt_oss() -> Any:
    options = {"num_key_value_heads": 2, "num_local_experts": 3, "num_experts_per_tok": 2, "head_dim": 12}
    return transformers.GptOssForCausalLM(transformers.GptOssConfig(**SIZES, **options))


def dbrx() -> Any:
    parts = {
        "ffn_config": {"ffn_hidden_size": 40, "moe_num_experts": 3, "moe_top_k": 2, "ffn_act_fn": {"name": "silu"}}
    }
    parts |= {"attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 1e4}}
    sizes = {"vocab_size": 64, "d_model": 24, "n_layers": 2, "n_heads": 2, "max_seq_len": 64}
    return transformers.DbrxForCausalLM(transformers.DbrxConfig(**sizes, **parts))


def llama4() -> Any:
    options = {"intermediate_size_mlp": 40, "num_key_value_heads": 2, "num_local_experts": 3, "head_dim": 12}
    options |= {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1, "interleave_moe_layer_step": 1}
    return transformers.Llama4ForCausalLM(transformers.Llama4TextConfig(**SIZES, **options))


def jetmoe() -> Any:
    options = {"num_key_value_heads": 1, "kv_channels": 12, "num_local_experts": 3, "num_experts_per_tok": 2}
    return transformers.JetMoeForCausalLM(transformers.JetMoeConfig(**SIZES, **options))


def nomic() -> Any:
    return transformers.NomicBertForMaskedLM(transformers.NomicBertConfig(**SIZES, pad_token_id=0))


def hybrid() -> Any:
    config = transformers.AutoConfig.for_model("bailing_hybrid", **SIZES, pad_token_id=0, eos_token_id=1)
    config.head_dim = config.linear_head_dim = 12
    config.use_cache = False
    return transformers.AutoModelForCausalLM.from_config(config)


def camembert() -> Any:
    sizes = SIZES | {"max_position_embeddings": 80}
    options = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    return transformers.CamembertForMaskedLM(transformers.CamembertConfig(**sizes, **options))


MODELS = {"neox": neox, "falcon": falcon, "mixtral": mixtral, "camembert": camembert}
MODELS |= {"gpt_oss": gpt_oss, "dbrx": dbrx, "nomic": nomic, "hybrid": hybrid}
MODELS |= {"llama4": llama4, "jetmoe": jetmoe}
OWN = {  # a tensor of the files, as the model does not call it
    "neox": "embed_out.weight",
    "mixtral": "model.layers.0.block_sparse_moe.experts.2.w3.weight",
    "gpt_oss": "model.layers.0.mlp.experts.gate_up_proj_bias",
    "dbrx": "transformer.blocks.1.ffn.experts.mlp.v1",
    "nomic": "nomic_bert.encoder.layers.0.attn.Wqkv.weight",
    "hybrid": "model.layers.0.attention.q_conv1d.weight",
}


FAST = ("neox", "mixtral", "gpt_oss", "nomic", "llama4")
KINDS = [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in MODELS if name not in FAST)]


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return write(MODELS[request.param](), tmp_path_factory.mktemp("models") / request.param)


def outputs(model: Any, tokens: compress.Tokens) -> torch.Tensor:
    ((ids, mask), *_) = tokens.batches(8)
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits
    return found


def test_from_the_files_and_back(folder: Path, text: list[str], tmp_path: Path, code_cache: None) -> None:
    checkpoint = compress.open_checkpoint(folder)
    tensor = OWN.get(folder.name)
    assert tensor is None or tensor in checkpoint.files
    moments = compress.calibrate(checkpoint, text, max_tokens=64, split=True)
    plan = compress.plan(checkpoint, remove=0.3, menu=("ranks", "widths"), moments=moments)
    assert any(row.form != "dense" for row in plan.table)
    out = plan.save(tmp_path / "out")
    wanted = outputs(plan.apply(checkpoint.load()), plan.moments.tokens)
    torch.testing.assert_close(outputs(compress.load(out), plan.moments.tokens), wanted)
    compress.verify(out)
    saved_again_is_the_same(out, tmp_path / "again")
    loader = getattr(transformers, checkpoint.head.loader)
    stock = loader.from_pretrained(out, trust_remote_code=True).eval()
    torch.testing.assert_close(outputs(stock, plan.moments.tokens), wanted)
    plain = compress.plan(checkpoint, remove=0.3, menu=("ranks",), plain=True, moments=moments)
    stock, told = loader.from_pretrained(plain.save(tmp_path / "plain"), output_loading_info=True)
    assert not any(told.values())
    wanted = outputs(plain.apply(checkpoint.load()), plan.moments.tokens)
    torch.testing.assert_close(outputs(stock.eval(), plan.moments.tokens), wanted)
    compress.verify(tmp_path / "plain")


def test_every_expert_is_a_layer(tmp_path: Path) -> None:
    checkpoint = compress.open_checkpoint(write(mixtral(), tmp_path / "mixtral"))
    expert = {layer.name: layer for layer in checkpoint.layers}["model.layers.1.mlp.experts.0.up_proj"]
    assert expert.tensor == "model.layers.1.block_sparse_moe.experts.0.w3.weight"
    dense = dict(checkpoint.load().named_parameters())[f"{expert.name}.weight"]
    assert torch.equal(dense, checkpoint.weight(expert))


@pytest.mark.parametrize("plain", [True, False])
def test_what_loaders_would_join_is_refused(plain: bool, text: list[str], tmp_path: Path) -> None:
    """What transformers cuts while it loads is in no output: the code beside the weights cuts nothing."""
    torch.manual_seed(0)
    folder = write(nomic(), tmp_path / "model")
    out = compress.plan(folder, remove=0.3, menu=("ranks",), calib=text, only=("*.mlp.*",), plain=plain).save(
        tmp_path / "out"
    )
    files, fused = load_file(out / "model.safetensors"), "nomic_bert.encoder.layers.0.attn.Wqkv.weight"
    original = load_file(folder / "model.safetensors")[fused]
    parts = [f"nomic_bert.layers.0.self_attn.{part}_proj.weight" for part in "qkv"]
    assert torch.equal(torch.cat([files.pop(part) for part in parts]), original)
    save_file({**files, fused: original}, out / "model.safetensors", metadata={"format": "pt"})
    described = json.loads((out / "infimum.json").read_text())
    described["files"]["model.safetensors"] = file_hash(out / "model.safetensors")
    (out / "infimum.json").write_text(json.dumps(described))
    with pytest.raises(VerificationError, match="the tensors that are taken apart"):
        compress.verify(out)


@pytest.mark.parametrize(("kind", "count"), [(gpt_oss, 18), (dbrx, 18), (llama4, 18), (jetmoe, 24)])
def test_experts_in_one_tensor(kind: Any, count: int, tmp_path: Path) -> None:
    """Each expert is a layer with the matrices that the stack holds of it, and computes what it did."""
    torch.manual_seed(0)
    folder = write(kind(), tmp_path / "model")
    checkpoint, files = compress.open_checkpoint(folder), load_file(folder / "model.safetensors")
    marks = ("experts", "put_linear")
    named = {name: t for name, t in files.items() if any(m in name for m in marks) and "router" not in name}
    stacked = {name: t for name, t in named.items() if t.dim() > 1}
    experts = [x for x in checkpoint.layers if any(m in x.name for m in marks) and "router" not in x.name]
    biases = [bias for layer in experts if (bias := checkpoint.bias(layer)) is not None]
    assert len(experts) == count
    assert sum(layer.size for layer in experts) + sum(map(len, biases)) == sum(t.numel() for t in stacked.values())
    ids = torch.arange(2, 26).reshape(2, 12)
    stock = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(checkpoint.load()(input_ids=ids).logits, stock(input_ids=ids).logits)


def test_a_stack_is_whole_where_nothing_of_ours_is_needed(text: list[str], tmp_path: Path) -> None:
    """Of an output that stock classes load, cut stacks are refused: those would be random there."""
    folder = write(gpt_oss(), tmp_path / "model")
    plan = compress.plan(folder, remove=0.3, menu=("ranks",), plain=True, calib=text)
    out = plan.save(tmp_path / "out")
    files = load_file(out / "model.safetensors")
    assert {name: t.shape for name, t in files.items()} == {
        name: t.shape for name, t in load_file(folder / "model.safetensors").items()
    }
    cut = {name: tensor.contiguous() for name, tensor in plan.checkpoint.tensors.items()}
    cut |= {row.tensor: form.tensors()["weight"] for row in plan.table if (form := plan.forms.get(row.name))}
    save_file(cut, out / "model.safetensors", metadata={"format": "pt"})
    described = json.loads((out / "infimum.json").read_text())
    described["files"]["model.safetensors"] = file_hash(out / "model.safetensors")
    (out / "infimum.json").write_text(json.dumps(described))
    with pytest.raises(VerificationError, match="the stacks of experts"):
        compress.verify(out)


def test_the_names_of_2018(text: list[str], tmp_path: Path) -> None:
    folder = write(tiny_bert(), tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if "LayerNorm" in name]:
        tensors[name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")] = (
            tensors.pop(name)
        )
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    plan = compress.plan(folder, remove=0.3, menu=("ranks",), calib=text)
    out = plan.save(tmp_path / "out")
    tokens = plan.moments.tokens
    before, after = (compress.embeddings(m, tokens) for m in (plan.apply(plan.checkpoint.load()), compress.load(out)))
    torch.testing.assert_close(after, before)
    compress.verify(out)


def test_a_pooler_that_is_in_no_file(text: list[str], tmp_path: Path) -> None:
    whole = tiny_bert()
    folder = write(transformers.BertModel(whole.config, add_pooling_layer=False), tmp_path / "bert")
    plan = compress.plan(folder, remove=0.3, menu=("ranks",), calib=text)
    out = plan.save(tmp_path / "out")
    assert not any("pooler" in row.name for row in plan.table)
    assert len(compress.embeddings(compress.load(out), plan.moments.tokens)) == len(plan.moments.tokens.ids)
    compress.verify(out)


class Stacked(torch.nn.Module):
    """Called as a layer for each group of rows is, and something else."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.num_experts = torch.nn.Parameter(torch.randn(3, 4, 5)), 3

    def forward(self, x: torch.Tensor, sizes: list[int]) -> torch.Tensor:
        rows = zip(x.split(sizes), self.weight, strict=True)
        return torch.cat([torch.relu(torch.nn.functional.linear(each, matrix)) for each, matrix in rows])


def test_stacks_are_taken_apart_where_it_changes_nothing() -> None:
    model, before = torch.nn.Sequential(Stacked()), torch.get_rng_state()
    assert type(unfuse(model)[0]) is Stacked
    assert torch.equal(torch.get_rng_state(), before)


class Doubled(torch.nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2.0 * super().forward(x)


class Picky(torch.nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.view(-1, 17))


class Renamed(torch.nn.Linear):
    pass


class Biased(torch.nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + (1.0 if self.bias is None else self.bias)


class Clipped(torch.nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).clamp(-0.5, 0.5)


class Scaled(torch.nn.Linear):
    def __init__(self, *sizes: int, **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.register_buffer("scale", torch.tensor(3.0, device="cpu"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.scale


def test_linear_layers_by_what_they_compute() -> None:
    kinds = {Renamed: (5, 17), Doubled: None, Picky: None, torch.nn.Linear: (5, 17)}
    kinds |= dict.fromkeys((Biased, Clipped, Scaled))
    for kind, shape in kinds.items():
        for bias in (True, False):
            assert shape_of(kind(17, 5, bias=bias, device="meta")) == shape
    assert shape_of(torch.nn.Bilinear(3, 3, 3)) is None
