"""The mixture of experts: one graph, transforms, capacity, losses of its routing; and two processes against one."""

import copy

import numpy as np
import pytest
import torch

from infimum.balance import aux_loss
from infimum.errors import OptionError, ShapeError
from infimum.nn import BalancedRouter, MoE, balance_loss, z_loss
from infimum.nn.grouped import grouped_linear, grouped_outer
from tests import gloo
from tests.nn import expert_processes


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


SIZES = torch.tensor([2, 0, 4])


def test_products_of_groups_and_their_gradients():
    x, w = torch.randn(7, 4, dtype=torch.float64), torch.randn(3, 5, 4, dtype=torch.float64)
    y = grouped_linear(x, w, SIZES)
    assert torch.allclose(y, torch.cat([x[:2] @ w[0].T, x[2:6] @ w[2].T, torch.zeros(1, 5, dtype=torch.float64)]))
    outer = grouped_outer(y, x, SIZES)
    assert torch.allclose(outer, torch.stack([y[:2].T @ x[:2], torch.zeros(5, 4), y[2:6].T @ x[2:6]]))
    both = (x.requires_grad_(), w.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: grouped_linear(a, b, SIZES), both)
    assert torch.autograd.gradgradcheck(lambda a, b: grouped_linear(a, b, SIZES), both)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch's own compiler does
@pytest.mark.parametrize("options", [{"shared": 1}, {"capacity": 0.75}, {"mode": "threshold"}], ids=str)
def test_one_graph(options):
    layer = MoE(16, 8, 8, 2, **options)
    plain = copy.deepcopy(layer)
    x, mask = torch.randn(20, 16), torch.arange(20) > 16
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        y, routing = compiled(x, mask)
        y.square().sum().backward()
        expected, wanted = plain(x, mask)
        expected.square().sum().backward()
    assert torch.allclose(y, expected, atol=1e-6)
    assert torch.equal(routing.active, wanted.active)
    assert torch.equal(layer.router.tally, plain.router.tally)
    for ours, theirs in zip(layer.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)


def test_transforms_of_functions():
    layer, x = MoE(16, 8, 8, 2, shared=1), torch.randn(20, 16)
    parameters = dict(layer.named_parameters())
    layer(x)[0].square().sum().backward()
    counted = layer.router.tally.clone()

    def loss(some, t):
        return torch.func.functional_call(layer, some, t)[0].square().sum()

    detached = {name: parameter.detach() for name, parameter in parameters.items()}
    gradients = torch.func.grad(loss)(detached, (x,))
    for name, parameter in parameters.items():
        assert torch.allclose(gradients[name], parameter.grad, atol=1e-6)
    by_x = torch.func.grad(lambda t: layer.router(t).weights.square().sum())(x)
    assert torch.isfinite(by_x).all()
    assert by_x.any()
    assert torch.equal(layer.router.tally, counted), "transforms do not count"


def test_experts_compute_in_the_precision_of_autocast():
    layer, x = MoE(16, 8, 6, 2, shared=1), torch.randn(9, 16)
    with torch.autocast("cpu", torch.bfloat16):
        y, routing = layer(x)
    assert y.dtype == routing.weights.dtype == torch.float32
    expected = layer(x)[0]
    assert not torch.equal(y, expected)
    assert torch.allclose(y, expected, atol=0.02)
    y.sum().backward()
    assert layer.up.grad.dtype == torch.float32


def test_capacity_keeps_the_largest_weights():
    full, x, mask = MoE(16, 8, 8, 2), torch.randn(40, 16), torch.arange(40) > 36
    full.router.expert_bias[0] = 5.0  # takes every token
    layer = MoE(16, 8, 8, 2, capacity=1.2)
    layer.load_state_dict(full.state_dict())
    routing, all_of_them = layer(x, mask)[1], full(x, mask)[1]
    most = 12  # 1.2 * 40 * 2 / 8
    assert torch.equal(routing.experts, all_of_them.experts)
    for expert in range(8):
        chosen = (all_of_them.experts == expert) & all_of_them.active
        kept = (routing.experts == expert) & routing.active
        assert int(kept.sum()) == min(most, int(chosen.sum()))
        assert not (kept & ~chosen).any()
        dropped = chosen & ~kept
        assert not dropped.any() or all_of_them.weights[kept].min() >= all_of_them.weights[dropped].max()
    y = layer(x, mask)[0]
    without = [t for t in range(40) if not routing.active[t].any()]
    assert len(without) >= 3
    assert not y[without].any()
    one = next(t for t in range(37) if routing.active[t].sum() == 1)
    slot = int(routing.active[one].nonzero())
    expert = int(routing.experts[one, slot])
    gate, value = (layer.up[expert] @ x[one]).chunk(2)
    part = layer.down[expert] @ (torch.nn.functional.silu(gate) * value)
    assert torch.allclose(y[one], routing.weights[one, slot] * part, atol=1e-6)
    y.sum().backward()
    assert int(layer.router.tokens_per_expert[0]) == 37, "what is dropped was asked for: it counts"


# ------------------------------------------------------------------ losses


def by_hand(routing, keep, form="switch"):
    n = routing.scores.shape[-1]
    scores = routing.scores[keep]
    counts = torch.bincount(routing.experts[keep][routing.active[keep]].flatten(), minlength=n)
    return aux_loss(scores / scores.sum(-1, keepdim=True), counts, form)


@pytest.mark.parametrize("score", ["sigmoid", "softmax"])
def test_losses_of_batches_and_sequences(score):
    router, x = BalancedRouter(16, 8, 2, score=score), torch.randn(3, 10, 16)
    mask = torch.zeros(3, 10, dtype=torch.bool)
    mask[0, 4:] = mask[2, 9:] = True
    routing = router(x, mask)
    for form in ("switch", "ste"):
        assert balance_loss(routing, form=form, padding_mask=mask).item() == pytest.approx(
            by_hand(routing, ~mask, form).item(), rel=1e-5
        )
        sequences = [by_hand(routing, (torch.arange(3)[:, None] == i) & ~mask, form).item() for i in range(3)]
        found = balance_loss(routing, scope="sequence", form=form, padding_mask=mask)
        assert found.item() == pytest.approx(np.mean(sequences), rel=1e-5)
    found.backward()
    assert router.weight.grad.any()
    everything = balance_loss(router(x))
    assert everything.item() == balance_loss(router(x), scope="global").item()


def test_padding_alone_gives_no_gradient():
    router, x = BalancedRouter(16, 8, 2), torch.randn(1, 5, 16)
    mask = torch.ones(1, 5, dtype=torch.bool)
    (
        balance_loss(router(x, mask), scope="sequence", padding_mask=mask) + z_loss(router(x), padding_mask=mask)
    ).backward()
    assert not router.weight.grad.any()


def test_small_logits():
    router, x = BalancedRouter(16, 8, 2, score="softmax"), torch.randn(10, 16)
    mask = torch.arange(10) > 6
    squares = torch.logsumexp(x @ router.weight.T, -1).square()
    assert z_loss(router(x)).item() == pytest.approx(squares.mean().item(), rel=1e-5)
    assert z_loss(router(x), padding_mask=mask).item() == pytest.approx(squares[:7].mean().item(), rel=1e-5)


@pytest.mark.parametrize("capacity", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_capacity(capacity):
    with pytest.raises(OptionError, match="capacity"):
        MoE(16, 8, 8, 2, capacity=capacity)


def test_bad_losses():
    routing = BalancedRouter(16, 8, 2)(torch.randn(4, 16))
    with pytest.raises(OptionError, match="scope"):
        balance_loss(routing, scope="all")
    with pytest.raises(OptionError, match="global"):
        balance_loss(routing, group=object())
    with pytest.raises(ShapeError, match="padding_mask"):
        z_loss(routing, padding_mask=torch.zeros(3, dtype=torch.bool))


# ------------------------------------------------------------------ two processes


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What two processes over gloo computed."""
    return gloo.results(expert_processes, tmp_path_factory.mktemp("gloo"))


@pytest.mark.parametrize("case", ["all", "one empty"])
def test_experts_of_two_processes_are_those_of_one(both, case):
    expected = expert_processes.results(expert_processes.layer(), expert_processes.batch())
    ranks = [found[case] for found in both]
    for name, wanted in expected.items():
        if name in ("y", "x", "up", "down"):  # own tokens, own experts
            got = torch.cat([found[name] for found in ranks])
        elif name == "loss":
            shares = [len(found["y"]) / sum(expert_processes.SIZES) for found in ranks]
            got = sum(share * found[name] for share, found in zip(shares, ranks, strict=True))
        else:
            got = sum(found[name] for found in ranks if found[name] is not None)
        assert torch.allclose(got, wanted, atol=1e-5), name
    assert expected["up"][4:].abs().sum() > expected["up"][:4].abs().sum() > 0.0


def test_experts_that_do_not_spread_evenly(monkeypatch):
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda group: 3)
    with pytest.raises(OptionError, match="spread evenly"):
        MoE(16, 8, 8, 2, group=object())
