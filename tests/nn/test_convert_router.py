"""Gates of six model classes of transformers: equal before the first update, balanced after some, and saved."""

import copy
import io
from typing import Any

import pytest
import torch

from infimum import nn, optim
from infimum.errors import LibraryError, OptionError
from infimum.nn.converted_gates import BalancedGate

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # what transformers says of small models

COMMON: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 40,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED: dict[str, Any] = {
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 2,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 8,
}
LATENT = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 4}
PLAIN: dict[str, Any] = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
MODELS: dict[str, dict[str, Any]] = {
    "DeepseekV3": COMMON | GROUPED | LATENT,
    "Glm4Moe": COMMON | GROUPED | {"head_dim": 8},
    "Qwen3Moe": COMMON | PLAIN | {"head_dim": 8},
    "Mixtral": COMMON | {"num_local_experts": 8, "num_experts_per_tok": 2},
    "Olmoe": COMMON | PLAIN,
    "GptOss": COMMON
    | {"num_local_experts": 8, "num_experts_per_tok": 2, "head_dim": 8, "layer_types": ["full_attention"] * 2},
}
TOKENS = torch.randint(0, 40, (4, 24), generator=torch.Generator().manual_seed(0))
REST = [name for name in MODELS if name not in ("DeepseekV3", "Mixtral")]


def made(name):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**MODELS[name])
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    for key, parameter in model.named_parameters():
        if "gate.weight" in key or "router.weight" in key:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def train(model, optimizer, steps):
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        model(TOKENS, labels=TOKENS).loss.backward()
        optimizer.step()
    model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_equal_bit_for_bit_before_the_first_update(name):
    stock, ours = made(name).eval(), made(name).eval()
    names = nn.convert_router(ours)
    assert len(names) == (1 if "first_k_dense_replace" in MODELS[name] else 2)
    assert nn.convert_router(ours) == names
    a, b = (model(TOKENS, output_router_logits=True) for model in (stock, ours))
    assert torch.equal(a.logits, b.logits)
    assert len(a.router_logits) == len(b.router_logits) > 0
    assert all(torch.equal(x, y) for x, y in zip(a.router_logits, b.router_logits, strict=True))
    for gate in (module for key, module in ours.named_modules() if key in names):
        assert isinstance(gate, BalancedGate)
    for model in (stock, ours):
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), 2)
    assert torch.equal(stock(TOKENS).logits, ours(TOKENS).logits)


@pytest.mark.parametrize(
    "name", ["DeepseekV3", "Mixtral", *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
)
def test_the_controller_balances_and_the_model_is_saved(name, tmp_path):
    stock, model = made(name), made(name)
    nn.convert_router(model)
    expected = set(stock.state_dict())
    extra = set(model.state_dict()) - expected
    assert expected <= set(model.state_dict())
    own_bias = name in ("DeepseekV3", "Glm4Moe")
    assert bool(extra) != own_bias
    assert all(key.endswith(".expert_bias") for key in extra)

    before = model.eval()(TOKENS).logits
    reloaded = saved(model, tmp_path / "before")
    assert torch.equal(reloaded(TOKENS).logits, before)

    rule = {"rule": "rms", "rate": 0.02} if own_bias else {"rule": "midpoint", "rate": 0.1}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    controller = optim.BalanceController(model, **rule).attach(optimizer)
    train(model, optimizer, 1)
    first = controller.max_violation()
    train(model, optimizer, 60)
    assert controller.updates == 61
    assert int(controller.loads[0].sum()) == 2 * TOKENS.numel()
    assert controller.max_violation() < 0.5 * first

    after = model(TOKENS).logits
    assert not torch.equal(after, before)
    again = saved(model, tmp_path / "after")
    if own_bias:
        assert torch.equal(again(TOKENS).logits, after)
    nn.convert_router(again)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(TOKENS).logits, after)


def saved(model, folder):
    """What the stock class reads of a converted model."""
    model.save_pretrained(folder)
    stock = type(model).from_pretrained(folder).eval()
    assert not any("Balanced" in type(module).__name__ for module in stock.modules())
    return stock


@pytest.mark.parametrize("name", ["DeepseekV3", "Qwen3Moe"])
def test_biases_keep_float32_and_copies_are_their_own(name):
    model = made(name)
    gate = model.get_submodule(nn.convert_router(model)[-1])
    gate.expert_bias.copy_(torch.linspace(0.0, 1e-4, 8))
    twin = copy.deepcopy(model).to(torch.bfloat16)
    other = twin.get_submodule(nn.convert_router(twin)[-1])
    assert other.weight.dtype == torch.bfloat16
    assert torch.equal(other.expert_bias, gate.expert_bias)
    gate.expert_bias.zero_()
    assert other.expert_bias.abs().max() > 0
    twin(TOKENS)
    train(twin, torch.optim.SGD(twin.parameters(), lr=0.0), 1)
    assert int(other.tokens_per_expert.sum()) == 2 * TOKENS.numel()
    assert int(gate.tokens_per_expert.sum()) == 0


@pytest.mark.parametrize("name", ["DeepseekV3", "Mixtral"])
def test_made_on_meta_and_filled_from_a_stock_checkpoint(name):
    stock = made(name)
    file = io.BytesIO()
    torch.save(stock.state_dict(), file)
    file.seek(0)
    with torch.device("meta"):
        gate = type(stock)(stock.config).model.layers[1].mlp.gate
    prefix = "model.layers.1.mlp.gate."
    nn.convert_router(gate)
    part = {key.removeprefix(prefix): value for key, value in torch.load(file).items() if key.startswith(prefix)}
    gate.load_state_dict(part, assign=True, strict=False)
    x = torch.randn(6, 16)
    expected = stock.model.layers[1].mlp.gate(x)
    assert all(torch.equal(a, b) for a, b in zip(gate(x), expected, strict=True))
    gate.train()(x)[1].sum().backward()
    assert int(gate.tokens_per_expert.sum()) == 12


def test_refusals():
    with pytest.raises(OptionError, match="none of the gates"):
        nn.convert_router(torch.nn.Linear(2, 2))
    with pytest.raises(LibraryError):
        nn.convert_router("model")
    config = transformers.DeepseekV3Config(**MODELS["DeepseekV3"] | {"topk_group": 1})
    model = transformers.DeepseekV3ForCausalLM(config)
    nn.convert_router(model)
    optim.BalanceController(model, rule="midpoint")
    with pytest.raises(OptionError, match="1 of 2 groups"):
        model.train()(TOKENS)
