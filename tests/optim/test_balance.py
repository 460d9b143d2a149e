"""BalanceController: order of the updates, accumulation, skipped steps, resume, and two processes that equal one."""

import copy

import numpy as np
import pytest
import torch

from infimum import balance, nn, optim
from infimum.errors import DTypeError, InfeasibleError, OptionError, ShapeError
from infimum.optim.quantiles import quantile_bias
from tests import gloo
from tests.optim import two_processes

COUNT_RULES = ("sign", "rms", "sgd", "relative", "tanh")


def router(n=8, k=2, **options):
    torch.manual_seed(0)
    return nn.BalancedRouter(16, n, k, **options)


def tokens(step, count=64):
    return torch.randn(count, 16, generator=torch.Generator().manual_seed(step)) + torch.linspace(0, 1, 16)


def backward(layer, x):
    routing = layer(x)
    routing.weights.square().sum().backward()
    return routing


def controlled(layer, rule="rms", kind=torch.optim.SGD, lr=0.0, **options):
    optimizer = kind(layer.parameters(), lr=lr)
    return optimizer, optim.BalanceController(layer, rule, **options).attach(optimizer)


@pytest.mark.parametrize("rule", COUNT_RULES)
def test_the_bias_moves_after_the_model_by_the_loads_of_its_batch(rule):
    layer = router()
    optimizer, controller = controlled(layer, rule, rate=0.01, lr=0.1)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(layer.expert_bias.clone()))
    weight, expected = layer.weight.detach().clone(), torch.zeros(8)
    for step in range(3):
        experts = backward(layer, tokens(step)).experts
        counts = experts.flatten().bincount(minlength=8)
        optimizer.step()
        optimizer.zero_grad()
        assert torch.equal(seen[-1], expected), "the bias must rest until the model is updated"
        expected = balance.update_bias(expected, counts, rule, 0.01)
        assert torch.equal(layer.expert_bias, expected)
        assert torch.equal(controller.loads[0], counts)
        assert controller.max_violation() == balance.max_violation(counts)
        assert not layer.tally.any()
    assert controller.updates == 3
    assert not torch.equal(layer.weight, weight)


@pytest.mark.parametrize("rule", [*COUNT_RULES, "quantile", "midpoint"])
def test_accumulating_four_micro_batches_is_one_batch(rule):
    layers = [router(), router()]
    for layer, parts in zip(layers, (1, 4), strict=True):
        optimizer, _ = controlled(layer, rule)
        for step in range(3):
            for part in tokens(step, 128).chunk(parts):
                backward(layer, part)
            optimizer.step()
    assert torch.equal(layers[0].expert_bias, layers[1].expert_bias)
    assert layers[0].expert_bias.any()


def test_every_second_step():
    once, twice = router(), router()
    optimizer, controller = controlled(once, "rms", every=2)
    other, _ = controlled(twice, "rms")
    for step in range(4):
        backward(once, tokens(step))
        backward(twice, tokens(step))
        optimizer.step()
        if step % 2:
            other.step()
    assert controller.updates == 2
    assert torch.equal(once.expert_bias, twice.expert_bias)


def test_evaluation_and_recomputation_do_not_leak_into_the_update():
    layer, other = router(), router()
    optimizer, _ = controlled(layer, "midpoint")
    plain, _ = controlled(other, "midpoint")
    for step in range(3):
        layer.eval()
        layer(tokens(90 + step))
        layer.train()
        with torch.no_grad():
            layer(tokens(80 + step))
        recompute = torch.utils.checkpoint.checkpoint
        recompute(
            lambda x: layer(x).weights.square().sum(), tokens(step).requires_grad_(), use_reentrant=step == 1
        ).backward()
        backward(other, tokens(step))
        optimizer.step()
        plain.step()
    assert torch.equal(layer.expert_bias, other.expert_bias)


def test_quantile_rules_are_the_sweeps_of_the_posts():
    for midpoint in (False, True):
        layer = router(n=6, k=2)
        optimizer, _ = controlled(layer, "midpoint" if midpoint else "quantile")
        scores = backward(layer, tokens(0, 63)).scores.detach().numpy()  # 21 tokens for each expert
        top = -np.sort(-scores, axis=1)
        alpha = (top[:, 1] + top[:, 2]) / 2 if midpoint else top[:, 2]
        margins = -np.sort(-(scores - alpha[:, None]), axis=0)
        beta = (margins[20] + margins[21]) / 2 if midpoint else margins[21]
        optimizer.step()
        np.testing.assert_allclose(layer.expert_bias.numpy(), -beta + beta.mean(), atol=2e-7)


@pytest.mark.parametrize("midpoint", [False, True])
@pytest.mark.parametrize("threshold", [False, True])
def test_layers_of_equal_size_go_through_one_operation(midpoint, threshold):
    """By histograms, as among processes, with more tokens in one layer than in the other; and each by itself."""
    drawn = torch.Generator().manual_seed(5)
    scores = [torch.rand(m, 6, generator=drawn) for m in (40, 33)]
    scores[0][torch.rand(40, 6, generator=drawn) < 0.2] = -torch.inf
    scores[1][:, 4] = -torch.inf
    bias = 0.1 * torch.rand(2, 6, generator=drawn)
    for load in (torch.full((2, 6), 11.0), torch.linspace(3.0, 20.5, 12).reshape(2, 6)):
        options = {"midpoint": midpoint, "threshold": threshold}
        together = quantile_bias(scores, bias, 2, load.double(), 33, **options)
        for one, own, wanted, found in zip(scores, bias, load.double(), together, strict=True):
            alone = quantile_bias([one], own[None], 2, wanted[None], len(one), **options)[0]
            assert torch.equal(alone, found)
    assert together[1, 4] == bias[1, 4]


def test_midpoint_balances_a_fixed_batch_and_padding_does_not_matter():
    layer, x = router(), tokens(0, 512)
    mask = torch.arange(512) >= 448
    optimizer, controller = controlled(layer, "midpoint")
    backward(layer, x[~mask])
    optimizer.step()
    first, bias = controller.max_violation(), layer.expert_bias.clone()
    layer.expert_bias.zero_()
    padded = torch.where(mask[:, None], 100.0, x)
    for step in range(12):
        layer(padded, mask).weights.square().sum().backward()
        optimizer.step()
        if step == 0:
            assert torch.equal(layer.expert_bias, bias)
    assert first > 0.5
    assert controller.max_violation() < 0.05


def test_moving_average_of_quantiles():
    slow, fast = router(), router()
    slow_optimizer, _ = controlled(slow, "midpoint", rate=0.25)
    fast_optimizer, _ = controlled(fast, "midpoint")
    for layer, optimizer in ((slow, slow_optimizer), (fast, fast_optimizer)):
        backward(layer, tokens(0))
        optimizer.step()
    assert torch.allclose(slow.expert_bias, 0.25 * fast.expert_bias)


def test_momentum_averages_the_steps():
    layer = router()
    optimizer, _ = controlled(layer, "tanh", rate=0.1, momentum=0.5)
    velocity, expected = torch.zeros(8, dtype=torch.float64), torch.zeros(8)
    for step in range(3):
        counts = backward(layer, tokens(step)).experts.flatten().bincount(minlength=8)
        optimizer.step()
        velocity = 0.5 * velocity + 0.5 * balance.update_bias(torch.zeros(8).double(), counts, "tanh", 1.0)
        expected = (expected.double() + 0.1 * velocity).float()
        assert torch.allclose(layer.expert_bias, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("rule", "rate", "steps"), [("midpoint", 1.0, 8), ("quantile", 0.5, 16), ("sign", 4e-3, 80), ("budget", 4e-3, 80)]
)
def test_threshold_routers_find_their_budget(rule, rate, steps):
    layer = router(n=16, k=3, mode="threshold")
    layer.expert_bias.fill_(-0.5)
    optimizer, controller = controlled(layer, rule, rate=rate)
    budgets, violations = [], []
    for _ in range(steps):
        backward(layer, tokens(0, 256))
        optimizer.step()
        budgets.append(float(controller.loads[0].sum()) / 256)
        violations.append(controller.max_violation())
    assert budgets[0] > 4.0
    last = steps // 4
    assert np.mean(budgets[-last:] or budgets[-1:]) == pytest.approx(3.0, rel=0.1)
    assert np.mean(violations[-last:] or violations[-1:]) < (0.03 if rule == "midpoint" else 0.3)


def test_at_most_leaves_a_small_budget_alone():
    layer = router(n=16, k=8, mode="threshold")
    layer.expert_bias.fill_(-0.9)
    optimizer, _ = controlled(layer, "at-most", rate=0.01)
    backward(layer, tokens(0))
    optimizer.step()
    assert layer.expert_bias.mean() == pytest.approx(-0.9, abs=1e-6)


def test_group_limits_with_quantiles():
    layer = router(n=12, k=2, n_groups=4, top_groups=1)  # as many admitted as chosen or one more
    optimizer, controller = controlled(layer, "midpoint", rate=0.5)
    first = None
    for _ in range(40):
        backward(layer, tokens(0, 512))
        optimizer.step()
        first = first or controller.max_violation()
        assert torch.isfinite(layer.expert_bias).all()
    assert controller.max_violation() < first


@pytest.mark.parametrize("fused", [False, True])
def test_gradscaler_skips(fused):
    layer = router()
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3, fused=fused)
    controller = optim.BalanceController(layer).attach(optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for step, good in enumerate((True, False, True)):
        loss = layer(tokens(step)).weights.square().sum()
        scaler.scale(loss * (1.0 if good else torch.inf)).backward()
        before = layer.expert_bias.clone()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        assert torch.equal(before, layer.expert_bias) is not good
    assert controller.updates == 2
    assert controller.loads[0].sum() == 2 * 2 * 64, "the counts of the skipped step wait for the next one"


def test_schedule_and_freeze():
    layer = router()
    optimizer, controller = controlled(layer, "sign", rate=lambda updates: 0.01 if updates < 2 else 0.0)
    biases = []
    for step in range(4):
        backward(layer, tokens(step))
        optimizer.step()
        biases.append(layer.expert_bias.clone())
    assert not torch.equal(biases[0], biases[1])
    assert torch.equal(biases[1], biases[3])
    optimizer, controller = controlled(layer, "sign")
    controller.freeze()
    backward(layer, tokens(5))
    optimizer.step()
    assert torch.equal(layer.expert_bias, biases[3])
    assert controller.loads[0].sum() == 128
    controller.freeze(False)
    backward(layer, tokens(6))
    optimizer.step()
    assert not torch.equal(layer.expert_bias, biases[3])


def test_uneven_load():
    layer = router(n=4, k=1)
    wanted = [4.0, 2.0, 1.0, 1.0]
    optimizer, controller = controlled(layer, "midpoint", load=wanted)
    for _ in range(20):
        backward(layer, tokens(0, 512))
        optimizer.step()
    np.testing.assert_allclose(controller.loads[0].numpy(), [256, 128, 64, 64], atol=8)


@pytest.mark.parametrize("rule", ["rms", "tanh", "midpoint"])
@pytest.mark.parametrize("stop", [4, 5])  # at an update, and between two
def test_resume_is_bit_identical(rule, stop, tmp_path):
    options = {"every": 2, "momentum": 0.5 if rule == "tanh" else 0.0}

    def run(layer, optimizer, first, last):
        for step in range(first, last):
            optimizer.zero_grad()
            backward(layer, tokens(step))
            optimizer.step()

    layer = router()
    optimizer, controller = controlled(layer, rule, torch.optim.AdamW, 1e-2, **options)
    run(layer, optimizer, 0, stop)
    parts = {"model": layer, "optimizer": optimizer, "controller": controller}
    torch.save({name: part.state_dict() for name, part in parts.items()}, tmp_path / "state.pt")
    run(layer, optimizer, stop, 9)
    other = nn.BalancedRouter(16, 8, 2)
    other_optimizer, other_controller = controlled(other, rule, torch.optim.AdamW, 1e-2, **options)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    other.load_state_dict(state["model"])
    other_optimizer.load_state_dict(state["optimizer"])
    other_controller.load_state_dict(state["controller"])
    run(other, other_optimizer, stop, 9)
    assert torch.equal(layer.expert_bias, other.expert_bias)
    assert torch.equal(layer.weight, other.weight)
    assert other_controller.updates == controller.updates == 4


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What two processes over gloo computed."""
    return gloo.results(two_processes, tmp_path_factory.mktemp("gloo"))


def assert_equal(result, expected):
    assert result["updates"] == expected["updates"]
    for key in ("bias", "loads"):
        for got, wanted in zip(result[key], expected[key], strict=True):
            assert torch.equal(got, wanted), key


@pytest.mark.parametrize("rule", two_processes.RULES)
def test_two_processes_are_one(both, rule):
    expected = two_processes.train(two_processes.Model(), rule)
    for result in both:
        assert_equal(result[rule], expected)


@pytest.mark.parametrize(("name", "rule", "every"), [("ddp", "rms", 1), ("fsdp", "midpoint", 1), ("every", "sign", 2)])
def test_wrapped_models_are_one(both, name, rule, every):
    expected = two_processes.train(two_processes.Model(), rule, every=every)
    for result in both:
        assert_equal(result[name], expected)


def test_muon_of_sharded_matrices_is_that_of_whole_ones(both):
    for result in both:
        for got, wanted in zip(result["muon"], two_processes.orthogonal(), strict=True):
            assert torch.allclose(
                got, wanted, atol=2e-3
            )  # products in bfloat16, of gradients that were added otherwise


def test_groups_are_the_callers_choice(both):
    for rank, result in enumerate(both):
        assert_equal(result["groups"], result["midpoint"])
        assert_equal(result["local"], two_processes.train(two_processes.Model(), "rms", rank))
    assert not torch.equal(both[0]["local"]["bias"][0], both[1]["local"]["bias"][0])


def test_order_statistics_do_not_depend_on_the_processes(both):
    values = two_processes.columns(None)
    expected = values.sort(dim=0, descending=True).values.gather(0, two_processes.RANKS - 1)
    assert torch.equal(optim.order_statistics(values, two_processes.RANKS), expected)
    for result in both:
        assert torch.equal(result["columns"], expected)
        assert torch.equal(result["one empty"], expected)


def test_order_statistics_of_extreme_floats():
    tiny, huge = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max
    column = torch.tensor([0.0, -0.0, tiny, -tiny, tiny / 4, huge, -huge, torch.inf, -torch.inf, 1.0, 1.0, -1.0])
    values = column[:, None].expand(-1, 12)
    got = optim.order_statistics(values, torch.arange(1, 13))
    assert got.tolist() == column.sort(descending=True).values.tolist()
    for bad, error in ((column[:, None].double(), DTypeError), (column, ShapeError)):
        with pytest.raises(error):
            optim.order_statistics(bad, torch.ones(1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rule": "adam"}, OptionError),
        ({"rule": "budget"}, OptionError),
        ({"rate": -1.0}, OptionError),
        ({"rate": float("nan")}, OptionError),
        ({"rate": lambda updates: -1.0}, OptionError),
        ({"every": 0}, OptionError),
        ({"momentum": 1.0}, OptionError),
        ({"rule": "midpoint", "momentum": 0.5}, OptionError),
        ({"load": [1.0, 2.0]}, ShapeError),
        ({"load": [float("nan")] * 8}, ShapeError),
        ({"load": [-1.0] + [1.0] * 7}, OptionError),
        ({"load": [9.0] + [1.0] * 7}, InfeasibleError),  # more than every token once
    ],
)
def test_hostile_options(options, error):
    with pytest.raises(error):
        optim.BalanceController(router(), **options)


def test_a_model_without_routers_is_refused():
    with pytest.raises(OptionError, match="BalancedRouter"):
        optim.BalanceController(torch.nn.Linear(2, 2))
    controller = optim.BalanceController(torch.nn.ModuleList([router(), router()]))
    with pytest.raises(ShapeError, match="2 routers"):
        controller.load_state_dict(optim.BalanceController(router()).state_dict())


def test_a_step_without_tokens_changes_nothing():
    for rule in ("rms", "midpoint"):
        layer = router()
        layer.expert_bias.normal_()
        before = copy.deepcopy(layer.expert_bias)
        optimizer, controller = controlled(layer, rule)
        optimizer.step()
        assert torch.equal(layer.expert_bias, before)
        assert controller.updates == 1


def test_metrics_of_every_layer():
    model = torch.nn.ModuleDict({"first": router(), "second": router()})
    controller = optim.BalanceController(model, rule="sign", rate=0.5)
    with torch.no_grad():
        for layer, counts in zip(
            controller.routers, ([8, 8, 8, 8, 8, 8, 8, 8], [64, 0, 0, 0, 0, 0, 0, 0]), strict=True
        ):
            layer.tally.copy_(torch.tensor([*counts, 32]))
    controller.step()
    found = controller.metrics()
    assert found == {
        "max_violation": 3.5,
        "first/max_violation": 0.0,
        "first/load_entropy": pytest.approx(1.0),
        "first/dead_experts": 0.0,
        "first/bias_range": 0.0,
        "second/max_violation": 7.0,
        "second/load_entropy": 0.0,
        "second/dead_experts": 7.0,
        "second/bias_range": 1.0,
    }
    assert all(type(value) is float for value in found.values())
    alone = optim.BalanceController(router())
    assert set(alone.metrics()) == {"max_violation", "load_entropy", "dead_experts", "bias_range"}


@pytest.mark.slow
def test_the_default_rate_of_softmax_scores_is_in_their_size():
    """The same tokens, with drift: at the rate of sigmoid scores the biases of softmax scores overshoot."""

    def worst(rate, score="softmax"):
        torch.manual_seed(0)
        router = nn.BalancedRouter(32, 64, 8, score=score)
        router.weight.data.mul_(3.0)
        router.weight.requires_grad_(False)
        controller, seen = optim.BalanceController(router, rate=rate), []
        for step in range(240):
            router(torch.randn(1024, 32) + 0.5).weights.sum().backward()
            controller.step()
            seen += [controller.max_violation()] if step >= 200 else []
        return sum(seen) / len(seen)

    assert worst(None) == worst(1e-2 / 64) < 0.7 * worst(1e-3)
    assert worst(None, "sigmoid") == worst(1e-3, "sigmoid")
