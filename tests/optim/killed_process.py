"""A sharded run whose second process is killed in the middle of a step, and that goes on from its checkpoint."""

import os
import signal

import torch
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard

from infimum import memory, nn, optim
from tests import gloo

STEPS, EVERY, KILLED = 8, 2, 5  # steps in all, between checkpoints, and before the one in which a process is killed


class Model(torch.nn.Module):
    """An embedding of products, a mixture of experts and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.ProductEmbedding(40, 16)
        self.mixture = nn.MoE(16, 8, 8, 2)
        self.head = torch.nn.Linear(16, 40)

    def forward(self, ids):
        return self.head(self.mixture(self.embedding(ids))[0])


class Run:
    """A model with all that trains it, and what a checkpoint holds of it."""

    def __init__(self):
        self.model = Model()
        fully_shard(self.model)
        groups = optim.split_parameters(self.model)
        self.optimizer = optim.MuonAdamW(groups, lr=0.05, schedule=optim.default_schedule())
        self.scheduler = optim.MemoryLR(self.optimizer, memory.design("uniform", STEPS, max_lr=0.05, weight_decay=0.5))
        self.controller = optim.BalanceController(self.model, "midpoint").attach(self.optimizer)
        self.losses = []

    def step(self, rank, kill):
        ids = torch.randint(40, (2 * gloo.WORLD, 12), generator=torch.Generator().manual_seed(len(self.losses)))
        ids = ids.chunk(gloo.WORLD)[rank]
        loss = torch.nn.functional.cross_entropy(self.model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        if kill and rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        self.losses.append(float(loss.detach()))

    def state(self):
        model, optimizer = get_state_dict(self.model, self.optimizer)
        others = {"scheduler": self.scheduler.state_dict(), "controller": self.controller.state_dict()}
        return {"model": model, "optimizer": optimizer, **others}

    def save(self, folder, rank):
        torch.save(self.losses, folder / f"losses-{rank}.pt")
        state_dict_saver.save(self.state(), checkpoint_id=folder / f"{len(self.losses)}")

    def restore(self, folder, rank):
        state = self.state()
        whole = [file.parent for file in folder.glob("*/.metadata")]  # written last
        state_dict_loader.load(state, checkpoint_id=max(whole, key=lambda found: int(found.name)))
        set_state_dict(self.model, self.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.controller.load_state_dict(state["controller"])
        self.losses = torch.load(folder / f"losses-{rank}.pt")


def main(rank, folder):
    """Run through; then again until one process is killed. Started once more, go on from the checkpoint."""
    run = Run()
    restarted = (folder / "straight-0.pt").exists()
    if restarted:
        run.restore(folder, rank)
    else:
        while len(run.losses) < STEPS:
            run.step(rank, kill=False)
        torch.save(found(run), folder / f"straight-{rank}.pt")
        run = Run()
    while len(run.losses) < STEPS:
        run.step(rank, kill=len(run.losses) == KILLED and not restarted)
        if len(run.losses) % EVERY == 0:
            run.save(folder, rank)
    return found(run)


def found(run):
    state = {name: getattr(item, "full_tensor", item.clone)() for name, item in run.model.state_dict().items()}
    return {"losses": run.losses, **state}


if __name__ == "__main__":
    gloo.run(main)
