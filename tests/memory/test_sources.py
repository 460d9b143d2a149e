"""Reports of schedules that live in PyTorch, transformers, timm, optax and in files."""

import copy
import importlib.util
import inspect
import sys
import types

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from infimum import memory
from infimum.errors import FileFormatError, OptionError

STEPS = 60

TORCH = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.97**step),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda step: 0.97),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 10, 0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [10, 30], 0.3),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 10),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=20),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.95),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, STEPS + 1, 2.0),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 10, 2),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 7, cycle_momentum=False),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=STEPS + 1),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=10), lr_scheduler.ExponentialLR(o, 0.95)], [10]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.LinearLR(o, 0.1, total_iters=10), lr_scheduler.ExponentialLR(o, 0.95)]
    ),
}


def optimizer():
    layer = torch.nn.Linear(3, 2)
    groups = [{"params": [layer.weight]}, {"params": [layer.bias], "weight_decay": 0.0, "lr": 0.01}]
    return torch.optim.AdamW(groups, lr=0.05, weight_decay=0.4)


def adds_to_one(measured):
    return abs(measured.initial_share + np.sum(measured.weight_decay * measured.weights) - 1.0) < 1e-12


def test_no_torch_scheduler_is_forgotten():
    known = {name for name in lr_scheduler.__all__ if inspect.isclass(getattr(lr_scheduler, name))}
    assert known - {"LRScheduler", "ReduceLROnPlateau"} == set(TORCH)


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", TORCH)
def test_torch(name):
    """The simulation gives what training would, for every scheduler of PyTorch, and touches nothing."""
    own = optimizer()
    scheduler = TORCH[name](own)
    before = copy.deepcopy((own.state_dict(), scheduler.state_dict()))
    measured = memory.from_torch(own, scheduler, STEPS)
    after = (own.state_dict(), scheduler.state_dict())
    assert str(before) == str(after)
    assert len(measured) == 2
    for step in range(STEPS):
        for group, item in zip(own.param_groups, measured, strict=True):
            assert item.lr[step] == group["lr"]
            assert item.weight_decay[step] == group["weight_decay"]
        own.step()
        scheduler.step()
    assert all(adds_to_one(item) for item in measured)
    assert measured[1].initial_share == 1.0


def test_memory_lr_reports_its_own_design():
    from infimum import optim

    schedule = memory.design("uniform", STEPS, max_lr=0.1, weight_decay=memory.Proportional(0.5))
    own = optimizer()
    measured = memory.from_torch(own, optim.MemoryLR(own, schedule), STEPS)[0]
    np.testing.assert_array_equal(measured.lr, schedule.lr)
    np.testing.assert_array_equal(measured.weight_decay, schedule.weight_decay)
    assert measured.max_over_min < 1 + 1e-12


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", ["StepLR", "CosineAnnealingLR", "SequentialLR"])
def test_a_scheduler_stepped_once_an_epoch(name):
    own = optimizer()
    scheduler = TORCH[name](own)
    measured = memory.from_torch(own, scheduler, STEPS, steps_per_epoch=7)[0]
    for step in range(STEPS):
        assert measured.lr[step] == own.param_groups[0]["lr"]
        if (step + 1) % 7 == 0:
            scheduler.step()


@pytest.fixture
def timm_schedulers(monkeypatch):
    """Load timm's schedulers alone: the whole package needs torchvision."""
    found = importlib.util.find_spec("timm")
    if found is None:
        pytest.skip("timm is not installed")
    package = types.ModuleType("timm")
    package.__path__ = list(found.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "timm", package)
    return importlib.import_module("timm.scheduler")


TIMM = ("cosine", "tanh", "step", "multistep", "poly", "wsd", "rsqrt", "constant")


@pytest.mark.filterwarnings("ignore:PlateauLRScheduler is deprecated")
@pytest.mark.parametrize("per_epoch", [True, False])
@pytest.mark.parametrize("kind", TIMM)
def test_timm(timm_schedulers, kind, per_epoch):
    """Told the counts as timm's training loop does it: per epoch or per update, with warm-up and noise."""
    own = optimizer()
    options = {"num_epochs": 12, "warmup_epochs": 2, "decay_epochs": 3, "decay_milestones": [4, 8], "noise": [0.3, 0.9]}
    options |= {"step_on_epochs": per_epoch, "updates_per_epoch": 5}
    scheduler, epochs = timm_schedulers.create_scheduler_v2(own, kind, **options)
    measured = memory.from_torch(own, scheduler, 5 * epochs, steps_per_epoch=5)
    assert all(adds_to_one(item) for item in measured)
    assert len(set(measured[0].lr.tolist())) > 2
    for step in range(5 * epochs):
        for group, item in zip(own.param_groups, measured, strict=True):
            assert item.lr[step] == group["lr"]
        epoch, rest = divmod(step + 1, 5)
        scheduler.step_update(num_updates=step + 1)
        if rest == 0:
            scheduler.step(epoch)


@pytest.mark.filterwarnings("ignore:PlateauLRScheduler is deprecated")
def test_timm_plateau_follows_a_loss(timm_schedulers):
    own = optimizer()
    scheduler, _ = timm_schedulers.create_scheduler_v2(own, "plateau", num_epochs=12)
    with pytest.raises(OptionError, match="PlateauLRScheduler cannot be simulated: it follows a measured loss"):
        memory.from_torch(own, scheduler, 60, steps_per_epoch=5)


def test_torch_refusals():
    own = optimizer()
    with pytest.raises(OptionError, match="ReduceLROnPlateau cannot be simulated"):
        memory.from_torch(own, lr_scheduler.ReduceLROnPlateau(own), STEPS)
    with pytest.raises(OptionError, match="ends after"):
        memory.from_torch(own, lr_scheduler.OneCycleLR(own, 0.1, total_steps=10), STEPS)
    for wrong in ({"steps": 0}, {"steps": 5, "steps_per_epoch": 0}):
        with pytest.raises(OptionError, match="at least 1"):
            memory.from_torch(own, None, **wrong)
    with pytest.raises(OptionError, match="at least 1"):
        memory.from_optax(0.1, 0.1, 0)
    assert memory.from_torch(optimizer(), None, 5)[0].lr[4] == 0.05


def transformers_kinds():
    from transformers import SchedulerType

    return [kind.value for kind in SchedulerType]


@pytest.mark.slow
def test_transformers():
    from transformers import get_scheduler

    extra = {
        "cosine_with_min_lr": {"min_lr": 0.005},
        "cosine_warmup_with_min_lr": {"min_lr": 0.005},
        "warmup_stable_decay": {"num_decay_steps": 10},
    }
    simulated = []
    for kind in transformers_kinds():
        own = optimizer()
        options = {"scheduler_specific_kwargs": extra[kind]} if kind in extra else {}
        scheduler = get_scheduler(kind, own, num_warmup_steps=5, num_training_steps=STEPS, **options)
        if kind in ("reduce_lr_on_plateau", "greedy"):
            with pytest.raises(OptionError, match="cannot be simulated"):
                memory.from_torch(own, scheduler, STEPS)
            continue
        assert all(adds_to_one(item) for item in memory.from_torch(own, scheduler, STEPS)), kind
        simulated.append(kind)
    assert len(simulated) >= 10


def test_optax():
    measured = memory.from_optax(lambda count: 0.1 / (1 + 0.02 * count), 0.2, 50)
    assert measured.max_over_min == pytest.approx(1.0, abs=1e-13)
    optax = pytest.importorskip("optax")
    cosine = optax.warmup_cosine_decay_schedule(0.0, 0.1, 10, 50)
    assert adds_to_one(memory.from_optax(cosine, optax.linear_schedule(0.1, 0.3, 50), 50))


@pytest.fixture
def log(tmp_path):
    def write(text):
        path = tmp_path / "log.csv"
        path.write_text(text)
        return path

    return write


def test_csv(log):
    path = log("step,loss,lr,weight_decay\n1,3.2,0.1,0.2\n2,3.1,0.05,0.2\n3,3.0,0.02,0.1\n")
    measured = memory.from_csv(path)
    expected = memory.report([0.1, 0.05, 0.02], [0.2, 0.2, 0.1])
    np.testing.assert_array_equal(measured.weights, expected.weights)
    renamed = memory.from_csv(path, weight_decay=0.2, step="none", target=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(renamed.weight_decay, 0.2)


def test_csv_gaps(log):
    path = log("step,lr\n10,0.1\n20,0.2\n40,0.1\n")
    with pytest.raises(FileFormatError, match="names 3 of 31 steps; set interpolate"):
        memory.from_csv(path, weight_decay=0.1)
    filled = memory.from_csv(path, weight_decay=0.1, interpolate=True)
    assert filled.lr[5] == pytest.approx(0.15)
    assert filled.steps == 31
    assert filled.warnings[0].startswith("the log starts at step 10: what came before is not counted")
    assert not memory.from_csv(log("step,lr\n1,0.1\n2,0.2\n"), weight_decay=0.1).warnings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at least one row"),
        ("step,lr,weight_decay\n", "at least one row"),
        ("step,rate,weight_decay\n1,0.1,0.1\n", "no column 'lr', only step, rate, weight_decay"),
        ("step,lr\n1,0.1\n", "no column 'weight_decay'.*as a number"),
        ("step,lr,weight_decay\n1,fast,0.1\n", "row 2, column 'lr': a number was expected, got 'fast'"),
        ("step,lr,weight_decay\n1,0.1\n", "got nothing"),
        ("step,lr,weight_decay\n1,nan,0.1\n", "not finite"),
        ("step,lr,weight_decay\n2,0.1,0.1\n1,0.1,0.1\n", "increasing whole numbers"),
    ],
)
def test_csv_refusals(log, text, words):
    with pytest.raises(FileFormatError, match=words):
        memory.from_csv(log(text))
