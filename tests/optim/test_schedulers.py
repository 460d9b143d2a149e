"""MemoryLR as PyTorch's own schedulers are tested, and beyond: weight decay, and a bit-identical resume."""

import copy
import io
import warnings

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR, LinearLR, SequentialLR

import infimum
from infimum import memory, optim
from infimum.cli import main
from infimum.errors import FileFormatError, InfeasibleError, OptionError, ShapeError

SCHEDULE = memory.design("uniform", 40, max_lr=0.05, weight_decay=memory.Proportional(0.4), warmup=5)
LR, DECAY = SCHEDULE.lr, SCHEDULE.weight_decay


def make(kind=torch.optim.AdamW, tensor_lr=False, decay=0.1):
    torch.manual_seed(3)
    model = torch.nn.Linear(4, 3)
    lr = torch.tensor(0.01) if tensor_lr else 0.01
    groups = [{"params": [model.weight], "weight_decay": decay}, {"params": [model.bias], "weight_decay": 0.0}]
    return model, kind(groups, lr=lr)


def train(model, optimizer, scheduler, steps, first=0):
    seen = []
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        loss = (model(torch.randn(8, 4, generator=generator)) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        seen.append([(float(group["lr"]), float(group["weight_decay"])) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize("tensor_lr", [False, True])
def test_writes_both_values_at_every_step(tensor_lr):
    model, optimizer = make(tensor_lr=tensor_lr)
    tensor = optimizer.param_groups[0]["lr"]
    scheduler = optim.MemoryLR(optimizer, SCHEDULE)
    seen = train(model, optimizer, scheduler, 45)
    exact = 1e-7 if tensor_lr else 0.0  # the tensor is float32
    for step, (matrix, bias) in enumerate(seen):
        last = min(step, 39)  # after the end the last values hold
        assert matrix[0] == pytest.approx(LR[last], rel=exact, abs=0.0)
        assert bias[0] == matrix[0]
        assert matrix[1] == DECAY[last]
        assert bias[1] == 0.0, "a group without weight decay keeps none"
    if tensor_lr:
        assert optimizer.param_groups[0]["lr"] is tensor, "the tensor must be filled, not replaced"
        assert scheduler.get_last_lr()[0] is not tensor


def test_a_schedule_for_each_group():
    _, optimizer = make()
    optimizer.param_groups[1]["weight_decay"] = 0.5
    other = memory.design("uniform", 40, max_lr=0.01, weight_decay=0.2)
    optim.MemoryLR(optimizer, [SCHEDULE, other])
    values = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert values == [(LR[0], DECAY[0]), (0.01, 0.2)]
    with pytest.raises(ShapeError, match="2 parameter groups"):
        optim.MemoryLR(optimizer, [SCHEDULE])


@pytest.mark.parametrize("weights_only", [False, True])
def test_state_dict(weights_only):
    """As in PyTorch's tests: a fresh scheduler takes the whole state over, through a file as well."""
    model, optimizer = make()
    scheduler = optim.MemoryLR(optimizer, SCHEDULE)
    train(model, optimizer, scheduler, 10)
    file = io.BytesIO()
    torch.save(scheduler.state_dict(), file)
    file.seek(0)
    fresh = optim.MemoryLR(make()[1], SCHEDULE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh.load_state_dict(torch.load(file, weights_only=weights_only))
    for name, value in scheduler.__dict__.items():
        if name == "optimizer":
            continue
        assert fresh.__dict__[name] == value
    assert fresh.optimizer.param_groups[0]["lr"] == LR[10]
    assert fresh.optimizer.param_groups[0]["weight_decay"] == DECAY[10]


def test_state_is_a_few_numbers():
    """160 MB were stored for 100,000 steps of 100 groups."""
    parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))], "weight_decay": 0.1} for _ in range(100)]
    schedule = memory.report(np.full(100_000, 1e-3), 0.1)
    scheduler = optim.MemoryLR(torch.optim.AdamW(parameters), schedule)
    file = io.BytesIO()
    torch.save(scheduler.state_dict(), file)
    assert file.getbuffer().nbytes < 20_000
    assert len({id(tables) for tables in scheduler._tables}) == 1


@pytest.mark.parametrize("steps", [20, 80])
def test_another_schedule_is_taken_with_a_warning(steps):
    model, optimizer = make()
    scheduler = optim.MemoryLR(optimizer, SCHEDULE)
    train(model, optimizer, scheduler, 25)
    longer = memory.design("uniform", steps, max_lr=0.03, weight_decay=0.2)
    fresh = optim.MemoryLR(make()[1], longer)
    with pytest.warns(UserWarning, match="another schedule .* at step 25 of the one given"):
        fresh.load_state_dict(scheduler.state_dict())
    row = min(25, steps - 1)
    assert fresh.optimizer.param_groups[0]["lr"] == longer.lr[row] == fresh.get_last_lr()[0]
    assert fresh.optimizer.param_groups[0]["weight_decay"] == longer.weight_decay[row]
    old = {key: value for key, value in scheduler.state_dict().items() if key != "schedule_hash"}
    with pytest.warns(UserWarning, match="hash None"):
        fresh.load_state_dict(old | {"lr_table": [torch.tensor(LR)]})  # as it was stored before
    assert fresh.optimizer.param_groups[0]["lr"] == longer.lr[row]


def test_multipliers_keep_the_memory():
    _, optimizer = make()
    optimizer.param_groups[1]["weight_decay"] = 0.5
    scheduler = optim.MemoryLR(optimizer, SCHEDULE, multipliers=[1.0, 0.25])
    for step in range(3):
        matrix, bias = optimizer.param_groups
        assert (matrix["lr"], matrix["weight_decay"]) == (LR[step], DECAY[step])
        assert (bias["lr"], bias["weight_decay"]) == (0.25 * LR[step], 4.0 * DECAY[step])
        optimizer.step()
        scheduler.step()
    plain = optim.MemoryLR(make()[1], SCHEDULE)
    with pytest.warns(UserWarning, match="another schedule"):
        plain.load_state_dict(scheduler.state_dict())
    with pytest.raises(ShapeError, match="multipliers"):
        optim.MemoryLR(optimizer, SCHEDULE, multipliers=[1.0])
    for bad in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(OptionError, match="multipliers"):
            optim.MemoryLR(optimizer, SCHEDULE, multipliers=[1.0, bad])


def test_a_decay_that_nobody_applies_is_told():
    _, optimizer = make(decay=0.0)  # what the Trainer makes unless told otherwise
    with pytest.warns(UserWarning, match="every parameter group has weight decay 0"):
        optim.MemoryLR(optimizer, SCHEDULE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optim.MemoryLR(make()[1], SCHEDULE)
        optim.MemoryLR(make(decay=0.0)[1], memory.report(np.full(5, 0.1), 0.0))


def test_from_the_file_of_the_command_line(tmp_path):
    file = tmp_path / "design.json"
    assert (
        main(
            [
                "memory",
                "design",
                "--steps",
                "40",
                "--max-lr",
                "0.05",
                "--weight-decay",
                "0.4",
                "--json",
                str(file),
                "--quiet",
            ]
        )
        == 0
    )
    expected = memory.design("uniform", 40, max_lr=0.05, weight_decay=0.4)
    model, optimizer = make()
    scheduler = optim.memory_scheduler(optimizer, file, multipliers=[1.0, 2.0])
    seen = train(model, optimizer, scheduler, 5)
    assert [matrix for matrix, _ in seen] == list(zip(expected.lr[:5], expected.weight_decay[:5], strict=True))
    assert [bias[0] for _, bias in seen] == [2.0 * lr for lr in expected.lr[:5]]
    with pytest.raises(FileFormatError, match="cannot be read"):
        optim.memory_scheduler(optimizer, tmp_path / "none.json")
    for text in ("{}", infimum.lowrank.svd(np.eye(3), 1).to_json(), "\udcff"):
        (tmp_path / "other.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(FileFormatError, match=r"other\.json"):
            optim.memory_scheduler(optimizer, tmp_path / "other.json")


def kinds():
    def single(optimizer):
        return optim.MemoryLR(optimizer, SCHEDULE)

    def sequential(optimizer):
        warm = LinearLR(optimizer, 0.1, total_iters=8)
        return SequentialLR(optimizer, [warm, optim.MemoryLR(optimizer, SCHEDULE)], [8])

    def followed(optimizer):
        last = ExponentialLR(optimizer, 0.9)
        return SequentialLR(optimizer, [optim.MemoryLR(optimizer, SCHEDULE), last], [12])

    def streaming(optimizer):
        return optim.StreamingMemoryLR(optimizer, max_lr=0.05, weight_decay=0.4, warmup=3)

    return [single, sequential, followed, streaming]


@pytest.mark.parametrize("stop", [1, 5, 8, 9, 20])
@pytest.mark.parametrize("order", ["scheduler first", "optimizer first"])
@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_resume_is_bit_identical(kind, order, stop):
    """Whether the optimizer's state is loaded before or after the scheduler is made: values and weights agree."""
    model, optimizer = make()
    scheduler = kind(optimizer)
    train(model, optimizer, scheduler, stop)
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict(), scheduler.state_dict()))
    expected = train(model, optimizer, scheduler, 15, stop)

    again, fresh = make(decay=0.7)
    again.load_state_dict(saved[0])
    if order == "scheduler first":
        resumed = kind(fresh)
        fresh.load_state_dict(saved[1])
        resumed.load_state_dict(saved[2])
    else:
        if kind.__name__ == "followed" and stop >= 12:
            pytest.skip("PyTorch's own schedulers do not write their values back in this order")
        fresh.load_state_dict(saved[1])
        resumed = kind(fresh)
        if kind.__name__ == "sequential" and stop < 8:
            pytest.skip("PyTorch's own schedulers do not write their values back in this order")
        resumed.load_state_dict(saved[2])
    assert train(again, fresh, resumed, 15, stop) == expected
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_first_step_after_resume_uses_the_right_weight_decay():
    """The bug of Megatron-LM #7468 and NeMo Automodel #3883: the decay of step 0 was used once after a resume."""
    model, optimizer = make()
    scheduler = optim.MemoryLR(optimizer, SCHEDULE)
    train(model, optimizer, scheduler, 30)
    fresh = make()[1]
    fresh.load_state_dict(optimizer.state_dict())
    resumed = optim.MemoryLR(fresh, SCHEDULE)
    assert fresh.param_groups[0]["weight_decay"] == DECAY[0] != DECAY[30]
    resumed.load_state_dict(scheduler.state_dict())
    assert fresh.param_groups[0]["weight_decay"] == DECAY[30]
    assert fresh.param_groups[0]["lr"] == LR[30]
    assert resumed.get_last_lr() == scheduler.get_last_lr()


def test_sequential():
    model, optimizer = make()
    parts = [ConstantLR(optimizer, 0.5, total_iters=3), optim.MemoryLR(optimizer, SCHEDULE)]
    scheduler = SequentialLR(optimizer, parts, milestones=[3])
    seen = train(model, optimizer, scheduler, 10)
    assert [group[0][0] for group in seen] == [0.005] * 3 + list(LR[:7])
    assert [group[0][1] for group in seen] == [DECAY[0]] * 3 + list(DECAY[:7])


def test_chained():
    model, optimizer = make()
    chained = ChainedScheduler([optim.MemoryLR(optimizer, SCHEDULE), ConstantLR(optimizer, 0.5, total_iters=100)])
    seen = train(model, optimizer, chained, 6)
    assert [group[0][1] for group in seen] == list(DECAY[:6])
    assert [group[0][0] for group in seen][1:] == list(LR[1:6])


def test_last_epoch():
    _, optimizer = make()
    for group in optimizer.param_groups:
        group["initial_lr"] = 0.01
    optim.MemoryLR(optimizer, SCHEDULE, last_epoch=6)
    assert optimizer.param_groups[0]["lr"] == LR[7]


def test_streaming_is_the_exact_rule():
    """With equal wishes: the closed form of the post; with unequal ones: memory in proportion, whenever it stops."""
    model, optimizer = make()
    scheduler = optim.StreamingMemoryLR(optimizer, max_lr=0.05, weight_decay=0.4)
    lr = np.array(train(model, optimizer, scheduler, 300))[:, 0, 0]
    np.testing.assert_allclose(lr, 0.05 / (1 + 0.4 * 0.05 * np.arange(300)), rtol=1e-13)

    for law in (0.4, memory.Proportional(0.4), memory.MatchRMS(0.2)):
        wanted = np.append(1.0, np.random.default_rng(0).uniform(0.2, 0.9, 200))
        _, optimizer = make()
        scheduler = optim.StreamingMemoryLR(optimizer, max_lr=0.05, weight_decay=law)
        seen = []
        for wish in wanted[1:]:
            group = optimizer.param_groups[0]
            seen.append((group["lr"], group["weight_decay"]))
            optimizer.step()
            scheduler.step(wish)
        lr, decay = np.array(seen).T
        for stop in (10, 200):
            measured = memory.report(lr[:stop], decay[:stop], target=wanted[:stop])
            assert measured.max_over_min == pytest.approx(1.0, abs=1e-12)


def test_streaming_warms_up():
    model, optimizer = make()
    scheduler = optim.StreamingMemoryLR(optimizer, max_lr=0.05, weight_decay=0.4, warmup=5)
    lr = np.array(train(model, optimizer, scheduler, 40))[:, 0, 0]
    designed = memory.design("uniform", 40, max_lr=0.05, weight_decay=0.4, warmup=5)
    np.testing.assert_allclose(lr, designed.lr, rtol=1e-13)


def test_refusals():
    _, optimizer = make()
    with pytest.raises(InfeasibleError, match="below 1"):
        optim.StreamingMemoryLR(optimizer, max_lr=0.5, weight_decay=2.0)
    with pytest.raises(OptionError, match="warmup"):
        optim.StreamingMemoryLR(optimizer, max_lr=0.5, weight_decay=0.1, warmup=-1)
    scheduler = optim.StreamingMemoryLR(optimizer, max_lr=0.5, weight_decay=0.1)
    optimizer.step()
    with pytest.raises(OptionError, match="wanted"):
        scheduler.step(0.0)
    without = torch.optim.LBFGS([torch.nn.Parameter(torch.zeros(2))])
    with pytest.raises(OptionError, match="no weight decay"):
        optim.MemoryLR(without, SCHEDULE)


def test_a_measured_schedule_can_be_trained_with():
    """What was read from a log, or drawn as a common shape, goes to PyTorch and to optax like a design."""
    measured = memory.report(memory.lr_table("wsd", 40, peak=0.03, warmup=4), np.linspace(0.1, 0.2, 40))
    _, optimizer = make()
    scheduler = optim.MemoryLR(optimizer, measured)
    lr, decay = optim.as_optax(measured)
    for step in range(6):
        group = optimizer.param_groups[0]
        assert (group["lr"], group["weight_decay"]) == (measured.lr[step], measured.weight_decay[step])
        assert (lr(step), decay(step)) == (measured.lr[step], measured.weight_decay[step])
        optimizer.step()
        scheduler.step()


def test_optax_callables_look_the_schedule_up():
    lr, decay = optim.as_optax(SCHEDULE)
    assert [lr(0), lr(39), lr(99)] == [LR[0], LR[39], LR[39]]
    assert decay(np.int64(7)) == DECAY[7]
    counts = torch.tensor([0, 39, 50])
    assert torch.equal(lr(counts), torch.tensor([LR[0], LR[39], LR[39]], dtype=torch.float64))


def test_optax_callables_are_traced():
    optax = pytest.importorskip("optax")
    import jax

    lr, decay = optim.as_optax(SCHEDULE)
    assert float(jax.jit(lr)(3)) == pytest.approx(LR[3], rel=1e-6)
    optimizer = optax.adamw(learning_rate=lr, weight_decay=decay)
    weights = jax.numpy.ones(3)
    update, _ = jax.jit(optimizer.update)(jax.numpy.zeros(3), optimizer.init(weights), weights)
    assert float(update[0]) == pytest.approx(-LR[0] * DECAY[0], rel=1e-5)
