"""
Everything in one training run
==============================

A small mixture-of-experts language model on the documentation that comes with Python, in which the parts of infimum
train together: an embedding of products, routers balanced by a bias, Muon with a certified table, learning rates from a
designed memory of the gradients, a certified polynomial in place of an activation. It is trained on two processes
(FSDP2, gloo), stopped in the middle and resumed, compressed under a budget of bytes, and evaluated; then each part is
taken away in turn, with three seeds. ``make capstone``, or

    python examples/everything/run.py OUTPUT [STEPS]

`NystromAttention` is not among the parts: it has no causal form.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from infimum import compress, memory

sys.path.insert(0, str(Path(__file__).parent))

import parts as capstone
import train

STEPS, SEEDS, REMOVED = 160, (0, 1, 2), 0.6


def main(out: Path, steps: int = STEPS) -> None:
    """Train, resume, compress, evaluate, take parts away; write figures and a picture."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    shutil.rmtree(out, ignore_errors=True)
    found = {"steps": steps, **trained(out, steps)}
    found["memory"] = memory_of_gradients(steps)
    found["compressed"] = compressed(out)
    found["ablation"] = ablation(steps)
    found["minutes"] = (time.perf_counter() - started) / 60.0
    (out / "results.json").write_text(json.dumps(found, indent=1))
    draw(found, out / "everything.png")
    for line in lines(found):
        print(line)


def trained(out: Path, steps: int) -> dict[str, Any]:
    """Train on two processes, without a stop and with one, and write the model."""
    straight = train.on_two_processes(out / "straight", steps)
    train.on_two_processes(out / "stopped", steps, stop=steps // 2 + steps // 10)  # beyond its checkpoint
    resumed = train.on_two_processes(out / "stopped", steps)
    same = straight["fingerprint"] == resumed["fingerprint"] and straight["loss"] == resumed["loss"]
    capstone.write(straight.pop("state"), capstone.Parts(), out / "model")
    keys = ("loss", "max_violation", "singular", "held out")
    return {**{key: straight[key] for key in keys}, "resumed bit for bit": same}


def memory_of_gradients(steps: int) -> dict[str, Any]:
    """Return the memory of the batches that the design leaves, that of warm-up and cosine, and the certificate."""
    schedule = capstone.design(steps)
    cosine = memory.lr_table("cosine", steps, peak=capstone.PEAK, warmup=capstone.WARMUP)
    reports = {
        "designed": memory.report(schedule.lr, schedule.weight_decay, beta1=capstone.MOMENTUM),
        "cosine": memory.report(cosine, capstone.DECAY, beta1=capstone.MOMENTUM),
    }
    weights = {name: (report.batch_weights / report.batch_weights.mean()).tolist() for name, report in reports.items()}
    return {
        "weights": weights,
        "total variation": {name: report.total_variation for name, report in reports.items()},
        "lower bound": schedule.certificate.lower_bound,
    }


def compressed(out: Path) -> dict[str, Any]:
    """Compress the model under a budget of bytes, verify that, and compare losses of the held-out text."""
    text = capstone.tokens()[0][:20_000]
    calibration = text[: len(text) // capstone.CONTEXT * capstone.CONTEXT].reshape(-1, capstone.CONTEXT)
    plan = compress.plan(out / "model", remove=REMOVED, of="bytes", calib=calibration.numpy())
    plan.save(out / "compressed")
    compress.verify(out / "compressed")
    folders = {"before": out / "model", "after": out / "compressed"}
    sizes = {name: sum(f.stat().st_size for f in folder.glob("model*.safetensors")) for name, folder in folders.items()}
    losses = {name: capstone.held_out_loss(compress.load_any(folder)) for name, folder in folders.items()}
    return {"bytes": sizes, "held out": losses}


def ablation(steps: int) -> dict[str, list[float]]:
    """Return the held-out losses of all seeds with all parts, and without each."""
    runs = [capstone.Parts(), *(capstone.Parts(**{part: False}) for part in capstone.Parts._fields)]
    found: dict[str, list[float]] = {}
    for parts in runs:
        for seed in SEEDS:
            result = train.train(parts, steps, seed)
            found.setdefault(capstone.names(parts), []).append(result["held out"])
    return found


def lines(found: dict[str, Any]) -> list[str]:
    """Say in words what was found: a part helps if every seed is worse without it."""
    told = [
        f"loss {found['loss'][0]:.2f} -> {found['held out']:.3f} held out",
        f"resumed bit for bit: {found['resumed bit for bit']}",
        f"compressed: {found['compressed']}",
    ]
    everything = found["ablation"]["everything"]
    for name, losses in found["ablation"].items():
        differences = [loss - own for loss, own in zip(losses, everything, strict=True)]
        verdict = "it helps" if min(differences) > 0.0 else "it hurts" if max(differences) < 0.0 else "no verdict"
        spread = f"{statistics.mean(losses):.3f} ({min(losses):.3f} to {max(losses):.3f})"
        told.append(f"{name}: {spread}" + ("" if name == "everything" else f", {verdict}"))
    return [*told, f"{found['minutes']:.1f} minutes"]


def draw(found: dict[str, Any], file: Path) -> None:
    """Draw the curves of the run, and the ablation."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(13, 7), layout="constrained")
    axes = axes.ravel()
    axes[0].plot(found["loss"])
    axes[0].axhline(found["held out"], ls="--", color="0.5", label="held out, at the end")
    axes[0].legend()
    axes[0].set(title="loss", ylabel="nats a token")
    axes[1].plot(found["max_violation"])
    axes[1].set(title="MaxVio of the routers", ylim=(0.0, None))
    for name, weights in found["memory"]["weights"].items():
        axes[2].plot(weights, label=name)
    axes[2].legend()
    axes[2].set(title="memory of the gradients, mean 1", ylim=(0.0, None))
    low, high = zip(*found["singular"], strict=True)
    steps = [train.WATCHED * index for index in range(len(low))]
    axes[3].plot(steps, low, label="least")
    axes[3].plot(steps, high, label="largest")
    axes[3].legend()
    axes[3].set(title="singular values of an update of Muon", ylim=(0.0, None))
    for index, losses in enumerate(found["ablation"].values()):
        axes[4].plot(losses, [index] * len(losses), "o")
    axes[4].set_yticks(range(len(found["ablation"])), found["ablation"])
    axes[4].invert_yaxis()
    axes[4].set(title="held-out loss of every seed")
    sizes, losses = found["compressed"]["bytes"], found["compressed"]["held out"]
    for name in ("before", "after"):
        axes[5].plot(sizes[name] / 1e3, losses[name], "o", label=f"{name} compression")
    axes[5].legend()
    middle = (losses["before"] + losses["after"]) / 2.0
    axes[5].set(
        title="size and held-out loss", xlabel="kB of weights", xlim=(0.0, None), ylim=(middle - 0.1, middle + 0.1)
    )
    for ax in axes[:4]:
        ax.set_xlabel("step")
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
