"""What PyTorch's own tests ask of every scheduler, of ours: constructors as there, one for each kind of use."""

import copy
import gc
import io
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import ChainedScheduler, ConstantLR, LRScheduler, SequentialLR

from infimum import memory, optim

SCHEDULE = memory.design("uniform", 40, max_lr=0.05, weight_decay=memory.Proportional(0.4), warmup=5)
PLAIN: dict[str, Callable[..., Any]] = {
    "MemoryLR": lambda o, **options: optim.MemoryLR(o, SCHEDULE, **options),
    "StreamingMemoryLR": lambda o, **options: optim.StreamingMemoryLR(o, max_lr=0.05, weight_decay=0.4, **options),
}
COMPOSED: dict[str, Callable[..., Any]] = {
    "Chained": lambda o: ChainedScheduler([PLAIN["MemoryLR"](o), ConstantLR(o)]),
    "Sequential": lambda o: SequentialLR(o, [ConstantLR(o), PLAIN["MemoryLR"](o)], milestones=[2]),
    "Sequential, streaming": lambda o: SequentialLR(o, [PLAIN["StreamingMemoryLR"](o), ConstantLR(o)], milestones=[2]),
}
MAKERS = PLAIN | COMPOSED


@pytest.fixture
def optimizer():
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.Conv2d(1, 1, 1))
    groups = [{"params": net[0].parameters()}, {"params": net[1].parameters(), "lr": torch.tensor(0.5)}]
    return torch.optim.SGD(groups, lr=0.05, weight_decay=0.1)


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)
def test_no_cyclic_references(make):
    def train():
        parameter = torch.empty(10, requires_grad=True)
        optimizer = torch.optim.SGD([parameter], lr=0.5, weight_decay=0.1)
        scheduler = make(optimizer)
        parameter.sum().backward()
        optimizer.step()
        scheduler.step()
        return weakref.ref(scheduler), weakref.ref(optimizer)

    train()  # what PyTorch loads on first use keeps the frames of its caller alive
    gc.collect()
    gc.disable()
    try:
        assert [alive() for alive in train()] == [None, None], "freed without the garbage collector"
    finally:
        gc.enable()


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)
def test_the_wrong_order_is_pointed_out(make, optimizer):
    scheduler = make(optimizer)
    with pytest.warns(UserWarning, match="how-to-adjust-learning-rate"):
        scheduler.step()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_last_lr_is_what_the_optimizer_uses_and_never_its_tensor(make, optimizer):
    scheduler = make(optimizer)
    for _ in range(10):
        optimizer.step()
        scheduler.step()
        for last, group in zip(scheduler.get_last_lr(), optimizer.param_groups, strict=True):
            assert last == group["lr"]
            assert last is not group["lr"] or not isinstance(last, torch.Tensor)


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_state_survives_a_file(make, optimizer, weights_only):
    scheduler = make(optimizer)
    file = io.BytesIO()
    torch.save(scheduler.state_dict(), file)
    file.seek(0)
    loaded = torch.load(file, weights_only=weights_only)
    again = make(optimizer)
    again.load_state_dict(copy.deepcopy(loaded))
    assert str(again.state_dict()) == str(loaded) == str(scheduler.state_dict())


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)
def test_initial_lr_stays_and_shares_no_memory(make):
    lr = torch.tensor(0.1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.randn(1))], lr=lr, weight_decay=0.1)
    scheduler = make(optimizer)
    initial = copy.deepcopy(optimizer.param_groups[0]["initial_lr"])
    for _ in range(2):
        optimizer.step()
        scheduler.step()
        lr.multiply_(0.1)
        assert optimizer.param_groups[0]["initial_lr"] == initial
        assert scheduler.base_lrs == [initial]
        assert scheduler.base_lrs[0] is not optimizer.param_groups[0]["initial_lr"]


def test_constant_for_a_constant_epoch(optimizer):
    """``step(2)``, deprecated in PyTorch, goes to the third step of the schedule, however often it is called."""
    scheduler = PLAIN["MemoryLR"](optimizer)
    for _ in range(3):
        optimizer.step()
        with pytest.warns(UserWarning, match="epoch parameter"):
            scheduler.step(2)
        assert optimizer.param_groups[0]["lr"] == SCHEDULE.lr[2]
        assert optimizer.param_groups[0]["weight_decay"] == SCHEDULE.weight_decay[2]


def test_checkpoint_by_last_epoch():
    model = torch.nn.Linear(3, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = PLAIN["MemoryLR"](optimizer)
    optimizer.step()
    scheduler.step()
    again = torch.optim.AdamW(model.parameters())
    again.load_state_dict(optimizer.state_dict())
    resumed = PLAIN["MemoryLR"](again, last_epoch=0)
    assert resumed.get_last_lr()[0] == optimizer.param_groups[0]["lr"]
    assert again.param_groups[0]["weight_decay"] == optimizer.param_groups[0]["weight_decay"]


def test_last_epoch_needs_the_initial_lr():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.randn(2, 2))], 0.1)
    with pytest.raises(KeyError, match="'initial_lr' is not specified"):
        PLAIN["MemoryLR"](optimizer, last_epoch=1)


def test_a_pytorch_whose_schedulers_set_the_learning_rate_in_step(monkeypatch, optimizer):
    """Before ``_update_lr`` existed, ``step`` did its work; the weight decay must be written all the same."""

    def step(self, epoch=None):
        self._step_count += 1
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    monkeypatch.setattr(LRScheduler, "step", step)
    monkeypatch.delattr(LRScheduler, "_update_lr")
    scheduler = PLAIN["MemoryLR"](optimizer)
    for count in range(5):
        values = [(float(group["lr"]), group["weight_decay"]) for group in optimizer.param_groups]
        np.testing.assert_allclose(values, [(SCHEDULE.lr[count], SCHEDULE.weight_decay[count])] * 2, rtol=1e-7)
        scheduler.step()


def test_no_warning_in_the_right_order(optimizer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler = PLAIN["MemoryLR"](optimizer)
        for _ in range(5):
            optimizer.step()
            scheduler.step()
    assert scheduler.last_epoch == 5
