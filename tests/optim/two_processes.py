"""What one of two processes computes (see test_balance and tests.gloo)."""

import torch
from torch import distributed
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from infimum import nn, optim
from tests import gloo

STEPS, MICRO = 4, 2
RULES = ("sign", "rms", "sgd", "tanh", "quantile", "midpoint")


class Model(torch.nn.Module):
    """Two mixtures whose routers never learn, so that loads depend on the data and the biases alone."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.MoE(16, 8, 8, 2), nn.MoE(16, 8, 12, 3, mode="topk")]
        self.layers = torch.nn.ModuleList(layers)
        for layer in layers:
            layer.router.weight.requires_grad_(False)

    def forward(self, x):
        return sum(layer(x)[0].square().mean() for layer in self.layers)


def batch(step, micro):
    generator = torch.Generator().manual_seed(100 * step + micro)
    return torch.randn(96, 16, generator=generator) + torch.linspace(0, 1, 16)


def share(x, rank):
    """Cut a batch unevenly: 32 tokens for the first process, 64 for the second."""
    return x[:32] if rank == 0 else x[32:]


def train(model, rule, rank=None, group=None, wrapped=None, every=1):
    """Train; `rank` None stands for one process with the whole batch. Return biases and loads."""
    wrapped = wrapped or model
    optimizer = torch.optim.SGD([p for p in wrapped.parameters() if p.requires_grad], lr=0.1)
    controller = optim.BalanceController(wrapped, rule, group=group, every=every).attach(optimizer)
    for step in range(STEPS):
        for micro in range(MICRO):
            x = batch(step, micro)
            wrapped(x if rank is None else share(x, rank)).backward()
        optimizer.step()
        optimizer.zero_grad()
    biases = [layer.router.expert_bias.clone() for layer in model.layers]
    return {"bias": biases, "loads": controller.loads, "updates": controller.updates}


def orthogonal(rank=None):
    """Train with Muon, on one process or sharded over two (FSDP2); return the matrices, gathered."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(16, 12, bias=False), torch.nn.Linear(12, 8, bias=False))
    if rank is not None:
        fully_shard(model)
    optimizer = optim.Muon(model.parameters(), lr=0.1)
    for step in range(STEPS):
        x = batch(step, 0)
        model(x if rank is None else x.chunk(gloo.WORLD)[rank]).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    found = [parameter.detach() for parameter in model.parameters()]
    return [item.full_tensor() if hasattr(item, "full_tensor") else item for item in found]


def columns(rank):
    """Rows of a matrix for each process: many for the first, few for the second; and none at all."""
    values = torch.randn(1000, 5, generator=torch.Generator().manual_seed(7)).round(decimals=1)
    return values if rank is None else (values[:990] if rank == 0 else values[990:])


RANKS = torch.tensor([[1, 10, 500, 999, 1000], [2, 11, 501, 1000, 1000]])


def main(rank, folder):
    world = distributed.group.WORLD
    alone = [distributed.new_group([one]) for one in range(gloo.WORLD)][rank]
    results = {}
    for rule in RULES:
        results[rule] = train(Model(), rule, rank)
    model = Model()
    results["ddp"] = train(model, "rms", rank, wrapped=DistributedDataParallel(model))
    model = Model()
    results["fsdp"] = train(model, "midpoint", rank, wrapped=fully_shard(model))
    results["muon"] = orthogonal(rank)
    results["every"] = train(Model(), "sign", rank, every=2)
    results["groups"] = train(Model(), "midpoint", rank, group=[alone, world])  # replicas alone, then all
    results["local"] = train(Model(), "rms", rank, group=())
    results["columns"] = optim.order_statistics(columns(rank), RANKS, [world])
    nobody = columns(None) if rank == 0 else columns(None)[:0]
    results["one empty"] = optim.order_statistics(nobody, RANKS, [world])
    return results


if __name__ == "__main__":
    gloo.run(main)
