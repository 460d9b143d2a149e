"""What vLLM asks of a quantization_config: each rule broken once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

from infimum.compress.menu.vllm_rules import broken_rules, fused_layers

BLOCK = "model.layers.0."
ATTENTION = [f"{BLOCK}self_attn.{name}_proj" for name in "qkv"]
MLP = [f"{BLOCK}mlp.gate_proj", f"{BLOCK}mlp.up_proj"]
SHAPES = dict.fromkeys(ATTENTION, (64, 128)) | dict.fromkeys(MLP, (192, 128))
SHAPES |= {f"{BLOCK}self_attn.o_proj": (128, 64), f"{BLOCK}mlp.down_proj": (128, 192), "lm_head": (100, 128)}


def scheme(targets: list[str], bits: int = 4, group: int | None = 64, **changes: Any) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": "int", "symmetric": True, "dynamic": False, "group_size": group}
    weights |= {"strategy": "channel" if group is None else "group"}
    return {"targets": targets, "weights": weights | changes, "input_activations": None, "output_activations": None}


def config() -> dict[str, Any]:
    groups = [scheme([*ATTENTION], 8, None), scheme([*MLP, f"{BLOCK}mlp.down_proj"])]
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {f"group_{index}": group for index, group in enumerate(groups)},
        "ignore": [f"{BLOCK}self_attn.o_proj", "lm_head"],
    }


def test_what_keeps_the_rules() -> None:
    assert broken_rules(config(), SHAPES) == []


def in_weights(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda said: said["config_groups"]["group_1"]["weights"].update(changes)


def moved(said: dict[str, Any]) -> None:
    said["config_groups"]["group_0"]["targets"].remove(ATTENTION[2])
    said["config_groups"]["group_1"]["targets"].append(ATTENTION[2])


def left_alone(said: dict[str, Any]) -> None:
    said["config_groups"]["group_1"]["targets"].remove(MLP[0])
    said["ignore"].append(MLP[0])


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "another method": (lambda said: said.update(quant_method="gptq"), "quant_method must be 'compressed-tensors'"),
    "another format": (lambda said: said.update(format="int-quantized"), "format must be 'pack-quantized'"),
    "3 bits": (in_weights(num_bits=3), "integers of 4 or 8 bits, got int of 3"),
    "floats": (in_weights(type="float"), "got float of 4"),
    "zero points of 8 bits": (in_weights(num_bits=8, symmetric=False), "zero points are for 4 bits only"),
    "dynamic weights": (in_weights(dynamic=True), "static"),
    "reordered columns": (in_weights(actorder="group"), "in their order"),
    "groups of 16": (in_weights(group_size=16), "groups must be of 32, 64 or 128 columns, got 16"),
    "groups that do not divide": (in_weights(group_size=128), "groups of 128 must divide the 192 inputs"),
    "blocks": (in_weights(strategy="block"), "must be 'group' or 'channel', got 'block'"),
    "activations": (
        lambda said: said["config_groups"]["group_0"].update(input_activations={"num_bits": 8}),
        "input_activations must be none",
    ),
    "a layer of which nothing is said": (lambda said: said["ignore"].remove("lm_head"), "lm_head must be either"),
    "a layer of which both is said": (lambda said: said["ignore"].append(MLP[1]), "up_proj must be either"),
    "fused layers of two schemes": (moved, "become one layer and must have one scheme"),
    "one of two fused layers": (left_alone, "become one layer and must have one scheme"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_rule_is_asked(what: str) -> None:
    change, said = BROKEN[what]
    broken = copy.deepcopy(config())
    change(broken)
    assert any(said in rule for rule in broken_rules(broken, SHAPES)), broken_rules(broken, SHAPES)


@pytest.mark.parametrize(
    ("shape", "changes", "said"),
    [
        ((64, 36), {"group_size": None, "strategy": "channel"}, "inputs must be a multiple of 8, got 36"),
        ((60, 64), {"symmetric": False}, "outputs must be a multiple of 8, got 60"),
    ],
)
def test_shapes_that_fill_no_words(shape: tuple[int, int], changes: dict[str, Any], said: str) -> None:
    one = config() | {"config_groups": {"all": scheme(["only"], **changes)}, "ignore": []}
    assert any(said in rule for rule in broken_rules(one, {"only": shape}))


def test_layers_that_become_one() -> None:
    assert set(fused_layers(SHAPES)) == {tuple(ATTENTION), tuple(MLP)}
    bert = [f"encoder.layer.1.attention.self.{name}" for name in ("value", "key", "query")]
    assert list(fused_layers(bert)) == [tuple(bert[::-1])]
    assert list(fused_layers(["a.up_proj", "b.gate_proj"])) == []
