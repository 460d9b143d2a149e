"""Model folders that are incomplete, damaged or of another kind: a clear error each, before any long work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.errors import CheckpointError  # noqa: E402
from tests.compress.conftest import tiny_bert, write  # noqa: E402

Damaged = Callable[[], Path]


def edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def configure(folder: Path, **options: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | options))
    return folder


def test_what_is_compressed(bert: Path, llama: Path) -> None:
    checkpoint = compress.open_checkpoint(bert)
    assert len(checkpoint.layers) == 2 * 6 + 1
    assert checkpoint.layers[0].tensor == "encoder.layer.0.attention.self.query.weight"
    assert {layer.shape for layer in checkpoint.layers} == {(24, 24), (40, 24), (24, 40)}
    assert checkpoint.notes == ()
    names = [layer.name for layer in compress.open_checkpoint(llama).layers]
    assert len(names) == 2 * 7
    assert "lm_head" not in names


def test_a_prefix_in_the_files(bert: Path, damaged: Damaged) -> None:
    def rename(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            tensors[f"bert.{name}"] = tensors.pop(name)

    checkpoint = compress.open_checkpoint(edit(damaged(), rename))
    assert checkpoint.layers[0].tensor == "bert.encoder.layer.0.attention.self.query.weight"
    assert checkpoint.layers[0].name == compress.open_checkpoint(bert).layers[0].name


def test_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="model folder was expected"):
        compress.open_checkpoint(tmp_path / "nowhere")


def test_no_config(damaged: Damaged) -> None:
    folder = damaged()
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        compress.open_checkpoint(folder)


def test_broken_config(damaged: Damaged) -> None:
    folder = damaged()
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        compress.open_checkpoint(folder)


def test_unknown_model(damaged: Damaged) -> None:
    with pytest.raises(CheckpointError, match="does not know the model"):
        compress.open_checkpoint(configure(damaged(), model_type="unheard-of"))


def test_no_weights(damaged: Damaged) -> None:
    folder = damaged()
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="weights are missing"):
        compress.open_checkpoint(folder)


@pytest.mark.parametrize(("name", "recipe"), [("pytorch_model.bin", "save_pretrained"), ("model.gguf", "gguf_file")])
def test_other_formats(damaged: Damaged, name: str, recipe: str) -> None:
    folder = damaged()
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(CheckpointError, match=recipe):
        compress.open_checkpoint(folder)


def test_truncated_file(damaged: Damaged) -> None:
    folder = damaged()
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="damaged or incomplete"):
        compress.open_checkpoint(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("tensor", ["encoder.layer.1.output.dense.weight", "embeddings.LayerNorm.bias"])
def test_weights_that_are_not_finite(damaged: Damaged, text: list[str], value: float, tensor: str) -> None:
    folder = edit(damaged(), lambda tensors: tensors[tensor].view(-1).__setitem__(3, value))
    with pytest.raises(CheckpointError, match=f"{tensor} contains NaN or infinity"):
        compress.plan(folder, calib=text, menu=("ranks",))


def test_an_absent_tensor(damaged: Damaged) -> None:
    folder = edit(damaged(), lambda tensors: tensors.pop("encoder.layer.0.output.dense.weight"))
    with pytest.raises(CheckpointError, match=r"encoder\.layer\.0\.output\.dense\.weight of the model is in no file"):
        compress.open_checkpoint(folder)


def test_a_configuration_of_another_size(damaged: Damaged) -> None:
    with pytest.raises(CheckpointError, match="should have shape"):
        compress.open_checkpoint(configure(damaged(), intermediate_size=48))


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_quantised_tensors(damaged: Damaged, dtype: torch.dtype) -> None:
    name = "encoder.layer.0.output.dense.weight"
    folder = edit(damaged(), lambda tensors: tensors.update({name: tensors[name].to(dtype)}))
    with pytest.raises(CheckpointError, match="dequantise it"):
        compress.open_checkpoint(folder)


def test_a_quantised_configuration(damaged: Damaged) -> None:
    with pytest.raises(CheckpointError, match=r"quantised already \(gptq\).*dequantize"):
        compress.open_checkpoint(configure(damaged(), quantization_config={"quant_method": "gptq"}))


# --- shards --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return write(tiny_bert(), tmp_path / "sharded", max_shard_size="20KB")


def test_shards_are_found(sharded: Path, bert: Path) -> None:
    assert compress.open_checkpoint(sharded).sizes == compress.open_checkpoint(bert).sizes


def test_a_missing_shard(sharded: Path) -> None:
    shard = sorted(sharded.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"shard {shard.name} is named"):
        compress.open_checkpoint(sharded)


def test_a_tensor_in_two_shards(sharded: Path) -> None:
    one, two = sorted(sharded.glob("model-*.safetensors"))[:2]
    key, tensor = next(iter(load_file(one).items()))
    save_file(load_file(two) | {key: tensor}, two)
    with pytest.raises(CheckpointError, match=f"{key} is in two shards"):
        compress.open_checkpoint(sharded)


def test_a_tensor_absent_from_its_shard(sharded: Path) -> None:
    shard = sorted(sharded.glob("model-*.safetensors"))[0]
    tensors = load_file(shard)
    key = next(iter(tensors))
    del tensors[key]
    save_file(tensors or {"other": torch.zeros(1)}, shard)
    with pytest.raises(CheckpointError, match=f"tensor {key} is in"):
        compress.open_checkpoint(sharded)


def test_a_broken_index(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is damaged"):
        compress.open_checkpoint(sharded)
