"""The format "compressed-tensors": what it offers a layer, and what config.json says of the layers stored in it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from infimum.compress.menu.forms import PackedForm
from infimum.compress.menu.grid_loops import Shape
from infimum.compress.menu.vllm_rules import BITS, GROUPS, broken_rules, fused_layers, fused_with
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.experts import TakenApart
from infimum.compress.model.layer import Layer
from infimum.errors import CheckpointError
from infimum.proof.checkpoint import LayerPlan
from infimum.proof.grid import BFLOAT16, FLOAT16

KEY, METHOD, LAYOUT = "quantization_config", "compressed-tensors", "pack-quantized"
WORD = 32  # bits
SHAPE_BYTES = 16  # of the two numbers that say the shape of a layer


class Packed(NamedTuple):
    """Integers of so many bits around 0, a scale for each group of columns; `kind` is the dtype of the layer."""

    bits: int
    group: int
    kind: str

    @property
    def rank(self) -> int:
        """Such a layer is one matrix."""
        return 0

    @property
    def form(self) -> str:
        """Name of the form in which the layer is stored."""
        return PackedForm.name

    @property
    def grid(self) -> Shape:
        """What the grid of the layer may be: products are rounded to its dtype, as transformers does.

        Every scale is a number of float16, too, so that `infimum.nn.QuantizedLinear` can hold it.
        """
        if self.kind == "BF16":
            return Shape(self.bits, self.group, symmetric=True, digits=BFLOAT16.digits, precision=BFLOAT16)
        return Shape(self.bits, self.group, symmetric=True, precision=FLOAT16 if self.kind == "F16" else None)

    @property
    def scales(self) -> torch.dtype:
        """The dtype of the scales: what they are multiplied in, or float16 where that holds all products."""
        return torch.bfloat16 if self.kind == "BF16" else torch.float16

    def bytes(self, shape: tuple[int, int]) -> int:
        """Bytes of integers, scales and shape of a layer."""
        m, n = shape
        return m * (WORD // 8 * -(-n * self.bits // WORD) + self.scales.itemsize * (n // self.group)) + SHAPE_BYTES


def packed_alternatives(checkpoint: Checkpoint, layer: Layer, together: Sequence[Layer]) -> tuple[Packed, ...]:
    """Return what a layer is offered that is decided together with others: groups of columns, and whole rows.

    Nothing, where the format does not know the layer, or engines make one of it and another that is not among them.
    """
    (n, kind), *others = {(each.shape[1], checkpoint.kind(each.tensor)) for each in together}
    fused = fused_with(layer.name, {each.name for each in checkpoint.layers})
    own = layer.transposed or layer.kernel or _is_experts(checkpoint, layer.name)  # stored or built in a way of its own
    if others or len(fused) > len(together) or own:
        return ()
    groups = {*(group for group in GROUPS if n % group == 0), n}
    every = [Packed(bits, group, kind) for bits in BITS if n * bits % WORD == 0 for group in groups]
    return tuple(sorted(every, key=lambda one: one.bytes(layer.shape)))


def fused_groups(layers: Collection[Layer]) -> Iterator[tuple[Layer, ...]]:
    """Yield those of some layers of which engines make one, so that they need the same alternative."""
    named = {layer.name: layer for layer in layers}
    for names in fused_layers(named):
        yield tuple(named[name] for name in names)


def _is_experts(checkpoint: Checkpoint, name: str) -> bool:
    """Whether a module is one of experts, which are one by one here and fused in transformers."""
    owners = itertools.accumulate(name.split("."), lambda owner, child: f"{owner}.{child}")
    return any(isinstance(checkpoint.skeleton.get_submodule(owner), TakenApart) for owner in owners)


def linear_layers(checkpoint: Checkpoint) -> dict[str, tuple[int, int]]:
    """Return the shapes of the layers that the format knows, by their names."""
    return {
        name: (module.out_features, module.in_features)
        for name, module in checkpoint.skeleton.named_modules()
        if isinstance(module, torch.nn.Linear) and not _is_experts(checkpoint, name)
    }


def quantization_config(checkpoint: Checkpoint, table: Iterable[LayerPlan]) -> dict[str, Any]:
    """Return what config.json says of the layers that are stored in this format.

    Raises
    ------
    CheckpointError
        vLLM would refuse it.
    """
    rows, linear = [row for row in table if row.form == PackedForm.name], linear_layers(checkpoint)
    kinds = sorted({_kind(row) for row in rows})
    config = {
        "quant_method": METHOD,
        "format": LAYOUT,
        "quantization_status": "compressed",
        "config_groups": {
            f"group_{index}": _scheme([row.name for row in rows if _kind(row) == kind], *kind)
            for index, kind in enumerate(kinds)
        },
        "ignore": sorted(linear.keys() - {row.name for row in rows}),
    }
    if broken := broken_rules(config, linear):
        raise CheckpointError(f"vLLM would refuse this plan of {checkpoint.path.name}: {'; '.join(broken)}")
    return config


def _kind(row: LayerPlan) -> tuple[int, int]:
    """Return bits and group of a row; 0 for a group as wide as the layer."""
    return row.bits, row.group if row.group < row.shape[1] else 0


def _scheme(targets: list[str], bits: int, group: int) -> dict[str, Any]:
    strategy = {"strategy": "group", "group_size": group} if group else {"strategy": "channel", "group_size": None}
    weights = {"num_bits": bits, "type": "int", "symmetric": True, "dynamic": False, **strategy}
    return {"targets": targets, "weights": weights, "input_activations": None, "output_activations": None}


def packed_layers(config: Mapping[str, Any], model: torch.nn.Module) -> dict[str, dict[str, Any]]:
    """Read from a `quantization_config` which layers of a model it is about, as `infimum.nn` builds them."""
    layers = {}
    for scheme in config["config_groups"].values():
        for name in scheme["targets"]:
            m, n = model.get_submodule(name).weight.shape  # type: ignore[misc]
            group = scheme["weights"]["group_size"] or n
            layers[name] = {"form": "bits", "shape": [m, n], "bits": scheme["weights"]["num_bits"], "group": group}
    return layers
