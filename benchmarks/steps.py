"""What a training step pays beside the model, as ratios to what it would pay anyway: ``python -m benchmarks.steps``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine, records
from benchmarks.balance import scores_like
from infimum import balance, memory, nn, optim

ROUNDS = 15


def main(out: Path = records.RESULTS / "models" / "steps.json") -> None:
    """Measure, print and store every pair."""
    torch.set_num_threads(1)
    rows = []
    for name, ours, theirs in pairs():
        rows.append({"what": name, **ratio(ours, theirs)})
        print("{what}: {ratio:.2f} ({lowest:.2f} to {highest:.2f}), {seconds:.2e} s".format(**rows[-1]), flush=True)
    records.write(out, {"name": "steps", "machine": machine.describe(1), "rows": rows})


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any]) -> dict[str, float]:
    """Return the median of interleaved ratios of processor times, and their middle half."""
    ratios, seconds = [], []
    for _ in range(ROUNDS + 1):
        begin = time.process_time()
        theirs()
        middle = time.process_time()
        ours()
        end = time.process_time()
        ratios.append((end - middle) / (middle - begin))
        seconds.append(end - middle)
    ratios, seconds = sorted(ratios[1:]), seconds[1:]  # the first round warms up
    low, high = ratios[ROUNDS // 4], ratios[-1 - ROUNDS // 4]
    return {
        "ratio": statistics.median(ratios),
        "lowest": low,
        "highest": high,
        "seconds": statistics.median(seconds),
    }


def pairs() -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Yield what is measured: a name, ours, and what it is measured against."""
    for groups in (1, 8):
        yield f"500 steps of MemoryLR / LambdaLR, {groups} groups", *schedulers(groups)
    for layers in (1, 12):
        for rule in ("quantile", "midpoint"):
            yield (
                f'update "{rule}" / "rms", 1024 x 64, {layers} layers',
                controller(rule, layers),
                controller("rms", layers),
            )
    for tol in (0.0, 1e-2):
        yield f"BalancedVQ 8192 x 1024, tol={tol:g}: training step / evaluation", *quantiser(tol)
    yield "balanced_topk 65536 x 256, k = 8, tol=1e-3 / torch.topk", *routing(1e-3)
    lr = memory.lr_table("cosine", 10**6, peak=1e-3, warmup=1000)
    yield (
        "memory.report of 10**6 steps with beta1 / without",
        lambda: memory.report(lr, 0.1, beta1=0.9),
        lambda: memory.report(lr, 0.1),
    )
    yield (
        "memory.design of 10**6 steps / memory.report of it",
        lambda: memory.design("uniform", 10**6, max_lr=1e-3, weight_decay=0.1, warmup=1000),
        lambda: memory.report(lr, 0.1),
    )


def schedulers(groups: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return steps of our scheduler and of PyTorch's."""
    optimizers = [
        torch.optim.AdamW([{"params": [torch.nn.Parameter(torch.zeros(3))]} for _ in range(groups)]) for _ in range(2)
    ]
    ours = optim.MemoryLR(optimizers[0], memory.design("uniform", 100_000, max_lr=1e-3, weight_decay=0.1))
    theirs = torch.optim.lr_scheduler.LambdaLR(optimizers[1], lambda step: 1.0 / (1.0 + step))
    for optimizer in optimizers:
        optimizer.step()
    return tuple(lambda schedule=schedule: [schedule.step() for _ in range(500)] for schedule in (ours, theirs))


def controller(rule: Any, layers: int) -> Callable[[], Any]:
    """Return an update of the biases of all routers, from the same counts and scores each time."""
    routers = torch.nn.ModuleList([nn.BalancedRouter(32, 64, 8) for _ in range(layers)])
    control = optim.BalanceController(routers, rule=rule)
    x = torch.randn(1024, 32)
    for router in routers:
        router(x).weights.square().sum().backward()
    state = control.state_dict()

    def update() -> None:
        control.load_state_dict(state)
        control.step()

    return update


def quantiser(tol: float) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a step in training, and an evaluation."""
    layer, z = nn.BalancedVQ(32, 1024, tol=tol), torch.randn(8192, 32, requires_grad=True)
    return lambda: layer.train()(z).loss.backward(), lambda: layer.eval()(z)


def routing(tol: float) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a balanced routing, with its certificate, and the unbalanced one."""
    scores = torch.from_numpy(scores_like("skewed sigmoid scores", 65536, 256))
    return lambda: balance.balanced_topk(scores, 8, tol=tol), lambda: scores.topk(8)


if __name__ == "__main__":
    main()
