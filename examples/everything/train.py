"""One training run of the capstone, on one process or sharded over two, from the start or from a checkpoint."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from infimum import balance, optim

sys.path.insert(0, str(Path(__file__).parent))

import parts as capstone

PROCESSES = 2
WATCHED = 10  # steps between looks at an update of Muon


def train(
    parts: capstone.Parts,
    steps: int,
    seed: int,
    *,
    folder: Path | None = None,
    stop: int | None = None,
) -> dict[str, Any]:
    """Train, and return losses, balance and how orthogonal the momenta became.

    With a folder: on from its checkpoint if there is one, and a checkpoint in the middle. `stop` ends the run early.
    """
    rank, world = (distributed.get_rank(), PROCESSES) if distributed.is_initialized() else (0, 1)
    model = capstone.build(parts, seed)
    if world > 1:
        model = capstone.sharded(model)
    optimizer, scheduler, controller = capstone.trainers(model, parts, steps)
    history: dict[str, Any] = {"loss": [], "max_violation": [], "singular": []}
    done, file = 0, None if folder is None else folder / f"{rank}.pt"
    if file is not None and file.exists():
        done, history = restore(file, model, optimizer, scheduler, controller)
    model.train()
    for step in range(done, steps if stop is None else stop):
        if file is not None and step == steps // 2:
            save(file, step, history, model, optimizer, scheduler, controller)
        batch = capstone.windows(capstone.tokens()[0], seed, step).chunk(world)[rank]
        output = model(input_ids=batch, labels=batch, output_router_logits=True)
        output.loss.backward()
        if not parts.bias:
            history["max_violation"].append(stock_violation(output.router_logits))
        optimizer.step()
        if parts.muon and step % WATCHED == 0:
            history["singular"].append(singular_values(model, optimizer))
        scheduler.step()
        optimizer.zero_grad()
        loss = output.loss.detach() / world
        if world > 1:
            distributed.all_reduce(loss)
        history["loss"].append(float(loss))
        if controller is not None:
            history["max_violation"].append(controller.max_violation())
    return {**history, "held out": capstone.held_out_loss(model), "model": model}


def singular_values(model: Any, optimizer: Any) -> tuple[float, float]:
    """Return the least and the largest singular value of what Muon makes of the momentum of one matrix: 1 is wanted."""
    momentum = whole_tensor(optimizer.state[model.model.layers[1].self_attn.q_proj.weight]["momentum_buffer"])
    values = torch.linalg.svdvals(optim.orthogonalize(momentum, dtype=torch.bfloat16))
    return float(values.min()), float(values.max())


def stock_violation(logits: tuple[torch.Tensor, ...]) -> float:
    """Return MaxVio of routers without a bias, averaged over the layers."""
    chosen = [layer.topk(2, dim=-1).indices.flatten().bincount(minlength=8) for layer in logits]
    return sum(balance.max_violation(counts) for counts in chosen) / len(chosen)


def save(
    file: Path, step: int, history: dict[str, Any], model: Any, optimizer: Any, scheduler: Any, controller: Any
) -> None:
    """Write what this process needs to go on: its shards."""
    state = {
        "step": step,
        "history": history,
        "model": [local(item) for item in model.state_dict().values()],
        "optimizer": [{key: local(item) for key, item in optimizer.state[p].items()} for p in parameters(optimizer)],
        "scheduler": scheduler.state_dict(),
        "controller": None if controller is None else controller.state_dict(),
        "random": torch.get_rng_state(),
    }
    torch.save(state, file)


def restore(file: Path, model: Any, optimizer: Any, scheduler: Any, controller: Any) -> tuple[int, dict[str, Any]]:
    """Go back to what `save` wrote; return the step and the history."""
    state = torch.load(file, weights_only=True)
    with torch.no_grad():
        for own, found in zip(model.state_dict().values(), state["model"], strict=True):
            local(own).copy_(found)
        for parameter, found in zip(parameters(optimizer), state["optimizer"], strict=True):
            for key, item in found.items():
                optimizer.state[parameter][key] = like(item, parameter)
    scheduler.load_state_dict(state["scheduler"])
    if controller is not None:
        controller.load_state_dict(state["controller"])
    torch.set_rng_state(state["random"])
    return state["step"], state["history"]


def parameters(optimizer: Any) -> list[Any]:
    """Return the parameters of an optimizer in order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def local(item: Any) -> Any:
    """Return the shard of this process of a tensor."""
    return item.to_local() if hasattr(item, "to_local") else item


def like(item: Any, parameter: Any) -> Any:
    """Return a shard as a sharded tensor, as the parameter is."""
    if not hasattr(parameter, "to_local") or not isinstance(item, torch.Tensor) or item.ndim == 0:
        return item
    from torch.distributed.tensor import DTensor

    mesh, placements = parameter.device_mesh, parameter.placements
    return DTensor.from_local(item, mesh, placements, run_check=False, shape=parameter.shape, stride=parameter.stride())


def whole(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the state of a model, gathered from all processes."""
    return {name: whole_tensor(item).clone() for name, item in model.state_dict().items()}


def whole_tensor(item: Any) -> torch.Tensor:
    """Return a tensor, gathered if it is sharded."""
    tensor: torch.Tensor = item.full_tensor() if hasattr(item, "full_tensor") else item
    return tensor


def fingerprint(state: dict[str, torch.Tensor]) -> str:
    """Return a hash of every bit of a state."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def on_two_processes(folder: Path, steps: int, *, stop: int | None = None) -> dict[str, Any]:
    """Run this file on two processes; return what the first of them wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "store").unlink(missing_ok=True)
    command = [sys.executable, __file__, str(folder), str(steps), str(stop or steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [subprocess.Popen([*command, str(rank)], env=environment) for rank in range(PROCESSES)]
    ended = [process.wait() for process in started]
    if any(ended):
        raise RuntimeError("a process failed")
    result: dict[str, Any] = torch.load(folder / "result.pt", weights_only=True)
    return result


def main(folder: Path, steps: int, stop: int, rank: int) -> None:
    """Be one of the two processes."""
    torch.set_num_threads(1)
    store = f"file://{folder.resolve() / 'store'}"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=PROCESSES)
    result = train(capstone.Parts(), steps, 0, folder=folder, stop=stop)
    state = whole(result.pop("model"))
    if rank == 0:
        torch.save({**result, "state": state, "fingerprint": fingerprint(state)}, folder / "result.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
