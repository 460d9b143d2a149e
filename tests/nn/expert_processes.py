"""What one of two processes computes (see test_moe and tests.gloo)."""

import torch
from torch import distributed

from infimum import nn
from tests import gloo

SIZES = (3, 5)  # tokens of each process


def layer(group=None, **options):
    """Return the mixture, or the part of it that this process holds."""
    torch.manual_seed(0)
    whole = nn.MoE(16, 8, 8, 2, shared=1, **options)
    whole.router.expert_bias.copy_(torch.linspace(0.0, 0.3, 8))  # towards the second process
    if group is None:
        return whole
    mine = nn.MoE(16, 8, 8, 2, shared=1, group=group, **options)
    state = whole.state_dict()
    for name in ("up", "down"):
        state[name] = state[name].chunk(gloo.WORLD)[distributed.get_rank(group)]
    mine.load_state_dict(state)
    return mine


def batch():
    return torch.randn(sum(SIZES), 16, generator=torch.Generator().manual_seed(1))


def results(moe, x, group=None):
    """Train on the square of the output and the global loss; return outputs, gradients and counts."""
    x = x.clone().requires_grad_()
    y, routing = moe(x)
    loss = nn.balance_loss(routing, scope="global", group=group)
    share = len(x) / sum(SIZES) if group is not None else 1.0
    (y.square().sum() + share * loss).backward()
    gradients = {name: parameter.grad for name, parameter in moe.named_parameters()}
    return {"y": y.detach(), "x": x.grad, **gradients, "tally": moe.router.tally, "loss": loss.detach()}


def main(rank, folder):
    world = distributed.group.WORLD
    x = torch.split(batch(), SIZES)[rank]
    everything = torch.zeros(0, 16) if rank == 0 else batch()
    return {"all": results(layer(world), x, world), "one empty": results(layer(world), everything, world)}


if __name__ == "__main__":
    gloo.run(main)
