"""
Balancing a small mixture of experts
====================================

One language model, eight ways to keep its experts loaded: perplexity beside balance.

A byte-level transformer of two blocks, the second with a mixture of 32 experts of which each token uses four, learns
the documents that ship with Python (`pydoc_data.topics`). All ways share initialisation, batches and optimizer. Every
finished run is stored, so that an interrupted experiment goes on where it stopped; 300 steps of all take about six
minutes on an idle core, and no download:

    python examples/moe_language_model.py runs/ 300

The figures that it produced are on the page about routing in training, whatever they say.
"""

# sphinx_gallery_thumbnail_path = "_static/moe_language_model.png"
from __future__ import annotations

import json
import os
import statistics
import sys
import time
import zlib
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import torch
from torch import nn as torch_nn
from torch.nn import functional

from infimum import balance, nn, optim

WARMUP, BATCH, CONTEXT, WIDTH, HIDDEN, PEAK = 20, 16, 64, 64, 32, 4e-3
EXPERTS, K = 32, 4
SEEDS = (0, 1, 2)
BLOCK = 2048
RULES: dict[str, dict[str, Any]] = {
    "none": {},
    "auxiliary loss 0.01": {"aux": 0.01},
    "sign 0.001": {"rule": "sign", "rate": 1e-3},
    "sign 0.01": {"rule": "sign", "rate": 1e-2},
    "rms 0.001": {"rule": "rms", "rate": 1e-3},
    "rms 0.01": {"rule": "rms", "rate": 1e-2},
    "quantile": {"rule": "quantile"},
    "midpoint": {"rule": "midpoint"},
}


def text() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the bytes of Python's documentation: nine blocks of ten to train on, the rest held out."""
    data = "\n".join(topics[name] for name in sorted(topics)).encode()
    blocks = [data[start : start + BLOCK] for start in range(0, len(data) - BLOCK, BLOCK)]
    held_out = [zlib.crc32(block) % 10 == 0 for block in blocks]
    parts = (b"".join(b for b, out in zip(blocks, held_out, strict=True) if out is wanted) for wanted in (False, True))
    train, test = (torch.frombuffer(bytearray(part), dtype=torch.uint8).long() for part in parts)
    return train, test


class Block(torch_nn.Module):
    """Pre-norm attention and a perceptron, dense or a mixture of experts."""

    def __init__(self, perceptron: torch_nn.Module) -> None:
        super().__init__()
        self.norms = torch_nn.ModuleList([torch_nn.LayerNorm(WIDTH), torch_nn.LayerNorm(WIDTH)])
        self.qkv, self.out = torch_nn.Linear(WIDTH, 3 * WIDTH, bias=False), torch_nn.Linear(WIDTH, WIDTH, bias=False)
        self.perceptron = perceptron

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, nn.Routing]:
        batch, length, _ = x.shape
        heads = self.qkv(self.norms[0](x)).view(batch, length, 3, 4, WIDTH // 4).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        y, routing = self.perceptron(self.norms[1](x))
        return x + y, routing


class Model(torch_nn.Module):
    """A byte-level language model; input and output embedding are one matrix. The first perceptron is dense."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.places = torch_nn.Embedding(256, WIDTH), torch_nn.Embedding(CONTEXT, WIDTH)
        # one expert for all is a dense perceptron
        self.blocks = torch_nn.ModuleList(
            [Block(nn.MoE(WIDTH, K * HIDDEN, 1, 1)), Block(nn.MoE(WIDTH, HIDDEN, EXPERTS, K))]
        )
        self.norm = torch_nn.LayerNorm(WIDTH)
        for embedding in (self.bytes, self.places):
            torch_nn.init.normal_(embedding.weight, std=0.02)

    @property
    def router(self) -> nn.BalancedRouter:
        """The router of the mixture."""
        return self.blocks[1].perceptron.router

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, nn.Routing]:
        """Return the mean cross-entropy of the next byte, in nats, and the routing of the mixture."""
        x = self.bytes(tokens[:, :-1]) + self.places.weight
        for block in self.blocks:
            x, routing = block(x)
        logits = self.norm(x) @ self.bytes.weight.T
        return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()), routing


def counts(routing: nn.Routing) -> torch.Tensor:
    """Count the tokens of every expert."""
    return routing.experts.flatten().bincount(minlength=EXPERTS)


def balance_loss(routing: nn.Routing) -> torch.Tensor:
    """Auxiliary loss on scores that are normalised to sum 1."""
    scores = routing.scores.flatten(0, 1)
    return balance.aux_loss(scores / scores.sum(-1, keepdim=True), counts(routing), "switch")


def windows(data: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    """Cut one window of the context's length (and the next byte) at each start."""
    return data[starts[:, None] + torch.arange(CONTEXT + 1)]


def rate(step: int, steps: int) -> float:
    """Give the learning rate: a warm-up, then a cosine to a tenth of the peak."""
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    return PEAK * (0.55 + 0.45 * float(np.cos(np.pi * (step - WARMUP) / (steps - WARMUP))))


def train(options: dict[str, Any], seed: int, data: torch.Tensor, steps: int) -> tuple[Model, list[float], float]:
    """Train once; return the model, MaxVio of every step, and the seconds of CPU."""
    torch.manual_seed(seed)
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    if "rule" in options:
        optim.BalanceController(model.router, options["rule"], options.get("rate")).attach(optimizer)
    order, violations, started = torch.Generator().manual_seed(seed), [], time.process_time()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate(step, steps)
        starts = torch.randint(len(data) - CONTEXT - 1, (BATCH,), generator=order)
        loss, routing = model(windows(data, starts))
        total = loss + options["aux"] * balance_loss(routing) if "aux" in options else loss
        optimizer.zero_grad()
        total.backward()
        torch_nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        violations.append(balance.max_violation(counts(routing)))
    return model, violations, time.process_time() - started


@torch.no_grad()
def evaluate(model: Model, data: torch.Tensor) -> tuple[float, torch.Tensor, np.ndarray]:
    """Return held-out loss, loads, and the scores of the first 2048 tokens."""
    model.eval()
    starts = torch.arange(0, len(data) - CONTEXT - 1, CONTEXT)
    losses, loads, scores = [], torch.zeros(EXPERTS, dtype=torch.int64), None
    for part in starts.split(2 * BATCH):
        loss, routing = model(windows(data, part))
        losses.append((loss.item(), len(part)))
        loads += counts(routing)
        scores = routing.scores.flatten(0, 1).numpy() if scores is None else scores
    return sum(loss * size for loss, size in losses) / len(starts), loads, scores


def stored(folder: Path, name: str, seed: int) -> Path:
    """Name the file of a run."""
    return folder / f"{name.replace(' ', '-')}-{seed}.json"


def run(name: str, seed: int, folder: Path, data: tuple[torch.Tensor, torch.Tensor], steps: int) -> dict[str, Any]:
    """Train and evaluate once, or read what an earlier call stored."""
    path = stored(folder, name, seed)
    if path.exists():
        return json.loads(path.read_text())
    model, violations, seconds = train(RULES[name], seed, data[0], steps)
    loss, loads, scores = evaluate(model, data[1])
    np.save(path.with_suffix(".npy"), scores)
    result = {
        "perplexity": float(np.exp(loss)),
        "batch": statistics.mean(violations[-steps // 5 :]),
        "global": balance.max_violation(loads),
        "seconds": seconds,
        "bias": model.router.expert_bias.tolist(),
        "violations": [round(v, 3) for v in violations],
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result))
    os.replace(partial, path)
    return result


def dual_gap(scores: np.ndarray, bias: list[float]) -> float:
    """Return by how much the dual bound of a bias exceeds the best balanced score, relative to it."""
    bound = balance.routing_certificate(scores, np.array(bias), K).bound
    return bound / balance.balanced_topk(scores, K).score - 1.0


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Write means and standard deviations over the seeds as a Markdown table."""
    lines = [
        "| | perplexity | MaxVio batch | MaxVio global | dual gap of the bias | CPU |",
        "|---|---|---|---|---|---|",
    ]
    fastest = min(r["seconds"] for runs in results.values() for r in runs)
    for name, runs in results.items():
        cells = [name]
        for key, digits in (("perplexity", 3), ("batch", 2), ("global", 2)):
            values = [r[key] for r in runs]
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}")
        cells.append(f"{statistics.mean(r['gap'] for r in runs):.1e}")
        cells.append(f"{min(r['seconds'] for r in runs) / fastest:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Plot MaxVio over the steps, and perplexity against balance."""
    import matplotlib.pyplot as plt
    from matplotlib import ticker

    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    floor = balance.sampling_noise(BATCH * CONTEXT, EXPERTS, K).max_violation
    for index, (name, runs) in enumerate(results.items()):
        style = {"color": plt.get_cmap("tab10")(index), "label": name}
        curve = np.mean([r["violations"] for r in runs], axis=0)
        smooth = np.convolve(curve, np.ones(20) / 20, mode="valid")
        left.plot(np.arange(len(smooth)) + 10, smooth, **style)
        right.plot([r["global"] for r in runs], [r["perplexity"] for r in runs], "o", **style)
    left.axhline(floor, color="0.5", linestyle=":")
    left.text(0, floor * 1.05, "independent tokens, perfect balance", color="0.5", fontsize=8)
    left.set(xlabel="step", ylabel="MaxVio of the batch, mean of 20 steps", yscale="log")
    right.set(xlabel="MaxVio on held-out text", ylabel="perplexity per byte, one point for each seed", xscale="log")
    right.legend(fontsize=8)
    for axis in (left.yaxis, right.xaxis):
        axis.set_major_locator(ticker.FixedLocator([0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5]))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(ticker.NullLocator())
    fig.savefig(path, dpi=110)


def main(folder: Path, steps: int) -> None:
    """Run what is missing, print the table, draw the figure, store the scores of `sample_data.router_scores`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = text()
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in RULES}
    for seed in SEEDS:
        for name in RULES:
            results[name].append(run(name, seed, folder, data, steps))
            shown = {key: round(results[name][-1][key], 3) for key in ("perplexity", "batch", "global", "seconds")}
            print(name, seed, shown, flush=True)
    for name, runs in results.items():
        for seed, result in zip(SEEDS, runs, strict=True):
            result["gap"] = dual_gap(np.load(stored(folder, name, seed).with_suffix(".npy")), result["bias"])
    np.save(folder / "router_scores.npy", np.load(stored(folder, "sign 0.001", 0).with_suffix(".npy"))[:1024])
    print(table(results))
    draw(results, folder / "moe_language_model.png")


if __name__ == "__main__":
    folder, steps = [*sys.argv[1:], *("moe_language_model", "300")[len(sys.argv) - 1 :]]
    main(Path(folder), int(steps))
