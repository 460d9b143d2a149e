"""Which optimizers obey the identity, and why the others do not."""

import pytest
import torch

from infimum import memory, optim
from infimum.errors import OptionError, VerificationError

OBEDIENT = {
    "AdamW": lambda p: torch.optim.AdamW(p, weight_decay=0.1),
    "AdamW amsgrad, one by one": lambda p: torch.optim.AdamW(p, weight_decay=0.1, amsgrad=True, foreach=False),
    "Adam without decay": lambda p: torch.optim.Adam(p, weight_decay=0.0),
    "NAdam decoupled": lambda p: torch.optim.NAdam(p, weight_decay=0.1, decoupled_weight_decay=True),
    "Muon": lambda p: torch.optim.Muon(p, weight_decay=0.1),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.1),
    "SGD with momentum, no decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
}
COUPLED = {
    "Adam": (lambda p: torch.optim.Adam(p, weight_decay=0.1), "use AdamW"),
    "NAdam": (lambda p: torch.optim.NAdam(p, weight_decay=0.1), "decoupled_weight_decay"),
    "RMSprop": (lambda p: torch.optim.RMSprop(p, weight_decay=0.1), "L2"),
    "SGD": (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1), "accumulated like a gradient"),
    "Adafactor": (lambda p: torch.optim.Adafactor(p, weight_decay=0.1), "not multiplied"),
}


class IgnoresDecay(torch.optim.AdamW):
    """The bug of a decay that never happens."""

    def step(self, closure=None):
        kept = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            group["weight_decay"] = 0.0
        super().step(closure)
        for group, decay in zip(self.param_groups, kept, strict=True):
            group["weight_decay"] = decay


class RateInsideMomentum(torch.optim.SGD):
    """The learning rate enters the accumulated momentum, so past updates keep the old rate."""

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                state["v"] = 0.9 * state.get("v", 0.0) + group["lr"] * parameter.grad
                with torch.no_grad():
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(state["v"])


def parameters():
    return [torch.nn.Parameter(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)))]


@pytest.mark.parametrize("name", OBEDIENT)
def test_obedient(name):
    optimizer = OBEDIENT[name](parameters())
    check = optim.verify_memory(optimizer)
    assert check.decay_error < 1e-12
    assert check.update_error < 1e-9


@pytest.mark.parametrize("name", COUPLED)
def test_coupled(name):
    make, reason = COUPLED[name]
    with pytest.raises(VerificationError, match=reason):
        optim.verify_memory(make(parameters()))


@pytest.mark.parametrize(
    ("kind", "reason"), [(IgnoresDecay, "not multiplied"), (RateInsideMomentum, "depends on the learning rate")]
)
def test_silent_bugs(kind, reason):
    with pytest.raises(VerificationError, match=reason):
        optim.verify_memory(kind(parameters(), lr=0.1, weight_decay=0.2))


def test_the_optimizer_is_left_alone():
    weights = parameters()
    optimizer = torch.optim.AdamW(weights, weight_decay=0.1)
    weights[0].grad = torch.ones_like(weights[0])
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    optimizer.step()
    before = (weights[0].detach().clone(), optimizer.state[weights[0]]["exp_avg"].clone(), scheduler.get_last_lr())
    optim.verify_memory(optimizer)
    assert torch.equal(weights[0], before[0])
    assert torch.equal(optimizer.state[weights[0]]["exp_avg"], before[1])
    assert optimizer.state[weights[0]]["step"] == 1
    assert scheduler.get_last_lr() == before[2]


def test_reports_refuse_coupled_optimizers():
    with pytest.raises(OptionError, match="use AdamW"):
        memory.from_torch(COUPLED["Adam"][0](parameters()), None, 10)
