"""Images, sound and pairs of texts, as the processor beside a model makes inputs of them."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable, Iterator
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import resample_poly
from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoProcessor

from infimum._arguments import optional
from infimum.compress.measure.samples import PLACES, Samples
from infimum.errors import CalibrationError, CheckpointError

IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
WRITTEN = 24  # tokens that a model writes down
AT_ONCE = 32  # files whose contents are in memory before they are inputs
SOUND = ("input_features", "input_values")  # what models of sound call their inputs


def samples_of(model: Path, path: Path, main_input: str, places: int) -> Samples:
    """Make inputs of the images or .wav files of a folder, by the processor that is beside the model.

    A model that reads text beside images, at so many places, is given the name of each file: "two-dogs.png" as "two
    dogs".

    Raises
    ------
    CalibrationError
        There are no such files, or one cannot be read.
    CheckpointError
        The model's folder has no processor that transformers can read.
    """
    suffixes, what = ({".wav"}, "WAV files") if main_input in SOUND else (IMAGES, "images")
    if not path.is_dir():
        raise CalibrationError(f"a model of {main_input} needs a folder of {what}, or dicts of arrays, got {path}")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
    if not files:
        raise CalibrationError(f"{path} holds no {what} ({', '.join(sorted(suffixes))})")
    process = _sounds(model) if main_input in SOUND else _images(model, places if main_input == "input_ids" else 0)
    batches = (process(files[start : start + AT_ONCE]) for start in range(0, len(files), AT_ONCE))
    return Samples.of(batches, f"{len(files)} {what} in {path.name}")


def _images(model: Path, places: int) -> Callable[[list[Path]], Any]:
    processor = _processor(AutoProcessor if places else AutoImageProcessor, model)
    image = optional("PIL.Image", "report")

    def process(files: list[Path]) -> Any:
        try:
            pictures = [image.open(file).convert("RGB") for file in files]
        except OSError as error:
            raise CalibrationError(f"an image cannot be read: {error}; remove it") from error
        if not places:
            return processor(images=pictures, return_tensors="pt")
        names = [file.stem.replace("-", " ").replace("_", " ") for file in files]
        padding: dict[str, Any] = {"padding": "max_length", "max_length": min(places, PLACES), "truncation": True}
        return processor(text=names, images=pictures, return_tensors="pt", **padding)

    return process


def _sounds(model: Path) -> Callable[[list[Path]], Any]:
    extractor = _processor(AutoFeatureExtractor, model)
    rate = int(extractor.sampling_rate)

    def process(files: list[Path]) -> Any:
        sounds = [read_wav(file, rate) for file in files]
        longest = max(map(len, sounds))  # those whose length the extractor does not fix
        padded = [np.pad(sound, (0, longest - len(sound))) for sound in sounds]
        return extractor(padded, sampling_rate=rate, return_tensors="pt")

    return process


def heard(model: Any, samples: Samples) -> Samples:
    """Let a model that hears and writes write down the most probable tokens: what it is then compared on."""
    batches = []
    with torch.no_grad():
        for given, _ in samples.batches(AT_ONCE):
            known = {"encoder_outputs": model.get_encoder()(**given)}
            ids = torch.full((len(next(iter(given.values()))), 1), model.config.decoder_start_token_id or 0)
            for _ in range(WRITTEN):
                logits = model(**known, decoder_input_ids=ids, use_cache=False).logits
                ids = torch.cat((ids, logits[:, -1:].argmax(dim=-1)), dim=1)
            batches.append(given | {"decoder_input_ids": ids})
    return Samples.of(batches, samples.source)


def _processor(kind: Any, model: Path) -> Any:
    try:
        return kind.from_pretrained(model)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise CheckpointError(f"{model.name} has no processor that transformers can read: {error}") from error


def read_wav(path: Path, rate: int) -> np.ndarray:
    """Read a sound in one channel at a rate of samples per second, float32 in [-1, 1]."""
    try:
        with wave.open(str(path)) as sound:
            width, channels, own = sound.getsampwidth(), sound.getnchannels(), sound.getframerate()
            raw = sound.readframes(sound.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise CalibrationError(f"{path.name} is no WAV file of whole numbers ({error}); convert it first") from error
    kinds: dict[int, Any] = {1: np.uint8, 2: np.dtype("<i2"), 4: np.dtype("<i4")}
    if width not in kinds:
        raise CalibrationError(f"{path.name} has samples of {8 * width} bits; convert it to 16")
    numbers = np.frombuffer(raw, kinds[width]).astype(np.float64)
    numbers = (numbers - 128.0) / 128.0 if width == 1 else numbers / 2.0 ** (8 * width - 1)
    mean = numbers[: len(numbers) // channels * channels].reshape(-1, channels).mean(axis=1)
    common = gcd(rate, own)
    return np.asarray(mean if rate == own else resample_poly(mean, rate // common, own // common), dtype=np.float32)


def read_pairs(path: Path) -> list[tuple[str, str]] | None:
    """Read the lines of a .jsonl file that have "text" and "text_pair"; None where the first has no pair."""
    pairs: list[tuple[str, str]] = []
    for number, line in enumerate(_lines(path)):
        if "text_pair" not in line and not number:
            return None
        one, other = line.get("text"), line.get("text_pair")
        if not isinstance(one, str) or not isinstance(other, str):
            raise CalibrationError(f'{path.name}: each line must have strings "text" and "text_pair", as the first has')
        pairs.append((one, other))
    return pairs or None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield dict(json.loads(line))
    except (OSError, ValueError, TypeError, RecursionError):
        return  # what is wrong with it is said where texts are read


def pairs_of(tokenizer: Any, pairs: list[tuple[str, str]], max_tokens: int, source: str) -> Samples:
    """Tokenise pairs of texts, cut and padded to one length."""
    first, second = zip(*pairs, strict=True)
    options: dict[str, Any] = {"truncation": True, "max_length": max_tokens, "padding": True}
    return Samples.of([tokenizer(list(first), list(second), return_tensors="np", **options)], source)
