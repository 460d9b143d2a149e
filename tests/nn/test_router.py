"""BalancedRouter: selection, gates, counting, precision, recomputation, compilation, names in other code bases."""

import copy
import functools
import io
from typing import Any

import pytest
import torch
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from infimum.errors import OptionError, ShapeError
from infimum.nn import BalancedRouter, MoE
from infimum.optim import BalanceController


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def backward(routing):
    routing.weights.square().sum().backward()


def test_the_bias_chooses_and_the_gate_stays():
    router = BalancedRouter(16, 8, 2, normalize=False, scale=3.0)
    x = torch.randn(4, 5, 16)
    scores = torch.sigmoid(x @ router.weight.T)
    router.expert_bias.copy_(torch.tensor([5.0, 4.0, 0, 0, 0, 0, 0, 0]))
    routing = router(x)
    assert routing.experts.sort(-1).values.flatten(0, 1).unique(dim=0).tolist() == [[0, 1]]
    assert torch.equal(routing.weights, 3.0 * scores.gather(-1, routing.experts))
    assert torch.allclose(routing.scores, scores)
    assert routing.active.all()
    normalized = BalancedRouter(16, 8, 2)(x).weights
    assert torch.allclose(normalized.sum(-1), torch.ones(4, 5))
    backward(routing)
    assert router.weight.grad[:2].abs().min() > 0, "gradients flow through the gates"
    assert not router.weight.grad[2:].any(), "and not through the selection"


def test_gate_is_decoupled_from_the_selection():
    x = torch.randn(6, 16)
    router = BalancedRouter(16, 8, 3, score="sigmoid", gate="softmax", normalize=False)
    logits = x @ router.weight.T
    routing = router(x)
    assert torch.equal(routing.experts, logits.topk(3).indices)
    assert torch.allclose(routing.weights, logits.softmax(-1).gather(-1, routing.experts))
    own = BalancedRouter(16, 8, 3, gate=torch.relu, normalize=False)
    routing = own(x)
    assert torch.allclose(routing.weights, (x @ own.weight.T).relu().gather(-1, routing.experts))


def test_group_limits_hold_when_scores_are_negative():
    router = BalancedRouter(16, 12, 4, n_groups=4, top_groups=2)
    router.expert_bias.fill_(-2.0)  # masking with 0 would prefer the experts that are to be kept out
    x = torch.randn(50, 16)
    routing = router(x)
    biased = torch.sigmoid(x @ router.weight.T) - 2.0
    worth = biased.reshape(50, 4, 3).topk(2, dim=-1).values.sum(-1)
    best = worth.topk(2).indices.sort(-1).values
    for row in range(50):
        groups = (routing.experts[row] // 3).unique()
        assert set(groups.tolist()) <= set(best[row].tolist())
        outside = [e for e in range(12) if e // 3 not in best[row].tolist()]
        masked = biased[row].clone()
        masked[outside] = -torch.inf
        assert set(routing.experts[row].tolist()) == set(masked.topk(4).indices.tolist())


def test_threshold_mode_takes_what_is_above():
    router = BalancedRouter(64, 32, 4, mode="threshold", normalize=False)
    x = torch.randn(2000, 64)
    routing = router(x)
    scores = torch.sigmoid(x @ router.weight.T)
    assert torch.equal(routing.active, scores + router.expert_bias > 0)
    assert torch.equal(routing.weights, torch.where(routing.active, scores, 0.0))
    assert routing.active.sum(-1).float().mean() == pytest.approx(4.0, rel=0.1)
    backward(routing)
    assert torch.equal(router.tokens_per_expert, routing.active.sum(0))
    assert not routing.active.any(-1).all()
    assert router.tally[-1] == 2000, "tokens without an expert are tokens"


def test_counts_only_what_is_trained():
    router = BalancedRouter(16, 8, 2)
    x = torch.randn(10, 16)
    with torch.no_grad():
        router(x)
    router.eval()
    backward(router(x))
    assert not router.tally.any()
    router.train()
    routing = router(x)
    backward(routing)
    assert torch.equal(router.tokens_per_expert, routing.experts.flatten().bincount(minlength=8))
    assert router.tally[-1] == 10


def test_a_frozen_router_still_counts_while_its_experts_learn():
    layer = MoE(16, 8, 8, 2)
    layer.router.weight.requires_grad_(False)
    layer(torch.randn(10, 16))[0].sum().backward()
    assert layer.router.tally[-1] == 10
    assert layer.up.grad.any()


def selective():
    policy = lambda ctx, op, *args, **kwargs: CheckpointPolicy.PREFER_RECOMPUTE  # noqa: E731
    return create_selective_checkpoint_contexts(policy)


KINDS = {
    "reentrant": functools.partial(checkpoint, use_reentrant=True),
    "non-reentrant": functools.partial(checkpoint, use_reentrant=False),
    "selective": functools.partial(checkpoint, use_reentrant=False, context_fn=selective),
}


@pytest.mark.parametrize("kind", KINDS)
def test_recomputation_does_not_count(kind):
    layer = torch.nn.Sequential(torch.nn.Linear(16, 16), MoE(16, 8, 8, 2))
    router: Any = layer[1].router
    router.recorded = []
    x = torch.randn(10, 16, requires_grad=True)
    layer(x)[0].sum().backward()
    expected, gradient = router.tally.clone(), router.weight.grad.clone()
    layer.zero_grad()
    router.tally.zero_()
    KINDS[kind](lambda t: layer(t)[0], x).sum().backward()
    assert torch.equal(router.tally, expected)
    assert torch.allclose(router.weight.grad, gradient)
    assert len(router.recorded) == 2
    assert torch.equal(*router.recorded)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch's own compiler does
@pytest.mark.parametrize(("mode", "recompute"), [("topk", False), ("topk", True), ("threshold", False)])
def test_compiles_without_a_graph_break(mode, recompute):
    options = {} if mode == "threshold" else {"n_groups": 4, "top_groups": 2}
    router = BalancedRouter(16, 8, 2, mode=mode, **options)
    plain = copy.deepcopy(router)
    x, mask = torch.randn(10, 16), torch.arange(10) > 7

    def route(x, mask):
        return checkpoint(router, x, mask, use_reentrant=False) if recompute else router(x, mask)

    compiled = torch.compile(route, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        backward(compiled(x, mask))
        backward(plain(x, mask))
    assert torch.equal(router.tally, plain.tally)
    assert torch.allclose(router.weight.grad, plain.weight.grad)
    with torch.no_grad():
        compiled(x, mask)
    assert torch.equal(router.tally, plain.tally)


def test_padding_is_neither_routed_nor_counted():
    router = BalancedRouter(16, 8, 2)
    router.recorded = []
    x, mask = torch.randn(3, 4, 16), torch.zeros(3, 4, dtype=torch.bool)
    mask[:, 2:] = True
    routing = router(x, mask)
    assert not routing.active[:, 2:].any()
    assert not routing.weights[:, 2:].any()
    backward(routing)
    assert torch.equal(router.tokens_per_expert, routing.experts[:, :2].flatten().bincount(minlength=8))
    assert router.tally[-1] == 6
    assert router.recorded[0].shape == (6, 8)


def test_tokens_that_are_not_finite_are_not_counted():
    router = BalancedRouter(16, 8, 2)
    x = torch.randn(5, 16)
    x[2, 3] = torch.nan
    backward(router(x))
    assert router.tally[-1] == 4
    assert router.tokens_per_expert.sum() == 8


def test_bias_survives_bfloat16():
    values = torch.linspace(6.817, 7.063, 238)
    assert len(values.bfloat16().unique()) < 10, "what a bfloat16 buffer would keep"
    router = BalancedRouter(16, 238, 2)
    model = torch.nn.Sequential(router)
    router.expert_bias.copy_(values)
    for move in (lambda m: m.to(torch.bfloat16), lambda m: m.half(), lambda m: m.double(), lambda m: m.float()):
        move(model)
        assert router.expert_bias.dtype == torch.float32
        assert torch.equal(router.expert_bias, values)
        assert len(router.expert_bias.unique()) == 238
    state = io.BytesIO()
    torch.save(model.bfloat16().state_dict(), state)
    state.seek(0)
    other = torch.nn.Sequential(BalancedRouter(16, 238, 2)).bfloat16()
    other.load_state_dict(torch.load(state, weights_only=True))
    assert torch.equal(other[0].expert_bias, values)


def test_counts_beyond_float32_are_kept():
    router = BalancedRouter(16, 2, 1)
    router.tally[:] = 2**24
    for _ in range(2):
        router.bfloat16()
        router.float()
    with torch.no_grad():
        router.weight.copy_(torch.stack([torch.ones(16), -torch.ones(16)]))
    backward(router(torch.ones(1, 16)))
    assert router.tally.tolist() == [2**24 + 1, 2**24, 2**24 + 1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_logits_are_float32_in_low_precision(dtype):
    router, x = BalancedRouter(16, 8, 2), torch.randn(20, 16).to(dtype)
    expected = torch.sigmoid(x.float() @ router.weight.to(dtype).float().T)
    low = copy.deepcopy(router).to(dtype)
    routing = low(x)
    assert routing.scores.dtype == torch.float32
    assert torch.equal(routing.scores, expected)
    assert routing.weights.dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        routing = router(x.float())
    assert torch.equal(routing.scores, torch.sigmoid(x.float() @ router.weight.T))


def test_meta_device_and_to_empty():
    router = BalancedRouter(16, 8, 2, device="meta")
    router.to_empty(device="cpu")
    router.load_state_dict(BalancedRouter(16, 8, 2).state_dict())
    assert not router.tally.any()
    assert not router.expert_bias.any()
    backward(router(torch.randn(4, 16)))
    assert router.tally[-1] == 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_meta_device_and_assign(dtype):
    """The usual way to load a large model: made on meta, then the tensors of the checkpoint are put in its place."""
    source = BalancedRouter(16, 8, 2)
    source.expert_bias.copy_(torch.linspace(-1.0, 1.0, 8))
    state = {name: value.to(dtype) for name, value in source.state_dict().items()}
    with torch.device("meta"):
        layer = BalancedRouter(16, 8, 2)
    layer.load_state_dict(state, assign=True)
    assert layer.weight.dtype == dtype
    assert layer.expert_bias.dtype == torch.float32
    assert torch.equal(layer.expert_bias, state["expert_bias"].float())
    layer(torch.randn(6, 16, dtype=dtype)).weights.sum().backward()
    assert int(layer.tokens_per_expert.sum()) == 12
    controller, before = BalanceController(layer, rule="sign", rate=1e-3), layer.expert_bias.clone()
    controller.step()
    assert not torch.equal(layer.expert_bias, before)


@pytest.mark.parametrize(
    ("layout", "prefix", "names"),
    [
        ("deepseek", "model.layers.3.mlp.gate.", ("weight", "e_score_correction_bias")),
        ("megatron", "decoder.layers.3.mlp.router.", ("weight", "expert_bias")),
        ("megatron-quantile", "decoder.layers.3.mlp.router.", ("weight", "qb_beta")),
        ("torchtitan", "layers.3.moe.", ("router.gate.weight", "expert_bias_E")),
        ("torchtitan-2025", "layers.3.moe.", ("router.gate.weight", "expert_bias")),
    ],
)
def test_names_of_other_code_bases(layout, prefix, names):
    router = BalancedRouter(16, 8, 2)
    router.expert_bias.normal_()
    state = router.export_state(layout, prefix)
    assert set(state) == {prefix + name for name in names}
    assert torch.equal(state[prefix + names[1]], router.expert_bias * (-1 if layout == "megatron-quantile" else 1))
    other = BalancedRouter(16, 8, 2)
    other.import_state({**state, "lm_head.weight": torch.zeros(1)}, layout, prefix)
    x = torch.randn(20, 16)
    assert torch.equal(other(x).experts, router(x).experts)
    with pytest.raises(OptionError, match="prefix"):
        other.import_state(state, layout, "wrong.")


@pytest.mark.filterwarnings("ignore")  # what transformers says while it is imported
def test_equals_the_router_of_deepseek_v3_in_transformers():
    pytest.importorskip("transformers")
    from transformers import DeepseekV3Config
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter

    config = DeepseekV3Config(
        hidden_size=16, n_routed_experts=16, num_experts_per_tok=4, n_group=4, topk_group=2, routed_scaling_factor=2.5
    )
    peer = DeepseekV3TopkRouter(config)
    torch.nn.init.normal_(peer.weight)
    peer.e_score_correction_bias.copy_(0.1 * torch.randn(16))
    router = BalancedRouter(16, 16, 4, n_groups=4, top_groups=2, scale=2.5)
    prefix = "model.layers.3.mlp.gate."
    router.import_state({prefix + name: value for name, value in peer.state_dict().items()}, "deepseek", prefix)
    assert set(router.export_state("deepseek")) == set(peer.state_dict())

    def dense(experts, weights):
        return torch.zeros(200, 16).scatter(1, experts, weights)

    x = torch.randn(200, 16)
    for shift in (0.0, -1.5):  # with negative biased scores too
        peer.e_score_correction_bias.add_(shift)
        router.expert_bias.add_(shift)
        _, weights, experts = peer(x)
        routing = router(x)
        assert torch.allclose(dense(experts, weights), dense(routing.experts, routing.weights), atol=1e-6)


def test_gradcheck():
    router = BalancedRouter(5, 6, 2, dtype=torch.float64, gate="softmax", scale=2.0)
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda t, w: torch.func.functional_call(router, {"weight": w}, t).weights, (x, router.weight)
    )


def test_moe_is_the_sum_of_its_experts():
    layer = MoE(16, 8, 6, 2, shared=1)
    assert layer.router.scale == pytest.approx(1.4, abs=0.05)
    x, mask = torch.randn(2, 5, 16), torch.zeros(2, 5, dtype=torch.bool)
    mask[1, 3:] = True
    y, routing = layer(x, mask)

    def expert(t, up, down):
        gate, value = (up @ t).chunk(2)
        return down @ (torch.nn.functional.silu(gate) * value)

    for b in range(2):
        for t in range(5):
            expected = expert(x[b, t], layer.shared_up.weight, layer.shared_down.weight)
            for e, w, on in zip(routing.experts[b, t], routing.weights[b, t], routing.active[b, t], strict=True):
                if on:
                    expected = expected + w * expert(x[b, t], layer.up[e], layer.down[e])
            assert torch.allclose(y[b, t], expected, atol=1e-6)
    y.sum().backward()
    assert layer.router.weight.grad.any()
    assert MoE(16, 8, 6, 2).bfloat16()(x.bfloat16())[0].dtype == torch.bfloat16


def test_moe_of_no_tokens_and_threshold_mode():
    layer = MoE(16, 8, 6, 2, mode="threshold")
    assert layer(torch.zeros(0, 16))[0].shape == (0, 16)
    y, routing = layer(torch.randn(7, 16))
    assert y.shape == (7, 16)
    assert not y[~routing.active.any(-1)].any()


@pytest.mark.parametrize(
    "options",
    [
        {"k": 9},
        {"k": 0},
        {"score": "tanh"},
        {"gate": "tanh"},
        {"mode": "top"},
        {"n_groups": 3},
        {"n_groups": 4, "top_groups": 5},
        {"n_groups": 8, "top_groups": 1},
        {"n_groups": 8, "top_groups": 4},  # groups of one expert have no two best
        {"n_groups": 4, "top_groups": 2, "mode": "threshold"},
        {"k": 8, "mode": "threshold"},
        {"score": torch.sigmoid, "mode": "threshold"},
    ],
)
def test_hostile_options(options):
    with pytest.raises(OptionError):
        BalancedRouter(16, 8, **{"k": 2, **options})


def test_hostile_input():
    router = BalancedRouter(16, 8, 2)
    with pytest.raises(ShapeError, match="16 features"):
        router(torch.randn(3, 4))
    with pytest.raises(ShapeError, match="padding_mask"):
        router(torch.randn(3, 16), torch.zeros(4, dtype=torch.bool))
    with pytest.raises(OptionError, match="layout"):
        router.export_state("mixtral")
    assert router(torch.zeros(0, 16)).experts.shape == (0, 2)


def test_one_expert_and_all_experts():
    for n, k in ((1, 1), (4, 4)):
        router = BalancedRouter(16, n, k)
        routing = router(torch.randn(5, 16))
        backward(routing)
        assert router.tokens_per_expert.tolist() == [5] * n


def test_repr():
    expected = "BalancedRouter(16, 8 experts, k=2, mode='topk', top 2 of 4 groups)"
    assert repr(BalancedRouter(16, 8, 2, n_groups=4, top_groups=2)) == expected
