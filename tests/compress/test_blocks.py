"""Block by block is the same as the whole model at once, and takes no more memory than a block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.compress.measure import passes  # noqa: E402
from infimum.compress.measure.outputs import embedding, token_losses  # noqa: E402
from infimum.compress.model import blockwise  # noqa: E402
from infimum.compress.model.blockwise import BlockwiseModel, find_chains  # noqa: E402
from tests.compress.conftest import sentences, tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.families import Family, inputs_of, make  # noqa: E402
from tests.compress.test_language_models import SIZES, tiny_experts, tiny_gpt2  # noqa: E402
from tests.compress.tiny_configs import tiny_config  # noqa: E402


def tiny_opt() -> transformers.PreTrainedModel:
    """A model with linear layers in front of its blocks and behind them."""
    torch.manual_seed(0)
    config = transformers.OPTConfig(
        vocab_size=64, hidden_size=24, ffn_dim=40, num_hidden_layers=2, num_attention_heads=2, word_embed_proj_dim=16
    )
    return transformers.OPTForCausalLM(config)


def tiny_gemma() -> transformers.PreTrainedModel:
    """A model whose blocks are called with different masks and rotations."""
    torch.manual_seed(0)
    layers = ["sliding_attention", "full_attention"]
    config = transformers.Gemma3TextConfig(
        **SIZES, intermediate_size=40, num_key_value_heads=2, head_dim=6, sliding_window=4, layer_types=layers
    )
    return transformers.Gemma3ForCausalLM(config)


MODELS = {
    "bert": tiny_bert,
    "llama": tiny_llama,
    "gpt2": tiny_gpt2,
    "experts": tiny_experts,
    "opt": tiny_opt,
    "gemma": tiny_gemma,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_same_moments_as_of_the_whole_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = compress.open_checkpoint(write(MODELS[name](), tmp_path / "model"))
    monkeypatch.setattr(passes, "BATCH", 64)  # several batches
    options = {"max_tokens": 32, "projections": 2 if name == "bert" else 1}
    text = sentences(30, seed=1)
    found = compress.calibrate(checkpoint, text, **options).layers
    monkeypatch.setattr(blockwise, "find_chains", lambda *_: ())
    whole = compress.calibrate(checkpoint, text, **options).layers
    assert set(found) == set(whole)
    assert len(found) >= 8
    for layer in whole:
        for part in ("inputs", "left", "right", "gradient"):
            one, other = np.asarray(getattr(found[layer], part)), np.asarray(getattr(whole[layer], part))
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5 * np.abs(other).max())


@pytest.mark.parametrize("name", MODELS)
def test_blocks_are_found_by_structure(name: str, tmp_path: Path) -> None:
    checkpoint = compress.open_checkpoint(write(MODELS[name](), tmp_path / "model"))
    model = BlockwiseModel(checkpoint)
    assert [len(chain) for chain in model.chains] == [2]
    ids = torch.arange(2, 34).reshape(2, 16)
    function = embedding if name == "bert" else token_losses
    model.try_chains(lambda: function(model.model, ids, torch.ones_like(ids)))
    assert [len(chain) for chain in model.chains] == [2]
    inside = [p for chain in model.chains for block in chain for p in model.model.get_submodule(block).parameters()]
    assert {p.device.type for p in inside} == {"meta"}
    with model.loaded(model.chains[0][1]) as block:
        assert {p.device.type for p in block.parameters()} == {"cpu"}
    assert {p.device.type for p in block.parameters()} == {"meta"}


TWO = {  # whose blocks are in two chains, with what stays the same of their shapes
    "t5": "T5ForConditionalGeneration",  # blocks hand a bias on
    "bart": "BartForConditionalGeneration",
    "whisper": "WhisperForConditionalGeneration",
    "clip": "CLIPModel",
    "openai-gpt": "OpenAIGPTLMHeadModel",  # blocks return lists: all are in memory
    "gemma3": "Gemma3ForConditionalGeneration",  # with text alone: the blocks that see images are not called
}
CHAINS = {"t5": [2, 2], "bart": [2, 2], "whisper": [2, 2], "clip": [2, 2], "gemma3": [2], "openai-gpt": []}


@pytest.mark.parametrize("name", [*TWO, "t5 encoder"])
def test_the_same_moments_on_both_sides(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "t5 encoder":
        torch.manual_seed(0)
        model = transformers.T5EncoderModel(tiny_config("t5"))
    else:
        model = make(Family(name, TWO[name]))
    checkpoint = compress.open_checkpoint(write(model, tmp_path / "model"))
    given = inputs_of(model)
    monkeypatch.setattr(passes, "BATCH", 64 if isinstance(given, np.ndarray) else 512)  # several batches
    options = {} if isinstance(given, list) else {"max_tokens": 32}
    chains: list[list[int]] = []
    tried = BlockwiseModel.try_chains

    def seen(self: BlockwiseModel, run: blockwise.Run) -> None:
        tried(self, run)
        chains.append([len(chain) for chain in self.chains])

    monkeypatch.setattr(BlockwiseModel, "try_chains", seen)
    found = compress.calibrate(checkpoint, given, **options).layers
    monkeypatch.setattr(blockwise, "find_chains", lambda *_: ())
    whole = compress.calibrate(checkpoint, given, **options).layers
    assert chains == [CHAINS.get(name, [2]), []]
    assert set(found) == set(whole)
    for layer in whole:
        for part in ("inputs", "left", "right", "gradient"):
            one, other = np.asarray(getattr(found[layer], part)), np.asarray(getattr(whole[layer], part))
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max(), err_msg=layer)


class Skipping(torch.nn.Module):
    """Blocks of which one sees what another left behind."""

    def __init__(self, model: torch.nn.Module, how: str) -> None:
        super().__init__()
        self.model, self.how = model, how

    def forward(self, x: torch.Tensor, **options: object) -> torch.Tensor:
        first, second = self.model.layers
        y = first(x, **options)
        if self.how == "sum":
            return second(x + y, **options)
        if self.how == "twice":
            return first(second(y, **options), **options)
        if self.how == "backwards":
            return first(second(x, **options), **options)
        return second(y, **options | {"position_ids": y.argmax(dim=-1)})


@pytest.mark.parametrize("how", ["sum", "twice", "backwards", "option"])
def test_models_that_are_no_chain_run_whole(how: str, llama: Path) -> None:
    model = BlockwiseModel(compress.open_checkpoint(llama))
    skipping = Skipping(model.model.model, how)
    model.try_chains(lambda: skipping(torch.randn(1, 4, 24), position_embeddings=(torch.ones(1, 4, 6),) * 2))
    assert model.chains == ()
    assert {p.device.type for p in model.model.parameters()} == {"cpu"}


def test_no_list_of_blocks() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ModuleList([torch.nn.Linear(2, 2)]))
    assert find_chains(model, ["0", "1.0"]) == ()
    assert find_chains(model, ["1.0"]) == (("1.0",),)
