"""Models of images, of sound, of pairs of texts, and of whatever dicts of arrays hold: compressed, loaded, verified."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
image = pytest.importorskip("PIL.Image")

from safetensors.torch import load_file, save_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from tokenizers.processors import TemplateProcessing  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.compress.measure import outputs  # noqa: E402
from infimum.compress.measure.media import read_wav  # noqa: E402
from infimum.compress.measure.samples import Samples  # noqa: E402
from infimum.errors import CalibrationError, VerificationError  # noqa: E402
from infimum.proof.folder import file_hash  # noqa: E402
from tests.compress.conftest import saved_again_is_the_same, sentences, tiny_bert, write  # noqa: E402
from tests.compress.tiny_configs import tiny_config  # noqa: E402

SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40}
VIEW = SIZES | {"image_size": 16, "patch_size": 4}
SIZE = {"height": 16, "width": 16}


def pictures(folder: Path, count: int = 24) -> Path:
    """Photographs and drawings that scikit-learn and matplotlib ship: digits, and what a window sees of the others."""
    datasets, cbook = pytest.importorskip("sklearn.datasets"), pytest.importorskip("matplotlib.cbook")
    rng, digits = np.random.default_rng(0), datasets.load_digits().images
    photographs = list(datasets.load_sample_images().images)
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photographs.append(np.asarray(image.open(file).convert("RGB")))
    folder.mkdir()
    for index in range(count):
        if index % 4 == 3:
            picture = image.fromarray((digits[index] * 15.9).astype(np.uint8)).resize((32, 32)).convert("RGB")
        else:
            whole = photographs[index % 4]
            top, left = (int(rng.integers(0, size - 128)) for size in whole.shape[:2])
            picture = image.fromarray(whole[top : top + 128, left : left + 128])
        picture.save(folder / f"word{index}_word{index // 2}.png")
    return folder


def vit(folder: Path) -> Path:
    config = transformers.ViTConfig(**VIEW, num_labels=5)
    write(transformers.ViTForImageClassification(config), folder)
    transformers.ViTImageProcessorPil(size=SIZE).save_pretrained(folder)
    return folder


def dino(folder: Path) -> Path:
    write(transformers.Dinov2Model(transformers.Dinov2Config(**VIEW)), folder)
    transformers.ViTImageProcessorPil(size=SIZE).save_pretrained(folder)
    return folder


def clip(folder: Path) -> Path:
    text = SIZES | {"vocab_size": 64, "max_position_embeddings": 12, "bos_token_id": 0, "eos_token_id": 1}
    config = transformers.CLIPConfig(text_config=text, vision_config=VIEW, projection_dim=16)
    write(transformers.CLIPModel(config), folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=SIZE)
    transformers.CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def sounds(folder: Path) -> Path:
    rng, time = np.random.default_rng(0), np.arange(4000) / 8000.0
    folder.mkdir()
    for index in range(12):
        waves = np.sin(2.0 * np.pi * rng.uniform(80.0, 900.0, (3, 1)) * time).mean(axis=0)
        with wave.open(str(folder / f"{index}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((20000 * waves).astype("<i2").tobytes())
    return folder


def whisper(folder: Path) -> Path:
    sizes = {"d_model": 24, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 40, "decoder_ffn_dim": 40}
    sizes |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "vocab_size": 64, "num_mel_bins": 16}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1, "decoder_start_token_id": 2}
    config = transformers.WhisperConfig(**sizes, **special, max_source_positions=50, max_target_positions=64)
    write(transformers.WhisperForConditionalGeneration(config), folder)
    extractor = transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=1, sampling_rate=16000)
    extractor.save_pretrained(folder)
    return folder


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Path]]] = {
    "vit": (vit, pictures),
    "clip": (clip, pictures),
    "whisper": (whisper, sounds),
    "dino": (dino, pictures),
}
FAST = ("vit", "clip", "whisper")


@pytest.mark.parametrize("name", [*FAST, pytest.param("dino", marks=pytest.mark.slow)])
def test_images_and_sound(name: str, tmp_path: Path, code_cache: None) -> None:
    torch.manual_seed(0)
    make, inputs = KINDS[name]
    folder, files = make(tmp_path / "model"), inputs(tmp_path / "files")
    plan = compress.plan(folder, remove=0.3, menu=("ranks",), calib=files)
    goes_the_whole_way(plan, tmp_path)
    unread = [row.name for row in plan.table if row.note]
    assert not [name for name in unread if "layers.1" in name or "layer.1" in name]
    convolutions = [layer.name for layer in plan.checkpoint.layers if layer.kernel]
    assert len(convolutions) == (name != "whisper")  # those of sound overlap
    assert all(row.form != "dense" for row in plan.table if row.name in convolutions)


def test_a_convolution_of_patches_in_every_form(tmp_path: Path, code_cache: None) -> None:
    torch.manual_seed(0)
    folder, files = vit(tmp_path / "model"), pictures(tmp_path / "files")
    name, *others = [layer.name for layer in compress.open_checkpoint(folder).layers if layer.kernel]
    assert not others
    moments = compress.calibrate(folder, files, split=True)
    forms: dict[str, dict[str, Any]] = {"plain": {"menu": ("ranks",), "plain": True}, "bits": {"menu": ("bits",)}}
    for form, chosen in forms.items():
        plan = compress.plan(folder, remove=0.05, moments=moments, only=(name,), format="infimum", **chosen)
        assert [row.form for row in plan.table if row.name == name] == [form]
        out = plan.save(tmp_path / form)
        given, mask = moments.tokens.batches(8)[0]
        value = outputs.output_of(plan.checkpoint.head)
        stock = transformers.AutoModelForImageClassification.from_pretrained(out, trust_remote_code=True).eval()
        with torch.no_grad():
            wanted = value(plan.apply(plan.checkpoint.load()), given, mask)
            torch.testing.assert_close(value(stock, given, mask), wanted)
            torch.testing.assert_close(value(compress.load(out), given, mask), wanted)
        compress.verify(out)
    healed = compress.heal(tmp_path / "bits", tmp_path / "healed", steps=3, text=files)
    assert healed.after <= healed.before
    compress.verify(tmp_path / "healed")


def goes_the_whole_way(plan: compress.Plan, folder: Path) -> None:
    assert sum(row.form != "dense" for row in plan.table) > 5
    out = plan.save(folder / "out")
    given, mask = plan.moments.tokens.batches(8)[0]
    value = outputs.output_of(plan.checkpoint.head)
    loaded = compress.load(out)
    stock = getattr(transformers, plan.checkpoint.head.loader).from_pretrained(out, trust_remote_code=True).eval()
    with torch.no_grad():
        wanted = value(plan.apply(plan.checkpoint.load()), given, mask)
        for model in (loaded, stock):
            torch.testing.assert_close(value(model, given, mask), wanted)
    compress.verify(out)
    saved_again_is_the_same(out, folder / "again")
    score = compress.scorer(plan.checkpoint.load(), plan.moments.tokens, pooling=plan.checkpoint.head.pooling)
    assert type(score(loaded)).__name__ in ("Similarity", "Agreement", "Perplexity")


def test_a_pair_of_texts(tmp_path: Path, code_cache: None) -> None:
    torch.manual_seed(0)
    config = tiny_bert().config
    config.num_labels = 1
    folder = write(transformers.BertForSequenceClassification(config), tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A [PAD] $B:1", special_tokens=[("[PAD]", 0)])
    names = ["input_ids", "token_type_ids", "attention_mask"]
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_input_names=names
    ).save_pretrained(folder)
    pairs = zip(sentences(40, seed=1), sentences(40, seed=2), strict=True)
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(json.dumps({"text": one, "text_pair": other}) for one, other in pairs))
    plan = compress.plan(folder, remove=0.3, menu=("ranks",), calib=file)
    tokens = plan.moments.tokens
    assert isinstance(tokens, Samples)
    assert set(tokens.inputs) == {"input_ids", "attention_mask", "token_type_ids"}
    goes_the_whole_way(plan, tmp_path)
    file.write_text('{"text": "one", "text_pair": "two"}\n{"text": "one"}\n')
    with pytest.raises(CalibrationError, match="each line must have strings"):
        compress.tokens_for(folder, file)


def test_dicts_of_what_a_model_takes(tmp_path: Path, code_cache: None) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "d_model": 24, "d_kv": 12, "d_ff": 40, "num_layers": 2, "num_heads": 2}
    starts = {"decoder_start_token_id": 0, "pad_token_id": 0}
    config = transformers.T5Config(**sizes, **starts)
    folder = write(transformers.T5ForConditionalGeneration(config), tmp_path / "model")
    labels = torch.randint(2, 64, (24, 9))
    labels[::2, 6:] = -100
    batches = [{"input_ids": torch.randint(2, 64, (4, 12)), "labels": labels[4 * k : 4 * k + 4]} for k in range(6)]
    plan = compress.plan(folder, remove=0.3, menu=("ranks",), calib=iter(batches))
    assert plan.moments.tokens.count == int((labels != -100).sum())
    model = plan.checkpoint.load()
    with torch.no_grad():
        losses = [model(**batch).loss.item() * int((batch["labels"] != -100).sum()) for batch in batches]
    loss = compress.perplexity(model, plan.moments.tokens).loss
    assert loss == pytest.approx(sum(losses) / plan.moments.tokens.count, rel=1e-5)
    goes_the_whole_way(plan, tmp_path)


def test_an_encoder_and_a_decoder_on_text(text: list[str], tmp_path: Path, code_cache: None) -> None:
    torch.manual_seed(0)
    folder = write(transformers.T5ForConditionalGeneration(tiny_config("t5")), tmp_path / "model")
    plan = compress.plan(folder, remove=0.3, menu=("ranks", "widths"), calib=text, max_tokens=32)
    goes_the_whole_way(plan, tmp_path)
    sides = {row.name.partition(".")[0] for row in plan.table if row.form != "dense"}
    assert sides == {"encoder", "decoder"}
    held_out = compress.tokens_for(folder, sentences(60, seed=9), max_tokens=32)
    models = plan.checkpoint.load(), compress.load(tmp_path / "out")
    dense, compressed = (compress.perplexity(model, held_out).loss for model in models)
    assert abs(compressed - dense) < 0.5 * dense


def test_what_is_stored_is_asked(tmp_path: Path) -> None:
    folder = vit(tmp_path / "model")
    out = compress.plan(folder, remove=0.2, menu=("ranks",), calib=pictures(tmp_path / "files", 8)).save(tmp_path / "o")
    stored = load_file(out / "calibration.safetensors")
    pixels = stored["pixel_values"]
    for forged, said in (
        ({"pixel_values": pixels.double()}, "must be finite, in int64, float32 or bool"),
        ({"pixel_values": pixels, "labels": torch.zeros(3, dtype=torch.int64)}, "one number of rows"),
        ({"pixel_values": pixels[:4]}, "calibration: paragraphs"),
        ({"pixel_values": pixels * 0.5}, "calibration: sha256"),
    ):
        save_file({name: tensor.contiguous() for name, tensor in forged.items()}, out / "calibration.safetensors")
        described = json.loads((out / "infimum.json").read_text())
        described["files"]["calibration.safetensors"] = file_hash(out / "calibration.safetensors")
        (out / "infimum.json").write_text(json.dumps(described))
        with pytest.raises(VerificationError, match=said):
            compress.verify(out)


def test_wrong_inputs_are_told(tmp_path: Path, bert: Path) -> None:
    folder = vit(tmp_path / "model")
    (tmp_path / "empty").mkdir()
    rows = np.zeros((4, 3, 16, 16), dtype=np.float32)
    for given, said in (
        ("pydoc", "is a model of pixel_values, not of text"),
        (tmp_path / "empty", "holds no images"),
        (tmp_path / "absent", "needs a folder of images"),
        ([{"pixel_values": rows}, {"pixel_values": rows[:, :1]}], "the same names and, but for the rows, shapes"),
        ([{"pixel_values": rows, "labels": rows[:2]}], "one number of rows"),
        ([{"pixel_values": np.full_like(rows, np.nan)}], "NaN"),
        ([{"pixel_values": "a picture"}], "must be an array of numbers"),
        ([{"pictures": rows}], "cannot be run on pictures"),
    ):
        with pytest.raises(CalibrationError, match=said):
            compress.calibrate(folder, given)
    with pytest.raises(CalibrationError, match="cannot be run on pixel_values"):
        compress.calibrate(bert, [{"pixel_values": rows}])


def test_sounds_of_other_rates(tmp_path: Path) -> None:
    file = sounds(tmp_path / "files") / "0.wav"
    own, slower = read_wav(file, 8000), read_wav(file, 4000)
    assert len(own) == 2 * len(slower) == 4000
    assert np.abs(own[1000:3000:2] - slower[500:1500]).max() < 0.02
    assert 0.3 < np.abs(own).max() < 1.0
    file.write_bytes(b"RIFF")
    with pytest.raises(CalibrationError, match="is no WAV file"):
        read_wav(file, 8000)


def test_how_much_there_is(tmp_path: Path) -> None:
    images = Samples.of([{"pixel_values": np.zeros((4, 3, 16, 16))}])
    assert (images.count, images.rows, images.extent) == (4, 4, "4 rows")
    ids, mask = np.ones((2, 5), dtype=np.int32), np.array([[1] * 5, [1, 1, 0, 0, 0]])
    text = Samples.of([{"input_ids": ids, "attention_mask": mask}])
    assert (text.count, text.length, text.extent) == (7, 5, "7 tokens")
    assert text.sample(5, seed=0).rows == 2  # 5 of 7 tokens take more than one of two rows
    assert [half.rows for half in Samples.of([{"x": np.zeros((16, 1))}]).halves()] == [8, 8]
