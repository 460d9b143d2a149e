"""
Six schedules on real text
==========================

One small language model, six schedules: held-out loss beside memory.

A byte-level transformer (two layers, 119 thousand parameters) learns the source of Python's standard library. All
schedules share the optimizer, the batches, the warm-up and the product of learning rate and weight decay at the peak.
The peak is tuned on seed 0, over one grid for all, and the tuned run is repeated with six other seeds. It needs no
download and takes about half an hour of one idle core; every run is stored as it ends, so it can be stopped, and goes
on where it was:

    python examples/schedules_on_text.py schedules_on_text.json

What came out is kept in ``examples/schedules_on_text.json`` and shown on the page of `infimum.memory.design` in the
documentation, whatever it says.
"""

# sphinx_gallery_thumbnail_path = "_generated/schedules_on_text.png"
from __future__ import annotations

import json
import math
import os
import sys
import sysconfig
import zlib
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from infimum import memory, optim

STEPS, WARMUP, BATCH, CONTEXT, WIDTH = 600, 30, 16, 64, 64
KAPPA = 3.0  # sum of lr * weight_decay at a constant peak
PEAKS = (0.003, 0.006, 0.012, 0.024)
SEEDS = (1, 2, 3, 4, 5, 6)
BLOCK, SPREAD = 4096, 0.02  # bytes that are held out together; standard deviation of the initial weights
SHAPES = ("constant", "cosine", "linear", "wsd")
NAMES = (*SHAPES, "uniform", "uniform, proportional")


def text() -> tuple[torch.Tensor, torch.Tensor]:
    """Return bytes of the standard library: nine blocks of ten to train on, the rest held out."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    data = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    blocks = [data[start : start + BLOCK] for start in range(0, len(data) - BLOCK, BLOCK)]
    held_out = [zlib.crc32(block) % 10 == 0 for block in blocks]
    parts = (b"".join(b for b, out in zip(blocks, held_out, strict=True) if out is wanted) for wanted in (False, True))
    train, test = (torch.frombuffer(bytearray(part), dtype=torch.uint8).long() for part in parts)
    return train, test


class Block(nn.Module):
    """Pre-norm attention and a perceptron of four times the width."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        heads = self.qkv(self.norms[0](x)).view(batch, length, 3, 4, WIDTH // 4).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.down(functional.gelu(self.up(self.norms[1](x))))


class Model(nn.Module):
    """A byte-level language model; input and output embedding are one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.places = nn.Embedding(256, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks, self.norm = nn.Sequential(Block(), Block()), nn.LayerNorm(WIDTH)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=SPREAD)

    def loss(self, tokens: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the next byte, in nats."""
        x = self.bytes(tokens[:, :-1]) + self.places.weight
        logits = self.norm(self.blocks(x)) @ self.bytes.weight.T
        return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def schedule(name: str, peak: float) -> memory.MemoryReport:
    """Measure a schedule; lr * weight_decay at the peak is the same for all."""
    decay = KAPPA / (peak * STEPS)
    if name in SHAPES:
        return memory.report(memory.lr_table(name, STEPS, peak=peak, warmup=WARMUP), decay)
    law = memory.Proportional(decay) if name == "uniform, proportional" else decay
    designed = memory.design("uniform", STEPS, max_lr=peak, weight_decay=law, warmup=WARMUP)
    return memory.report(designed.lr, designed.weight_decay)


def windows(data: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    """Cut one window of the context's length (and the next byte) at each start."""
    return data[starts[:, None] + torch.arange(CONTEXT + 1)]


def train(name: str, peak: float, seed: int, data: tuple[torch.Tensor, torch.Tensor]) -> dict[str, float]:
    """Train once; return the held-out loss and the RMS of the decayed weights. Batches depend on the seed alone."""
    torch.manual_seed(seed)
    model = Model()
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95))
    scheduler = optim.MemoryLR(optimizer, schedule(name, peak))
    order = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        starts = torch.randint(len(data[0]) - CONTEXT - 1, (BATCH,), generator=order)
        optimizer.zero_grad()
        model.loss(windows(data[0], starts)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        starts = torch.arange(0, len(data[1]) - CONTEXT - 1, 4 * CONTEXT)
        parts = [(model.loss(windows(data[1], part)).item(), len(part)) for part in starts.split(256)]
        square = sum(float(p.double().square().sum()) for p in matrices) / sum(p.numel() for p in matrices)
    return {"loss": sum(loss * count for loss, count in parts) / len(starts), "rms": math.sqrt(square)}


def run(path: Path) -> None:
    """Tune on seed 0, then repeat the best peak with every seed; runs that the file already holds are kept."""
    data = text()
    setting = {
        "steps": STEPS,
        "warmup": WARMUP,
        "batch": BATCH,
        "context": CONTEXT,
        "kappa": KAPPA,
        "train bytes": len(data[0]),
        "held-out bytes": len(data[1]),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
    }
    runs = []
    if path.exists():
        stored = json.loads(path.read_text())
        runs = stored.pop("runs")
        if stored != setting:
            raise SystemExit(f"{path} holds runs of another setting; move it away\n{stored}\n{setting}")
    done = {(row["schedule"], row["peak"], row["seed"]): row for row in runs}

    def trained(name: str, peak: float, seed: int) -> float:
        if (name, peak, seed) not in done:
            row = {"schedule": name, "peak": peak, "seed": seed, **train(name, peak, seed, data)}
            done[name, peak, seed] = row
            whole = path.with_suffix(".part")
            whole.write_text(json.dumps({**setting, "runs": list(done.values())}, indent=1) + "\n")
            os.replace(whole, path)
            print(json.dumps(row), flush=True)
        return done[name, peak, seed]["loss"]

    for name in NAMES:
        tuning = {peak: trained(name, peak, 0) for peak in PEAKS}
        for seed in SEEDS:
            trained(name, min(tuning, key=tuning.__getitem__), seed)


if __name__ == "__main__":
    run(Path(sys.argv[1] if len(sys.argv) > 1 else "schedules_on_text.json"))
