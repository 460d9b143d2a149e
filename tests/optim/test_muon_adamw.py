"""Stacks, convolutions, fused blocks, shards; and one optimizer with AdamW for all parameters of a model."""

import copy
import io
import os

import pytest
import torch

from infimum import memory, nn, optim
from infimum.errors import LibraryError, OptionError, ShapeError
from infimum.optim.newton_schulz import iterate

SCHEDULE = optim.default_schedule()


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def one_step(value, gradient, **options):
    """Return a parameter after one step from `value`."""
    parameter = torch.nn.Parameter(value.clone())
    parameter.grad = gradient
    optim.Muon([parameter], lr=0.1, weight_decay=0.2, schedule=SCHEDULE, **options).step()
    return parameter.detach()


def close(a, b, atol=2e-3):
    """Equal up to the rounding of batched products in bfloat16, times the rate and the factor of the shape."""
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def test_a_stack_is_every_matrix_alone():
    value, gradient = drawn(5, 12, 8), drawn(5, 12, 8, seed=1)
    alone = torch.stack([one_step(v, g) for v, g in zip(value, gradient, strict=True)])
    close(one_step(value, gradient), alone)
    assert (alone - value).abs().max() > 0.05


def test_experts_of_our_own_layer():
    layer = nn.MoE(16, 8, n_experts=4, k=2)
    layer(drawn(6, 16))[0].sum().backward()
    optimizer = optim.Muon([layer.up, layer.down], schedule=SCHEDULE)
    before = layer.up.detach().clone()
    optimizer.step()
    assert not torch.equal(before, layer.up)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("rule", ["original", "match_rms_adamw"])
def test_a_convolution_is_a_matrix_of_kernels(memory_format, rule):
    value, gradient = drawn(6, 4, 3, 3), drawn(6, 4, 3, 3, seed=1)
    expected = one_step(value.flatten(1), gradient.flatten(1), adjust_lr_fn=rule).reshape(value.shape)
    placed = (t.contiguous(memory_format=memory_format) for t in (value, gradient))
    assert torch.equal(one_step(*placed, layout="convolution", adjust_lr_fn=rule), expected)


@pytest.mark.parametrize("axis", [-2, -1])
@pytest.mark.parametrize("rule", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("foreach", [False, True])
def test_fused_blocks_are_orthogonalised_by_themselves(axis, rule, foreach):
    shape = (20, 8) if axis == -2 else (8, 20)
    value, gradient = drawn(*shape), drawn(*shape, seed=1)
    parts = [
        one_step(v, g, adjust_lr_fn=rule)
        for v, g in zip(value.split((12, 4, 4), axis), gradient.split((12, 4, 4), axis), strict=True)
    ]
    split = optim.Split((12, 4, 4), axis=axis)
    found = one_step(value, gradient, split=split, adjust_lr_fn=rule, foreach=foreach)
    close(found, torch.cat(parts, axis))
    assert (found - one_step(value, gradient, adjust_lr_fn=rule)).abs().max() > 0.01


def test_stacks_of_fused_blocks():
    value, gradient = drawn(3, 16, 6), drawn(3, 16, 6, seed=1)
    halves = [one_step(v, g) for v, g in zip(value.chunk(2, 1), gradient.chunk(2, 1), strict=True)]
    close(one_step(value, gradient, split=optim.Split(2)), torch.cat(halves, 1))


def test_equal_shapes_go_together(monkeypatch):
    shapes = [(8, 6), (5, 9), (8, 6), (3, 8, 6)]
    first, second = ([torch.nn.Parameter(drawn(*s, seed=i)) for i, s in enumerate(shapes)] for _ in range(2))
    for many in (first, second):
        for i, parameter in enumerate(many):
            parameter.grad = drawn(*parameter.shape, seed=10 + i)
    optim.Muon(first, lr=0.1, schedule=SCHEDULE).step()
    seen = []
    from infimum.optim import matrices

    monkeypatch.setattr(matrices, "iterate", lambda M, *rest: seen.append(M.shape) or iterate(M, *rest))
    optim.Muon(second, lr=0.1, schedule=SCHEDULE, foreach=True).step()
    assert [tuple(shape) for shape in seen] == [(5, 8, 6), (1, 5, 9)]
    for a, b in zip(first, second, strict=True):
        close(a, b)


def model():
    torch.manual_seed(0)
    layers = {
        "embedding": torch.nn.Embedding(20, 8),
        "convolution": torch.nn.Conv1d(8, 8, 3),
        "depthwise": torch.nn.Conv1d(8, 8, 3, groups=8),
        "attention": torch.nn.MultiheadAttention(8, 2),
        "qkv_proj": torch.nn.Linear(8, 16, bias=False),
        "experts": nn.MoE(8, 4, n_experts=4, k=2),
        "norm": torch.nn.LayerNorm(8),
        "head": torch.nn.Linear(8, 20, bias=False),
    }
    return torch.nn.ModuleDict(layers)


def named(groups):
    return {
        (group["algorithm"], group.get("layout"), group.get("split"), group.get("weight_decay")): [
            n for n, _ in group["params"]
        ]
        for group in groups
    }


def test_every_parameter_has_one_place():
    groups = named(optim.split_parameters(model(), split={"qkv_proj": optim.Split((8, 4, 4))}))
    assert groups == {
        ("muon", "convolution", None, None): ["convolution.weight"],
        ("muon", None, (3, -2), None): ["attention.in_proj_weight"],
        ("muon", None, None, None): ["attention.out_proj.weight", "experts.down"],
        ("muon", None, ((8, 4, 4), -2), None): ["qkv_proj.weight"],
        ("muon", None, (2, -2), None): ["experts.up"],
        ("adamw", None, None, None): ["embedding.weight", "depthwise.weight", "experts.router.weight", "head.weight"],
        ("adamw", None, None, 0.0): [
            "convolution.bias",
            "depthwise.bias",
            "attention.in_proj_bias",
            "attention.out_proj.bias",
            "norm.weight",
            "norm.bias",
        ],
    }
    listed = sorted(name for names in groups.values() for name in names)
    assert listed == sorted(name for name, _ in model().named_parameters())


def test_ties_frozen_parameters_and_names():
    whole = model()
    whole["head"].weight = whole["embedding"].weight
    whole["norm"].requires_grad_(False)
    groups = named(optim.split_parameters(whole, adamw=["experts"]))
    names = [name for several in groups.values() for name in several]
    assert "embedding.weight" in groups["adamw", None, None, None]
    assert "experts.up" in groups["adamw", None, None, None]
    assert not {"head.weight", "norm.weight"} & set(names)
    tied_first = torch.nn.ModuleDict({"out": torch.nn.Linear(8, 20, bias=False), "table": torch.nn.Embedding(20, 8)})
    tied_first["out"].weight = tied_first["table"].weight
    assert named(optim.split_parameters(tied_first)) == {("adamw", None, None, None): ["table.weight"]}
    with pytest.raises(OptionError, match="'router_of_nobody', but no trainable"):
        optim.split_parameters(whole, adamw=["router_of_nobody"])
    with pytest.raises(OptionError, match="'kv', but no trainable"):
        optim.split_parameters(whole, split={"kv": optim.Split(2)})
    with pytest.raises(OptionError, match="add up"):
        optim.split_parameters(whole, split={"qkv_proj": optim.Split((8, 8, 8))})
    with pytest.raises(LibraryError):
        optim.split_parameters(whole.parameters())


def test_a_stack_of_biases_is_no_matrix():
    experts = torch.nn.Module()
    experts.gate_up_proj = torch.nn.Parameter(torch.ones(3, 8, 4))
    experts.gate_up_proj_bias = torch.nn.Parameter(torch.ones(3, 8))
    groups = named(optim.split_parameters(experts))
    assert groups == {("muon", None, None, None): ["gate_up_proj"], ("adamw", None, None, 0.0): ["gate_up_proj_bias"]}


def test_the_head_that_a_model_names():
    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.out = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 7, bias=False)

        def get_output_embeddings(self):
            return self.out

    groups = named(optim.split_parameters(Named()))
    assert groups == {("muon", None, None, None): ["body.weight"], ("adamw", None, None, None): ["out.weight"]}


def train(whole, optimizers, steps, seed=3):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for parameter in whole.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        for optimizer in optimizers:
            optimizer.step()


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize("foreach", [False, True])
def test_one_optimizer_does_what_two_do(foreach):
    first, second = model(), model()
    one = optim.MuonAdamW(optim.split_parameters(first), lr=0.01, schedule=SCHEDULE, foreach=foreach)
    groups = optim.split_parameters(second)
    muon = [group for group in groups if group["algorithm"] == "muon"]
    rest = [group for group in groups if group["algorithm"] == "adamw"]
    options = {"lr": 0.01, "weight_decay": 0.1, "foreach": foreach}
    two = [
        optim.Muon(muon, schedule=SCHEDULE, adjust_lr_fn="match_rms_adamw", **options),
        torch.optim.AdamW(rest, betas=(0.9, 0.95), **options),
    ]
    train(first, [one], 3)
    train(second, two, 3)
    assert same(first, second)


def test_one_state_resumes_bit_for_bit():
    first = model()
    one = optim.MuonAdamW(
        optim.split_parameters(first, split={"qkv_proj": optim.Split((8, 4, 4))}), lr=0.01, schedule=SCHEDULE
    )
    train(first, [one], 2)
    file = io.BytesIO()
    torch.save([first.state_dict(), one.state_dict()], file)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    second = model()
    other = optim.MuonAdamW(optim.split_parameters(second, split={"qkv_proj": optim.Split((8, 4, 4))}), lr=0.5)
    second.load_state_dict(weights)
    other.load_state_dict(state)
    assert other.param_groups[0]["lr"] == 0.01
    assert [group.get("split") for group in other.param_groups] == [group.get("split") for group in one.param_groups]
    for whole, optimizer in ((first, one), (second, other)):
        train(whole, [optimizer], 2, seed=9)
    assert same(first, second)
    assert same(first, copy.deepcopy(second))


def test_one_scheduler_for_all_groups():
    whole = model()
    optimizer = optim.MuonAdamW(optim.split_parameters(whole), lr=0.01, schedule=SCHEDULE)
    assert optim.verify_memory(optimizer).decay_error < 1e-12
    designed = memory.design("uniform", 20, max_lr=0.02, weight_decay=0.1, warmup=2)
    scheduler = optim.MemoryLR(optimizer, designed)
    train(whole, [optimizer], 1)
    scheduler.step()
    assert {group["lr"] for group in optimizer.param_groups} == {float(designed.lr[1])}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.1}


def test_one_step_of_a_real_loss():
    torch.manual_seed(0)
    whole = torch.nn.Sequential(
        torch.nn.Embedding(12, 8), torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 12)
    )
    optimizer = optim.MuonAdamW(optim.split_parameters(whole), lr=0.02, schedule=SCHEDULE)
    tokens = torch.arange(12)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(whole(tokens), (tokens + 1) % 12)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(40)]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        ({}, OptionError, "algorithm"),
        ({"algorithm": "sgd"}, OptionError, "algorithm"),
        ({"algorithm": "adamw", "betas": (0.9, 1.0)}, OptionError, "betas"),
        ({"algorithm": "adamw", "lr": -1.0}, OptionError, "lr"),
        ({"algorithm": "muon", "layout": "grid"}, OptionError, "layout"),
        ({"algorithm": "muon", "layout": "convolution"}, ShapeError, "as a convolution"),
        ({"algorithm": "muon", "split": (3, 0)}, OptionError, "axis of split"),
        ({"algorithm": "muon", "split": (3, -2)}, OptionError, "add up to 4"),
        ({"algorithm": "muon", "split": ((4, 0), -2)}, OptionError, "add up to 4"),
        ({"algorithm": "muon", "split": (0, -2)}, OptionError, "whole parts"),
    ],
)
def test_bad_groups(group, error, message):
    with pytest.raises(error, match=message):
        optim.MuonAdamW([{"params": [torch.nn.Parameter(torch.ones(4, 6))], **group}])


def test_no_split_of_convolutions():
    kernel = torch.nn.Parameter(torch.ones(4, 2, 3))
    with pytest.raises(OptionError, match="not for convolutions"):
        optim.Muon([kernel], layout="convolution", split=optim.Split(2))


def test_a_sharded_matrix_is_gathered_once():
    """Collectives are counted on a mesh of two ranks of which one is here: none is in the iteration."""
    from torch.distributed.tensor import DTensor, Replicate, Shard
    from torch.distributed.tensor.debug import CommDebugMode
    from torch.testing._internal.distributed.fake_pg import FakeStore

    os.environ.setdefault("MASTER_ADDR", "localhost")
    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (2,))

        def sharded(*shape, place):
            local = list(shape)
            if isinstance(place, Shard):
                local[place.dim] //= 2
            return DTensor.from_local(torch.ones(local), mesh, [place], run_check=False)

        for place, gathers in ((Shard(0), 1), (Shard(1), 1), (Replicate(), 0)):
            parameter = torch.nn.Parameter(sharded(8, 6, place=place))
            parameter.grad = sharded(8, 6, place=place)
            optimizer = optim.Muon([parameter], schedule=SCHEDULE)
            with CommDebugMode() as seen:
                optimizer.step()
            assert seen.get_total_counts() == gathers
            assert parameter.data.placements == (place,)  # type: ignore[attr-defined]
        experts = torch.nn.Parameter(sharded(4, 8, 6, place=Shard(0)))
        experts.grad = sharded(4, 8, 6, place=Shard(0))
        with CommDebugMode() as seen:
            optim.Muon([experts], schedule=SCHEDULE, split=optim.Split(2)).step()
        assert seen.get_total_counts() == 0  # every rank has whole matrices
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.slow  # the compiler takes most of it
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch's own compiler does
def test_all_learning_rates_share_one_graph():
    """The first step makes the state, the second is the graph of all that follow."""
    from torch._dynamo.utils import counters

    torch.manual_seed(0)
    compiled = torch.nn.Sequential(torch.nn.Embedding(10, 8), torch.nn.Linear(8, 8), torch.nn.LayerNorm(8))
    models = [compiled, copy.deepcopy(compiled)]
    optimizers = [optim.MuonAdamW(optim.split_parameters(model), lr=0.02) for model in models]
    torch._dynamo.reset()
    counters.clear()
    steps = [torch.compile(optimizers[0].step, backend="aot_eager"), optimizers[1].step]
    for rate in (0.02, 0.01, 0.005, 0.003):
        for model, optimizer, step in zip(models, optimizers, steps, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
            model(torch.arange(5)).square()[:, ::2].sum().backward()
            step()
            optimizer.zero_grad()
    assert counters["stats"]["unique_graphs"] == 2
    for ours, theirs in zip(compiled.parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-3)  # products in bfloat16 need not round alike
