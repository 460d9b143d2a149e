"""What vLLM asks of a model in compressed-tensors' format before it executes it: rules read in its source.

Of vllm-project/vllm, below vllm/model_executor: in layers/quantization/compressed_tensors compressed_tensors.py,
utils.py and schemes/compressed_tensors_wNa16.py (which layers a scheme is for), in kernels/linear/mixed_precision
marlin.py, machete.py, exllama.py, conch.py and triton_w4a16.py (which schemes are executed), and
`packed_modules_mapping` of the classes in models (which layers become one).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

FUSED = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"), ("q_a_proj", "kv_a_proj_with_mqa"))
FUSED += (("gate_proj", "up_proj"), ("w1", "w3"))
BITS, GROUPS = (4, 8), (32, 64, 128)  # Marlin's; whole rows are the strategy "channel"


def fused_with(name: str, present: Collection[str]) -> tuple[str, ...]:
    """Return the names of the layers that vLLM makes one layer of, as far as they are present: one is `name`."""
    parent, _, child = name.rpartition(".")
    for children in FUSED:
        names = tuple(f"{parent}.{each}" for each in children)
        if child in children and all(each in present for each in names):
            return names
    return (name,)


def fused_layers(names: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield the names of layers of which vLLM makes one."""
    for together in dict.fromkeys(fused_with(name, names) for name in names):
        if len(together) > 1:
            yield together


def broken_rules(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, int]]) -> list[str]:
    """Say what vLLM would refuse of a `quantization_config`; an empty list if nothing.

    `shapes` are (outputs, inputs) of all linear layers, the output head too, by their names.
    """
    broken = [
        f"{key} must be {wanted!r}, got {config.get(key)!r}"
        for key, wanted in (("quant_method", "compressed-tensors"), ("format", "pack-quantized"))
        if config.get(key) != wanted
    ]
    schemes: dict[str, Mapping[str, Any]] = {}
    for name, scheme in config["config_groups"].items():
        broken += [f"{name}: {said}" for said in _scheme(scheme)]
        schemes = dict.fromkeys(scheme["targets"], scheme["weights"]) | schemes  # the first one counts
    ignored = set(config["ignore"])
    for name, shape in shapes.items():
        if (name in schemes) == (name in ignored):
            broken.append(f"{name} must be either a target or ignored")
        elif name in schemes:
            broken += [f"{name}: {said}" for said in _shape(shape, schemes[name])]
    for names in fused_layers(shapes):
        first, *others = (None if name in ignored else schemes.get(name) for name in names)
        if any(other != first for other in others):
            broken.append(f"{', '.join(names)} become one layer and must have one scheme")
    return broken


def _scheme(scheme: Mapping[str, Any]) -> Iterator[str]:
    """Say what of a scheme no kernel for integer weights and 16-bit activations executes."""
    weights = scheme["weights"]
    for part in ("input_activations", "output_activations"):
        if scheme.get(part) is not None:
            yield f"{part} must be none: activations keep their 16 bits"
    if weights["type"] != "int" or weights["num_bits"] not in BITS:
        yield f"weights must be integers of 4 or 8 bits, got {weights['type']} of {weights['num_bits']}"
    if not weights["symmetric"] and weights["num_bits"] != 4:
        yield "zero points are for 4 bits only"
    if weights["dynamic"] or weights.get("actorder") is not None:
        yield "weights must be static and in their order"
    if weights["strategy"] == "group" and weights["group_size"] not in GROUPS:
        yield f"groups must be of 32, 64 or 128 columns, got {weights['group_size']}"
    if weights["strategy"] not in ("group", "channel"):
        yield f"the strategy must be 'group' or 'channel', got {weights['strategy']!r}"


def _shape(shape: tuple[int, int], weights: Mapping[str, Any]) -> Iterator[str]:
    """Say why a layer of a shape cannot have a scheme."""
    outputs, inputs = shape
    whole = 32 // weights["num_bits"]  # integers in a word
    if inputs % whole:
        yield f"the inputs must be a multiple of {whole}, got {inputs}"
    if weights["strategy"] == "group" and inputs % weights["group_size"]:
        yield f"the groups of {weights['group_size']} must divide the {inputs} inputs"
    if not weights["symmetric"] and outputs % whole:
        yield f"with zero points the outputs must be a multiple of {whole}, got {outputs}"
