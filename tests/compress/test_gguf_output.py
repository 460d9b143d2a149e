"""Outputs in the format "gguf": planned, read by transformers and by GGUF's own reader, verified, forged."""

from __future__ import annotations

import json
import math
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
gguf = pytest.importorskip("gguf")

from infimum import compress  # noqa: E402
from infimum.compress.file_size import files_bytes  # noqa: E402
from infimum.compress.menu.budget import bytes_of  # noqa: E402
from infimum.compress.menu.forms import FORMS  # noqa: E402
from infimum.compress.menu.ggml_blocks import BLOCK_TYPES, block_alternatives, row_bytes  # noqa: E402
from infimum.compress.menu.gguf_header import places  # noqa: E402
from infimum.compress.menu.gguf_model import FILE, check_model, file_header, sources  # noqa: E402
from infimum.compress.menu.gguf_tokenizer import tokenizer_metadata  # noqa: E402
from infimum.compress.menu.task import Task  # noqa: E402
from infimum.compress.write.folder import bytes_of_output  # noqa: E402
from infimum.errors import CheckpointError, OptionError  # noqa: E402
from infimum.report.plan import bytes_on_disk, sizes  # noqa: E402
from tests.compress.gguf_models import KINDS, MERGES, tiny_model, write_bytes_tokenizer  # noqa: E402
from tests.compress.test_forgeries import in_row, put, refused, scaled, seal  # noqa: E402
from tests.compress.test_trusted import GROUND, functions_of  # noqa: E402

CASES = {"llama": torch.float32, "llama-biases": torch.bfloat16, "qwen3": torch.float16}
REMOVE = {torch.float32: 0.85, torch.float16: 0.7, torch.bfloat16: 0.7}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("gguf")
    return {name: tiny_model(name, root / name, dtype) for name, dtype in CASES.items()}


@pytest.fixture(scope="module")
def plans(models: dict[str, Path], text: list[str]) -> dict[str, compress.Plan]:
    return {
        name: compress.plan(folder, remove=REMOVE[CASES[name]], format="gguf", calib=text)
        for name, folder in models.items()
    }


@pytest.fixture(scope="module")
def outputs(plans: dict[str, compress.Plan], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("gguf-out")
    return {name: plan.save(root / name) for name, plan in plans.items()}


@pytest.fixture(scope="module")
def small(text: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an output of one block: dozens of forgeries of it are verified."""
    root = tmp_path_factory.mktemp("gguf-small")
    folder = tiny_model("llama", root / "model", blocks=1)
    return compress.plan(folder, remove=0.85, format="gguf", calib=text).save(root / "out")


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "out"))


def blocks_in(plan: compress.Plan) -> dict[str, str]:
    return {row.name: row.form for row in plan.table if row.form in BLOCK_TYPES}


@pytest.mark.parametrize("name", CASES)
def test_a_plan_keeps_its_budget_and_its_bound(name: str, plans: dict[str, compress.Plan]) -> None:
    plan, item = plans[name], CASES[name].itemsize
    kinds = blocks_in(plan)
    assert any(kind.endswith("_K") for kind in kinds.values())
    assert any(not kind.endswith("_K") for kind in kinds.values())
    assert sum(row.cost for row in plan.table) <= (1.0 - plan.settings.remove) * plan.linear_size + 1
    assert 0.0 < plan.certificate.lower_bound <= plan.certificate.value
    assert plan.certificate.gap < 0.1 * plan.certificate.value
    for row in plan.table:
        assert 0.0 <= row.lower_bound <= row.error
        if row.name in kinds:
            assert row.cost == math.ceil(row.shape[0] * row_bytes(row.form, row.shape[1]) / item)


@pytest.mark.parametrize("name", CASES)
def test_the_client_has_our_numbers_and_the_folder_verifies(
    name: str, plans: dict[str, compress.Plan], outputs: dict[str, Path], text: list[str]
) -> None:
    plan, out = plans[name], outputs[name]
    derived = compress.verify(out)
    assert plan.certificate.lower_bound <= derived.lower_bound <= derived.value <= plan.certificate.value
    ours = plan.apply(plan.checkpoint.load())
    theirs = compress.load(out)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for key, tensor in ours.state_dict().items():
        assert torch.equal(theirs.state_dict()[key], tensor), key
    tokens = compress.tokens_for(plan.checkpoint, text)
    ids, mask = torch.from_numpy(tokens.ids[:2]), torch.from_numpy(tokens.mask[:2])
    with torch.no_grad():
        assert torch.equal(*(model(input_ids=ids, attention_mask=mask).logits for model in (ours, theirs)))


def test_the_error_is_that_of_the_numbers_in_the_file(
    plans: dict[str, compress.Plan], outputs: dict[str, Path]
) -> None:
    plan = plans["llama"]
    found = compress.load(outputs["llama"]).state_dict()
    task = Task(plan.checkpoint, plan.moments, plan.settings)
    for layer, row in zip(plan.checkpoint.layers, plan.table, strict=True):
        (judge,) = task.judges(layer)
        D = judge.W - found[f"{layer.name}.weight"].double().numpy()
        error = float(np.sum((judge.norm.G @ D @ judge.norm.C) * D))
        assert row.error == pytest.approx(error, rel=1e-3, abs=1e-12)


def test_verification_runs_only_what_is_listed(small: Path) -> None:
    seen = functions_of(lambda: compress.verify(small))
    stray = seen - set(sys.modules["infimum.compress.verify"].TRUSTED)
    stray = {name for name in stray if not name.startswith("infimum.proof.")}
    assert {name.removeprefix("infimum.") for name in stray} <= GROUND
    assert "infimum.compress.menu.gguf_file" in seen


def test_what_is_loaded_can_be_saved(outputs: dict[str, Path], tmp_path: Path) -> None:
    model = compress.load(outputs["llama"])
    model.save_pretrained(tmp_path / "again")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "again")
    assert all(torch.equal(again.state_dict()[key], tensor) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_file_says_is_read(kind: str, tmp_path: Path) -> None:
    checkpoint = compress.open_checkpoint(tiny_model(kind, tmp_path / "model", torch.bfloat16))
    check_model(checkpoint)
    tensors = sources(checkpoint, {})
    header = file_header(checkpoint, tensors)
    with (tmp_path / FILE).open("wb") as file:
        file.write(header)
        for source in tensors:
            value = checkpoint.read(source.original) if source.value is None else source.value
            file.write(source.stored(value).tobytes() + bytes(source.tensor.padding))
    reader = gguf.GGUFReader(tmp_path / FILE)
    assert reader.alignment == 32
    assert [tensor.name for tensor in reader.tensors] == [source.tensor.name for source in tensors]
    where = places(len(header), [source.tensor for source in tensors])
    assert [(t.data_offset, t.n_bytes) for t in reader.tensors] == [(place, tensor.bytes) for tensor, place in where]
    architecture = reader.get_field("general.architecture").contents()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture.upper()], 2)
    for source in tensors:
        stem, _, part = source.original.rpartition(".")
        if source.original:
            assert source.tensor.name == f"{names.get_name(stem)}.{part}"
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    assert tokens[:2] == ["<s>", "</s>"]
    assert len(tokens) == 300
    assert reader.get_field("tokenizer.ggml.token_type").contents() == [3, 3, *[1] * 260, *[5] * 38]
    assert reader.get_field("tokenizer.ggml.merges").contents() == [" ".join(pair) for pair in MERGES]
    assert reader.get_field("tokenizer.ggml.pre").contents() == "gpt-2"
    assert reader.get_field("tokenizer.ggml.bos_token_id").contents() == 0
    assert reader.get_field("tokenizer.ggml.add_bos_token").contents() is False
    assert reader.get_field("tokenizer.chat_template").contents() == "{{ messages[0].content }}"
    if kind not in ("llama-scaled", "llama-biases"):  # of these frequencies and biases transformers' reader is ignorant
        pytest.importorskip("accelerate")
        original = checkpoint.load()
        stock = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=FILE, dtype=torch.float32)
        ids = torch.arange(40)[None]
        with torch.no_grad():
            assert torch.allclose(stock(ids).logits, original(ids).logits, atol=1e-5)


def test_scaled_frequencies_are_those_of_the_model(tmp_path: Path) -> None:
    checkpoint = compress.open_checkpoint(tiny_model("llama-scaled", tmp_path / "model"))
    factors = next(source.value for source in sources(checkpoint, {}) if source.tensor.name == "rope_freqs.weight")
    plain = 1e4 ** (-torch.arange(0, 16, 2) / 16)
    used = checkpoint.load().model.rotary_emb.inv_freq
    assert torch.allclose(plain / factors, used, rtol=1e-6)
    assert factors.min() == 1.0
    assert factors.max() == pytest.approx(8.0)


def test_the_file_is_as_long_as_its_parts(plans: dict[str, compress.Plan], outputs: dict[str, Path]) -> None:
    plan = plans["llama"]
    tensors = sources(plan.checkpoint, {row.tensor: row.form for row in plan.table if row.form in BLOCK_TYPES})
    size = sum(source.tensor.bytes + source.tensor.padding for source in tensors)
    assert (outputs["llama"] / FILE).stat().st_size == len(file_header(plan.checkpoint, tensors)) + size
    there = {path.name for path in outputs["llama"].iterdir()}
    assert there >= {FILE, "infimum.json", "calibration.safetensors", "config.json", "tokenizer.json"}
    assert not any(name.startswith("model.") and name != FILE for name in there)


@pytest.mark.parametrize(
    ("name", "fraction"),
    [
        ("llama", 0.7),
        ("llama-biases", 0.5),
        pytest.param("llama", 0.5, marks=pytest.mark.slow),
        pytest.param("llama-biases", 0.7, marks=pytest.mark.slow),
    ],
)
def test_a_budget_of_bytes_is_that_of_the_file(
    name: str, fraction: float, plans: dict[str, compress.Plan], tmp_path: Path
) -> None:
    first = plans[name]
    whole = bytes_of(first.checkpoint)
    options: dict[str, Any] = {"of": "bytes", "format": "gguf", "moments": first.moments}
    plan = compress.plan(first.checkpoint, remove=1.0 - fraction, **options)
    size = (plan.save(tmp_path / "out") / FILE).stat().st_size
    assert size == bytes_of_output(plan) == sizes(plan)["bytes"]["after"]
    assert size <= fraction * whole
    assert bytes_on_disk(plan, tmp_path / "out")["after"] == size
    assert next(row for row in plan.table if "embed_tokens" in row.name).form in ("dense", *BLOCK_TYPES)
    assert size >= 0.9 * fraction * whole  # of so small a model the gaps and the steps are large
    compress.verify(tmp_path / "out")


def test_alternatives_fill_rows_and_are_smaller() -> None:
    offered = block_alternatives((8, 256), 2)
    assert [one.form for one in offered][:2] == ["Q2_K", "Q3_K"]
    assert {one.form for one in offered} == set(BLOCK_TYPES)
    sizes = [one.bytes((8, 256)) for one in offered]
    assert sizes == sorted(sizes)
    assert {one.form for one in block_alternatives((8, 96), 4)} == {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}
    assert block_alternatives((8, 40), 4) == ()
    assert "Q8_0" not in {one.form for one in block_alternatives((8, 96), 1)}


# --- forged ----------------------------------------------------------------------------------------------------------


def edit_file(out: Path, edit: Callable[[bytearray], object]) -> Path:
    data = bytearray((out / FILE).read_bytes())
    edit(data)
    (out / FILE).write_bytes(data)
    return out


def place_of(out: Path, kind: Callable[[str], bool]) -> tuple[int, int]:
    """Return where the first tensor of a kind begins, and how long it is."""
    tensor = next(t for t in gguf.GGUFReader(out / FILE).tensors if kind(t.tensor_type.name))
    return int(tensor.data_offset), int(tensor.n_bytes)


def test_what_is_sealed_again_is_accepted(copy: Path) -> None:
    compress.verify(seal(copy))


@pytest.mark.parametrize("kind", ["Q4", "_K", "F32"])
@pytest.mark.parametrize("where", [0, 5, -1])
def test_a_changed_number_is_refused(copy: Path, kind: str, where: int) -> None:
    out = copy
    start, length = place_of(out, lambda name: kind in name)

    def edit(data: bytearray) -> None:
        data[start + where % length] ^= 0x88  # half the range of two integers: the error does not become smaller

    refused(seal(edit_file(out, edit)))


def insert(data: bytearray) -> None:
    data[64:64] = bytes(32)


FILES: dict[str, Callable[[bytearray], object]] = {
    "another version": lambda data: data.__setitem__(4, 2),
    "another size in what is said": lambda data: data.__setitem__(data.index(b"block_count") + 15, 3),
    "another token": lambda data: data.__setitem__(data.index(b"</s>") + 1, ord("z")),
    "another type": lambda data: data.__setitem__(data.index(b"blk.0.attn_q.weight") + 19 + 4 + 16, 8),
    "another template": lambda data: data.__setitem__(data.index(b"messages"), ord("n")),
    "more behind": lambda data: data.extend(bytes(32)),
    "less": lambda data: data.__delitem__(slice(len(data) - 32, None)),
    "nothing": lambda data: data.clear(),
    "more between": insert,
    "a byte in a gap": lambda data: data.__setitem__(-1, 1),
}


@pytest.mark.parametrize("what", FILES)
def test_a_changed_file_is_refused(copy: Path, what: str) -> None:
    before = (copy / FILE).read_bytes()
    edit_file(copy, FILES[what])
    assert (copy / FILE).read_bytes() != before
    refused(seal(copy))


SAID: dict[str, Callable[[dict[str, Any]], object]] = {
    "another type": in_row(form="Q8_0"),
    "an unknown type": in_row(form="Q9_K"),
    "other bits": in_row(bits=7),
    "another group": in_row(group=128),
    "as it was": in_row(form="dense", bits=0, group=0),
    "another format": put("settings", "format", value="infimum"),
    "an unknown format": put("settings", "format", value="ggml"),
    "a smaller cost": in_row(cost=1),
    "an error a little low": scaled("error", 0.9999),
    "a bound a little high": lambda said: said["certificate"].update(
        lower_bound=1.01 * said["certificate"]["lower_bound"]
    ),
}


@pytest.mark.parametrize("what", SAID)
def test_a_changed_statement_is_refused(copy: Path, what: str) -> None:
    refused(seal(copy, SAID[what]))


def test_a_file_that_is_missing_is_named(copy: Path) -> None:
    out = copy
    (out / FILE).unlink()
    refused(seal(out), match=FILE)


# --- refused ---------------------------------------------------------------------------------------------------------


def test_other_models_are_refused(
    bert: Path, llama: Path, models: dict[str, Path], tmp_path: Path, text: list[str]
) -> None:
    with pytest.raises(CheckpointError, match="language models of the types llama, mistral, qwen2, qwen3"):
        compress.plan(bert, format="gguf", calib=text)
    with pytest.raises(CheckpointError, match="byte-level BPE is expected"):
        compress.plan(llama, format="gguf", calib=text)
    with pytest.raises(OptionError, match="format='gguf' holds few bits only"):
        compress.plan(models["llama"], format="gguf", menu=("bits", "ranks"), calib=text)
    folder = Path(shutil.copytree(models["llama"], tmp_path / "long"))
    config = json.loads((folder / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="rotary embeddings of the type default or llama3"):
        compress.plan(folder, format="gguf", calib=text)


def test_a_tokenizer_that_is_too_large_is_refused(tmp_path: Path) -> None:
    write_bytes_tokenizer(tmp_path)
    with pytest.raises(CheckpointError, match="has token 261, the model 200"):
        tokenizer_metadata(tmp_path, 200)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        tokenizer_metadata(tmp_path, 300)


def split(**step: Any) -> dict[str, Any]:
    return {"type": "Split", "behavior": "Isolated", "invert": False, **step}


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
LLAMA3 += r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
WAYS: dict[str, tuple[Any, str | None]] = {
    "GPT-2": (BYTES, "gpt-2"),
    "SmolLM": ([{"type": "Digits", "individual_digits": True}, BYTES], "smollm"),
    "Llama 3": ([split(pattern={"Regex": LLAMA3}), BYTES | {"use_regex": False}], "llama-bpe"),
    "Qwen 2": ([split(pattern={"Regex": LLAMA3.replace("{1,3}", "")}), BYTES | {"use_regex": False}], "qwen2"),
    "a space before": (BYTES | {"add_prefix_space": True}, None),
    "another pattern": ([split(pattern={"Regex": r"\d+"}), BYTES | {"use_regex": False}], None),
    "words": ({"type": "Whitespace"}, None),
    "none": (None, None),
}


@pytest.mark.parametrize("way", WAYS)
def test_how_text_is_split_is_recognised(way: str, tmp_path: Path) -> None:
    step, expected = WAYS[way]
    write_bytes_tokenizer(tmp_path)
    said = json.loads((tmp_path / "tokenizer.json").read_text())
    said["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": step} if isinstance(step, list) else step
    (tmp_path / "tokenizer.json").write_text(json.dumps(said))
    if expected is None:
        with pytest.raises(CheckpointError, match="cannot be written to a GGUF file"):
            tokenizer_metadata(tmp_path, 300)
    else:
        assert tokenizer_metadata(tmp_path, 300)["tokenizer.ggml.pre"] == expected


def test_forms_are_known_to_processes_that_share_them() -> None:
    for form in FORMS.values():
        assert pickle.loads(pickle.dumps(form)) is form


@pytest.mark.parametrize("size", [100_000, 150_000])
def test_files_are_as_long_as_they_may_be(models: dict[str, Path], text: list[str], size: int) -> None:
    plan = compress.plan(models["llama"], calib=text, of="bytes", remove=0.5, format="gguf").with_size(size)
    assert 0.99 * size <= files_bytes(plan) <= size
