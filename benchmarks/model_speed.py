"""Time and memory of compressed forms of SmolLM2-135M against the dense model, interleaved in one process.

``python -m benchmarks.model_speed --cache FOLDER`` takes the shapes of the model in FOLDER (see
`benchmarks.language_models`) and fills them with random numbers, on which times do not depend: every layer gives up the
same fraction. What our default plan makes of the layers is measured as well where ``language_models --keep`` left such
models in FOLDER. Two tasks: a passage of 512 tokens without a cache, and single tokens after 64 in the cache.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

from benchmarks import machine, model_tables, records
from benchmarks.harness import spread
from infimum import compress
from infimum.cli import language_model
from infimum.nn import LowRankLinear, PivotLinear

PASSAGE, PROMPT, GENERATED = 512, 64, 16  # tokens


def contenders(cache: Path, remove: float) -> Iterator[tuple[str, Any]]:
    """Yield the dense model and its smaller forms."""
    folder = language_model.model_folder(cache)
    config = AutoConfig.from_pretrained(folder)
    yield "dense", AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    checkpoint = compress.open_checkpoint(folder)
    linear = sum(layer.size for layer in checkpoint.layers)
    mlps = sum(layer.size for layer in checkpoint.layers if ".mlp." in layer.name)
    width = round(config.intermediate_size * (1.0 - remove * linear / mlps))
    narrow = AutoConfig.from_pretrained(folder, intermediate_size=width)
    yield "narrower MLPs, uniform", AutoModelForCausalLM.from_config(narrow, dtype=torch.float32)
    for name, make in {"two factors, uniform": two_factors, "pivots, uniform": pivots}.items():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for layer in checkpoint.layers:
            parent, _, child = layer.name.rpartition(".")
            setattr(model.get_submodule(parent), child, make(*layer.shape, 1.0 - remove))
        yield name, model
    planned = cache / f"infimum-{remove:.0%}-0"
    if planned.exists():
        yield "infimum, as planned", compress.load(planned)


def two_factors(m: int, n: int, kept: float) -> LowRankLinear:
    """Return a random layer of the largest rank with r(m + n) <= kept * m n."""
    rank = int(kept * m * n / (m + n))
    return LowRankLinear.from_factors(torch.randn(m, rank) / rank, torch.randn(rank, n) / n)


def pivots(m: int, n: int, kept: float) -> PivotLinear:
    """Return a random layer of the largest rank with r(m + n - r) <= kept * m n."""
    rank = int((m + n - ((m + n) ** 2 - 4 * kept * m * n) ** 0.5) / 2)
    coefficients = torch.randn(m - rank, rank) / rank
    return PivotLinear.from_pivots(torch.randn(rank, n) / n, coefficients, torch.randperm(m))


def passage(model: Any, ids: torch.Tensor) -> float:
    """Return the seconds of one forward pass over a passage."""
    start = time.perf_counter()
    model(input_ids=ids, use_cache=False, logits_to_keep=1)
    return time.perf_counter() - start


def token(model: Any, ids: torch.Tensor) -> float:
    """Return the seconds of one token, the median of several after a prompt."""
    cache = DynamicCache(config=model.config)
    model(input_ids=ids[:, :PROMPT], cache=cache, logits_to_keep=1)
    seconds = []
    for position in range(PROMPT, PROMPT + GENERATED):
        start = time.perf_counter()
        model(input_ids=ids[:, position : position + 1], cache=cache)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


@torch.inference_mode()
def measure(models: dict[str, Any], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Time all models in a new order every round; the first round warms up."""
    rng = np.random.default_rng(0)
    ids = torch.from_numpy(rng.integers(0, 50, (1, PASSAGE)))
    tasks: dict[str, Callable[[Any, torch.Tensor], float]] = {"passage": passage, "token": token}
    seconds: dict[str, dict[str, list[float]]] = {name: {task: [] for task in tasks} for name in models}
    for number in range(rounds + 1):
        for name in rng.permutation(list(models)):
            for task, run in tasks.items():
                elapsed = run(models[name], ids)
                if number:
                    seconds[name][task].append(elapsed)
    return seconds


def main() -> None:
    """Measure, store, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_speed", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fractions", nargs="+", type=float, default=[0.2, 0.3, 0.5])
    parser.add_argument("--out", type=Path, default=records.MODELS / "model_speed.json")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for remove in arguments.fractions:
        models = {name: model.eval().requires_grad_(False) for name, model in contenders(arguments.cache, remove)}
        seconds = measure(models, arguments.rounds)
        rows += [
            {
                "form": name,
                "remove": 0.0 if name == "dense" else remove,
                "bytes": sum(parameter.nbytes for parameter in model.parameters()),
                **{task: _figures(times, seconds["dense"][task]) for task, times in seconds[name].items()},
            }
            for name, model in models.items()
        ]
    document = {
        "name": "model_speed",
        "model": language_model.REQUIREMENT,
        "machine": machine.describe(arguments.threads),
        "rows": rows,
    }
    records.write(arguments.out, document)
    print(model_tables.speeds(document))


def _figures(seconds: list[float], dense: list[float]) -> dict[str, Any]:
    """Return spreads of the time and of the dense model's time over it, taken round by round."""
    return {
        "seconds": spread(seconds),
        "speedup": spread([theirs / own for theirs, own in zip(dense, seconds, strict=True)]),
    }


if __name__ == "__main__":
    main()
