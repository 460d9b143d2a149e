"""Folders changed by somebody who recomputes every hash: nothing false is accepted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.compress.model.tensor_files import LONGEST_HEADER  # noqa: E402
from infimum.compress.write import safetensors_file  # noqa: E402
from infimum.errors import CheckpointError, InfimumError, VerificationError  # noqa: E402
from tests.compress.conftest import LOWER, tiny_bert, tiny_llama, write  # noqa: E402

Edit = Callable[[dict[str, Any]], object]
Change = Callable[[dict[str, torch.Tensor]], object]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tiny_bert(), tmp_path_factory.mktemp("forgeries") / "bert")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    return folder


@pytest.fixture(scope="module")
def moments(model: Path, text: list[str]) -> compress.Moments:
    return compress.calibrate(model, text)


@pytest.fixture(scope="module")
def planned(model: Path, moments: compress.Moments) -> compress.Plan:
    return compress.plan(model, remove=0.3, moments=moments)


@pytest.fixture(scope="module")
def outputs(planned: compress.Plan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("outputs")
    kinds: dict[str, dict[str, Any]] = {
        "factors": LOWER["factors"],
        "channels": LOWER["channels"],
        "stock": {**LOWER["channels"], "allocation": "uniform"},
        "plain": {"plain": True},
    }
    of: dict[str, Any] = {"remove": 0.3, "moments": planned.moments}
    plans = {name: compress.plan(planned.checkpoint, **of, **options) for name, options in kinds.items()}
    plans["pivot"] = planned
    return {name: plan.save(root / name, adapter=2 if name == "plain" else None) for name, plan in plans.items()}


@pytest.fixture
def copy(outputs: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    return lambda name="pivot": Path(shutil.copytree(outputs[name], tmp_path / "out"))


def seal(out: Path, edit: Edit = lambda _: None) -> Path:
    """Recompute the hashes of all files, and edit what is said."""
    path = out / "infimum.json"
    said = json.loads(path.read_text())
    there = [file for file in out.rglob("*") if file.is_file() and file != path]
    said["files"] = {f.relative_to(out).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in there}
    edit(said)
    path.write_text(json.dumps(said))
    return out


def change(out: Path, edit: Change, name: str = "model.safetensors") -> Path:
    tensors = load_file(out / name)
    edit(tensors)
    save_file(tensors, out / name, metadata={"format": "pt"})
    return out


def refused(out: Path, match: str | None = None) -> None:
    with pytest.raises((VerificationError, CheckpointError), match=match) as caught:
        compress.verify(out)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["pivot", "factors", "channels", "stock", "plain"])
def test_what_is_sealed_again_is_accepted(copy: Callable[..., Path], name: str, moments: compress.Moments) -> None:
    out = seal(copy(name))
    claimed = json.loads((out / "infimum.json").read_text())["certificate"]
    derived = compress.verify(out)
    assert claimed["lower_bound"] <= derived.lower_bound <= derived.value <= claimed["value"]
    assert set(derived.witness["original"]) == {"config.json", "model.safetensors"}


# --- what is said ----------------------------------------------------------------------------------------------------


def replaced(said: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in said["layers"] if row["form"] not in ("dense",))


def scaled(part: str, factor: float) -> Edit:
    return lambda said: replaced(said).update({part: replaced(said)[part] * factor})


def put(*path: str, value: Any) -> Edit:
    def edit(said: dict[str, Any]) -> None:
        for key in path[:-1]:
            said = said[key]
        said[path[-1]] = value

    return edit


def in_row(**parts: Any) -> Edit:
    return lambda said: replaced(said).update(parts)


SAID: dict[str, Edit] = {
    "value below bound": lambda d: d["certificate"].update(value=0.999 * d["certificate"]["lower_bound"]),
    "value and bound both in their own slack": lambda d: d["certificate"].update(
        value=d["certificate"]["value"] * 0.9991, lower_bound=d["certificate"]["lower_bound"] * 1.0009
    ),
    "value a little low": lambda d: d["certificate"].update(value=d["certificate"]["value"] * 0.9995),
    "bound a little high": lambda d: d["certificate"].update(lower_bound=d["certificate"]["lower_bound"] * 1.0005),
    "error a little low": scaled("error", 0.9999),
    "row's bound a little high": scaled("lower_bound", 1.0001),
    "row's bound above its error": lambda d: replaced(d).update(lower_bound=replaced(d)["error"] * 1.01),
    "share": in_row(share=0.0),
    "cost a float": lambda d: replaced(d).update(cost=float(replaced(d)["cost"])),
    "rank a bool": in_row(rank=True),
    "negative error": in_row(error=-1.0),
    "error a string": in_row(error="0.1"),
    "infinite error": in_row(error=1e999),
    "kept of another layer": in_row(kept=[40, 24]),
    "three sizes": in_row(kept=[24, 24, 1]),
    "an unknown form": in_row(form="quantised"),
    "an unknown key in a row": in_row(accuracy=1.0),
    "an unknown key": put("accuracy", value=1.0),
    "an absent key": lambda d: d.pop("notes"),
    "an unknown key in the calibration": put("calibration", "source", value="Wikipedia"),
    "a billion tokens": put("calibration", "tokens", value=10**9),
    "paragraphs": put("calibration", "paragraphs", value=1),
    "tokens of a float": lambda d: d["calibration"].update(tokens=float(d["calibration"]["tokens"])),
    "hash of the tokens": put("calibration", "sha256", value="0" * 64),
    "goal of a language model": put("calibration", "goal", value="loss"),
    "no projections": put("calibration", "projections", value=0),
    "endless projections": put("calibration", "projections", value=10**9),
    "seed beyond 64 bits": put("calibration", "seed", value=2**64),
    "negative seed": put("calibration", "seed", value=-1),
    "seed a bool": put("calibration", "seed", value=True),
    "calibration a list": put("calibration", value=[1]),
    "settings null": put("settings", value=None),
    "unknown setting": put("settings", "bits", value=4),
    "form auto": put("settings", "form", value="auto"),
    "plain a number": put("settings", "plain", value=0),
    "remove a string": put("settings", "remove", value="0.3"),
    "remove less": put("settings", "remove", value=0.2),
    "of all": put("settings", "of", value="all"),
    "damping": put("settings", "damping", value=0.02),
    "objective": put("settings", "objective", value="plain"),
    "budget": lambda d: d.update(budget=d["budget"] + 1),
    "budget a float": lambda d: d.update(budget=float(d["budget"])),
    "negative multiplier": put("multiplier", value=-1.0),
    "multiplier zero": put("multiplier", value=0.0),
    "multiplier a bool": put("multiplier", value=True),
    "multiplier NaN": put("multiplier", value=float("nan")),
    "multiplier infinite": put("multiplier", value=float("inf")),
    "multiplier text": put("multiplier", value="1"),
    "notes": put("notes", value=["as good as the original"]),
    "notes a string": put("notes", value="none"),
    "versions": put("versions", "torch", value="<script>alert(1)</script>"),
    "an unknown version": put("versions", "mine", value="1.0"),
    "peak memory": put("peak_memory", value=-1),
    "adapter": put("adapter", value={"rank": 2, "value": 1.0}),
    "adapter a number": put("adapter", value=2),
    "schema": put("schema", value=1),
    "schema a bool": put("schema", value=True),
    "no files": put("files", value={}),
    "files null": put("files", value=None),
    "a file less": lambda d: d["files"].pop("tokenizer.json"),
    "a file more": put("files", "README.md", value="0" * 64),
    "a path that leads out": put("files", "../bert/config.json", value="0" * 64),
    "hashes numbers": lambda d: d["files"].update({"config.json": 1}),
    "layers null": put("layers", value=None),
    "rows swapped": lambda d: d["layers"].reverse(),
    "a row twice": lambda d: d["layers"].append(d["layers"][0]),
    "a row less": lambda d: d["layers"].pop(),
    "original null": put("original", value=None),
    "hash of the original": put("original", "sha256", "config.json", value="0" * 64),
    "a hash less": lambda d: d["original"]["sha256"].pop("config.json"),
}


@pytest.mark.parametrize("name", SAID)
def test_a_false_statement_is_refused(copy: Callable[..., Path], name: str) -> None:
    refused(seal(copy(), SAID[name]))


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1]", "null", "1", '"x"', "{}", '{"schema": 2}', '{"schema": NaN}', "[" * 100_000, "\udcff", "9" * 5000],
    ids=len,
)
def test_what_is_no_description(copy: Callable[..., Path], content: str) -> None:
    out = copy()
    (out / "infimum.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    refused(out)


def test_a_description_without_end_is_not_read(copy: Callable[..., Path]) -> None:
    out = copy()
    with (out / "infimum.json").open("wb") as file:
        file.truncate(10**12)
    refused(out, "bytes")


def test_a_key_that_stands_twice(copy: Callable[..., Path]) -> None:
    out = seal(copy())
    said = (out / "infimum.json").read_text()
    (out / "infimum.json").write_text(said.replace('"multiplier":', '"multiplier": 0.0, "multiplier":', 1))
    refused(out, "twice")


# --- what a loader would read ----------------------------------------------------------------------------------------


def write_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=2) + "\n")


FILES: dict[str, Callable[[Path], object]] = {
    "activation": lambda out: write_json(out / "config.json", hidden_act="relu"),
    "epsilon": lambda out: write_json(out / "config.json", layer_norm_eps=0.5),
    "auto_map": lambda out: write_json(out / "config.json", auto_map={"AutoModel": "other.Model"}),
    "a rank in the configuration": lambda out: write_json(out / "config.json", infimum_layers={}),
    "code of the model": lambda out: (out / "modeling_infimum.py").write_text("import os"),
    "code of the layers": lambda out: (out / "infimum_linear.py").write_text("import os"),
    "code gone": lambda out: (out / "modeling_infimum.py").unlink(),
    "vocabulary": lambda out: (out / "tokenizer.json").write_text(
        (out / "tokenizer.json").read_text().replace("word7", "word-7")
    ),
    "tokenizer gone": lambda out: (out / "tokenizer.json").unlink(),
    "a companion in a folder": lambda out: (out / "1_Pooling" / "config.json").write_text("{}"),
    "more code": lambda out: (out / "tokenization_mine.py").write_text("import os"),
    "a hidden file": lambda out: (out / ".hidden").write_text(""),
    "a chat template": lambda out: (out / "chat_template.jinja").write_text("{{ messages }}"),
    "generation": lambda out: (out / "generation_config.json").write_text("{}"),
    "pickled weights": lambda out: torch.save({}, out / "pytorch_model.bin"),
    "an index of pickled weights": lambda out: (out / "pytorch_model.bin.index.json").write_text("{}"),
    "an index beside the weights": lambda out: (out / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": dict.fromkeys(load_file(out / "model.safetensors"), "x.safetensors")})
    ),
    "a variant": lambda out: shutil.copy(out / "model.safetensors", out / "model.fp16.safetensors"),
    "weights in a folder": lambda out: shutil.copy(out / "model.safetensors", out / "1_Pooling" / "model.safetensors"),
    "an adapter": lambda out: (out / "adapter_config.json").write_text("{}"),
    "adapter weights": lambda out: save_file({"a": torch.zeros(1)}, out / "adapter_model.safetensors"),
    "an order of channels": lambda out: save_file({"a": torch.arange(3)}, out / "channels.safetensors"),
    "an empty order": lambda out: save_file({}, out / "channels.safetensors"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_the_models_is_refused(copy: Callable[..., Path], name: str) -> None:
    out = copy()
    FILES[name](out)
    refused(seal(out))


def first(tensors: dict[str, torch.Tensor], suffix: str) -> str:
    return next(name for name in tensors if name.endswith(suffix))


TENSORS: dict[str, Change] = {
    "one more": lambda t: t.update(extra=torch.zeros(3)),
    "a head": lambda t: t.update({"cls.predictions.bias": torch.zeros(64)}),
    "one less": lambda t: t.pop(first(t, "LayerNorm.bias")),
    "a mark gone": lambda t: t.pop(first(t, "rows").removesuffix("rows") + "weight"),
    "a mark with numbers": lambda t: t.update({first(t, "rows").removesuffix("rows") + "weight": torch.zeros(24, 24)}),
    "another dtype": lambda t: t.update({first(t, "rows"): t[first(t, "rows")].double()}),
    "another dtype of what stays": lambda t: t.update({"pooler.dense.bias": t["pooler.dense.bias"].half()}),
    "an order of int64": lambda t: t.update({first(t, "order"): t[first(t, "order")].long()}),
    "an order that wraps": lambda t: t[first(t, "order")].sub_(24),
    "an order with a row twice": lambda t: t[first(t, "order")].fill_(0),
    "a row more": lambda t: t.update({first(t, "rows"): torch.cat([t[first(t, "rows")], torch.zeros(1, 24)])}),
    "not finite": lambda t: t[first(t, "rows")].fill_(float("nan")),
    "infinite": lambda t: t[first(t, "coefficients")].fill_(float("inf")),
    "negative zero": lambda t: t["pooler.dense.bias"].neg_(),
    "a bias": lambda t: t[first(t, "query.bias")].add_(1e-6),
    "an embedding": lambda t: t["embeddings.word_embeddings.weight"].view(-1)[5].add_(1e-6),
    "padding's embedding": lambda t: t["embeddings.word_embeddings.weight"][0].add_(1.0),
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_that_is_not_the_models_is_refused(copy: Callable[..., Path], name: str) -> None:
    refused(seal(change(copy(), TENSORS[name])))


CALIBRATION: dict[str, Change] = {
    "other ids": lambda t: t.update(ids=t["ids"].flip(0)),
    "one id": lambda t: t["ids"].view(-1)[0].fill_(5),
    "ids beyond the vocabulary": lambda t: t["ids"].fill_(10**6),
    "negative ids": lambda t: t["ids"].fill_(-1),
    "a mask of twos": lambda t: t["mask"].mul_(2),
    "a mask with gaps": lambda t: t.update(mask=t["mask"].flip(1)),
    "a mask of zeros": lambda t: t["mask"].zero_(),
    "a mask that wraps": lambda t: t["mask"].fill_(2**62),
    "floats": lambda t: t.update(ids=t["ids"].double()),
    "32 bits": lambda t: t.update(ids=t["ids"].int()),
    "no rows": lambda t: t.update(ids=t["ids"][:0], mask=t["mask"][:0]),
    "one dimension": lambda t: t.update(ids=t["ids"].flatten(), mask=t["mask"].flatten()),
    "another shape": lambda t: t.update(mask=t["mask"][:, :-1].contiguous()),
    "a tensor more": lambda t: t.update(more=torch.zeros(1)),
    "no mask": lambda t: t.pop("mask"),
}


@pytest.mark.parametrize("honest", [False, True], ids=["old hash", "new hash"])
@pytest.mark.parametrize("name", CALIBRATION)
def test_other_tokens_are_refused(copy: Callable[..., Path], name: str, honest: bool) -> None:
    """Where the hash of the tokens is recomputed, too, the errors that they give are others."""
    out = change(copy(), CALIBRATION[name], "calibration.safetensors")

    def edit(said: dict[str, Any]) -> None:
        tensors = load_file(out / "calibration.safetensors")
        ids, mask = (tensors.get(part, torch.zeros(0)).numpy() for part in ("ids", "mask"))
        rows = {"paragraphs": len(ids), "tokens": int(mask.sum())}
        said["calibration"] |= rows | {"sha256": hashlib.sha256(ids.tobytes() + mask.tobytes()).hexdigest()}

    refused(seal(out, edit if honest else lambda _: None))


def test_forms_that_store_more_than_they_say(copy: Callable[..., Path], outputs: dict[str, Path]) -> None:
    """Products multiplied out take all the room that the budget took away: only plain settings may store them."""
    out = copy("plain")
    shutil.rmtree(out / "adapter")

    def edit(said: dict[str, Any]) -> None:
        said.update(adapter=None)
        said["settings"].update(plain=False)

    refused(seal(out, edit), "form")


# --- links and places ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "config.json", "1_Pooling"])
def test_links_in_the_output_are_refused(copy: Callable[..., Path], name: str, tmp_path: Path) -> None:
    out = copy()
    (out / name).rename(tmp_path / "moved")
    (out / name).symlink_to(tmp_path / "moved")
    refused(out, "link|missing")


def test_the_original_within_the_output_is_refused(copy: Callable[..., Path], model: Path) -> None:
    out = copy()
    shutil.copytree(model, out / "original")
    refused(seal(out, put("original", "path", value=str(out / "original"))), "lies inside")
    with pytest.raises(VerificationError, match="lies inside"):
        compress.verify(seal(out), out / "original")


def test_an_original_that_changed_its_tokenizer(copy: Callable[..., Path], model: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(model, tmp_path / "other"))
    out = copy()
    assert compress.verify(out, other).value > 0.0
    (other / "tokenizer_config.json").write_text("{}")
    with pytest.raises(VerificationError, match="tokenizer_config"):
        compress.verify(out, other)


SECRET = "a password"


@pytest.mark.parametrize("where", ["file", "inner file", "folder", "weights", "dangling", "fifo"])
def test_links_that_lead_out_of_the_checkpoint_are_refused(where: str, text: list[str], tmp_path: Path) -> None:
    folder = write(tiny_bert(), tmp_path / "model")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text(SECRET)
    if where == "file":
        (folder / "README.md").symlink_to("../secret/file")
    elif where == "inner file":
        (folder / "inner").mkdir()
        (folder / "inner" / "README.md").symlink_to("../../secret/file")
    elif where == "folder":
        (folder / "inner").symlink_to(tmp_path / "secret")
    elif where == "weights":
        (folder / "model.safetensors").rename(tmp_path / "secret" / "model.safetensors")
        (folder / "model.safetensors").symlink_to("../secret/model.safetensors")
    elif where == "dangling":
        (folder / "README.md").symlink_to("nowhere")
    else:
        os.mkfifo(folder / "README.md")
    with pytest.raises(CheckpointError, match=r"leads out|no file"):
        compress.plan(folder, calib=text, menu=("ranks",)).save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_within_a_checkpoint_and_a_snapshot_of_the_hub_are_followed(text: list[str], tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "0123", tmp_path / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    write(tiny_bert(), snapshot)
    (snapshot / "inner").mkdir()
    (snapshot / "inner" / "note.txt").write_text("a note")
    for path in [path for path in snapshot.rglob("*") if path.is_file()]:
        target = blobs / hashlib.sha256(path.read_bytes()).hexdigest()
        path.rename(target)
        path.symlink_to(os.path.relpath(target, path.parent))
    (snapshot / "same.txt").symlink_to("inner/note.txt")
    out = compress.plan(snapshot, calib=text, menu=("ranks",)).save(tmp_path / "out")
    assert not any(path.is_symlink() for path in out.rglob("*"))
    assert (out / "same.txt").read_text() == (out / "inner" / "note.txt").read_text() == "a note"
    compress.verify(out)
    (snapshot / "more.txt").symlink_to("../../other")
    (tmp_path / "models--a--b" / "other").write_text(SECRET)
    with pytest.raises(CheckpointError, match="leads out"):
        compress.open_checkpoint(snapshot)


# --- shards ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sharded(planned: compress.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(safetensors_file, "SHARD_BYTES", 20_000)
    out = planned.save(tmp_path / "out")
    assert (out / "model.safetensors.index.json").is_file()
    return out


def in_index(edit: Edit) -> Callable[[Path], object]:
    def change_index(out: Path) -> None:
        path = out / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        edit(index)
        path.write_text(json.dumps(index))

    return change_index


SHARDS: dict[str, Callable[[Path], object]] = {
    "zeros beside the shards": lambda out: save_file(
        {"embeddings.word_embeddings.weight": torch.zeros(64, 24)}, out / "model.safetensors", metadata={"format": "pt"}
    ),
    "a shard that nobody names": lambda out: shutil.copy(
        next(out.glob("model-*.safetensors")), out / "model-00099-of-00099.safetensors"
    ),
    "a tensor that is not named": in_index(lambda index: index["weight_map"].popitem()),
    "another size": in_index(lambda index: index["metadata"].update(total_size=1)),
    "more in the index": in_index(lambda index: index.update(more=1)),
    "a shard elsewhere": in_index(
        lambda index: index["weight_map"].update(dict.fromkeys(index["weight_map"], "../x.safetensors"))
    ),
    "no map": in_index(lambda index: index.update(weight_map=[])),
    "a map of numbers": in_index(lambda index: index.update(weight_map=dict.fromkeys(index["weight_map"], 1))),
}


@pytest.mark.parametrize("name", SHARDS)
def test_shards_that_are_not_as_written_are_refused(sharded: Path, name: str) -> None:
    SHARDS[name](sharded)
    refused(seal(sharded))


def test_shards_as_written_are_accepted(sharded: Path) -> None:
    compress.verify(seal(sharded))


def test_an_original_that_loaders_would_read_in_two_ways(tmp_path: Path) -> None:
    folder = write(tiny_bert(), tmp_path / "model", max_shard_size="20KB")
    save_file({"a": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="loaders differ"):
        compress.open_checkpoint(folder)


# --- channels and adapters -------------------------------------------------------------------------------------------

ORDERS: dict[str, Change] = {
    "floats": lambda t: t.update({k: v.double() for k, v in t.items()}),
    "negative": lambda t: next(iter(t.values())).sub_(40),
    "another layer's": lambda t: t.update({"encoder.layer.0.intermediate.dense": torch.arange(40)}),
    "shorter": lambda t: t.update({k: v[:-1].contiguous() for k, v in t.items()}),
    "reversed": lambda t: t.update({k: v.flip(0) for k, v in t.items()}),
}


@pytest.mark.parametrize("name", ORDERS)
def test_other_orders_of_channels_are_refused(copy: Callable[..., Path], name: str) -> None:
    refused(seal(change(copy("channels"), ORDERS[name], "channels.safetensors")))


ADAPTER: dict[str, Callable[[Path], object]] = {
    "scaled": lambda out: write_json(out / "adapter" / "adapter_config.json", lora_alpha=64),
    "another target": lambda out: write_json(out / "adapter" / "adapter_config.json", target_modules=["pooler.dense"]),
    "a bias": lambda out: write_json(out / "adapter" / "adapter_config.json", bias="all"),
    "more code": lambda out: (out / "adapter" / "code.py").write_text("import os"),
    "no weights": lambda out: (out / "adapter" / "adapter_model.safetensors").unlink(),
    "other weights": lambda out: change(
        out / "adapter", lambda t: next(iter(t.values())).neg_(), "adapter_model.safetensors"
    ),
    "a layer more": lambda out: change(
        out / "adapter", lambda t: t.update(more=torch.zeros(1)), "adapter_model.safetensors"
    ),
    "not finite": lambda out: change(
        out / "adapter", lambda t: next(iter(t.values())).fill_(float("nan")), "adapter_model.safetensors"
    ),
}


@pytest.mark.parametrize("name", ADAPTER)
def test_another_adapter_is_refused(copy: Callable[..., Path], name: str) -> None:
    out = copy("plain")
    ADAPTER[name](out)
    refused(seal(out))


SAID_OF_ADAPTERS: list[Any] = [None, 2, {"rank": 2}, {"rank": True, "value": 1.0}, {"rank": 3, "value": 1.0}]


@pytest.mark.parametrize("said", [*SAID_OF_ADAPTERS, {"rank": 2, "value": 0.0}], ids=str)
def test_what_is_said_of_an_adapter(copy: Callable[..., Path], said: Any) -> None:
    refused(seal(copy("plain"), put("adapter", value=said)))


# --- files that cannot be read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "calibration.safetensors"])
@pytest.mark.parametrize("header", [2**62, 4 * LONGEST_HEADER, 2**63 - 1, 0, 7])
def test_a_header_without_end_is_refused(copy: Callable[..., Path], name: str, header: int) -> None:
    out = copy()
    with (out / name).open("r+b") as file:
        file.write(header.to_bytes(8, "little"))
        if header == 4 * LONGEST_HEADER:  # there is as much in the file
            file.truncate(2 * header)
    refused(seal(out))


def test_an_original_with_a_header_without_end(tmp_path: Path) -> None:
    folder = write(tiny_bert(), tmp_path / "model")
    with (folder / "model.safetensors").open("r+b") as file:
        file.write((2**30).to_bytes(8, "little"))
        file.truncate(2**31)
    with pytest.raises(CheckpointError, match="header"):
        compress.open_checkpoint(folder)


@pytest.mark.parametrize("content", ["[1]", "null", '{"model_type": 3}', '{"quantization_config": 1}', "[" * 100_000])
def test_an_original_with_another_configuration(tmp_path: Path, content: str) -> None:
    folder = write(tiny_bert(), tmp_path / "model")
    (folder / "config.json").write_text(content)
    with pytest.raises(InfimumError) as caught:
        compress.open_checkpoint(folder)
    assert "\n" not in str(caught.value)


def test_a_language_model_is_held_to_the_same(text: list[str], tmp_path: Path) -> None:
    out = compress.plan(write(tiny_llama(), tmp_path / "model"), remove=0.3, calib=text, menu=("ranks", "widths")).save(
        tmp_path / "out"
    )
    compress.verify(seal(out))
    refused(seal(out, put("calibration", "goal", value="embedding")))
