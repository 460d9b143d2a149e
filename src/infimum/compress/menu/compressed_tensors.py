"""The format "compressed-tensors": which grids it has, and what config.json says of the layers stored in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from infimum.compress.menu.grid_loops import Shape
from infimum.compress.menu.vllm_rules import BITS, GROUPS, broken_rules
from infimum.compress.model.checkpoint import Checkpoint
from infimum.errors import CheckpointError
from infimum.proof.checkpoint import LayerPlan
from infimum.proof.grid import BFLOAT16, FLOAT16

KEY, METHOD, LAYOUT = "quantization_config", "compressed-tensors", "pack-quantized"
WORD = 32  # bits
SHAPE_BYTES = 16  # of the two numbers that say the shape of a layer


def grid_shape(dtype: torch.dtype, bits: int, group: int) -> Shape:
    """Return what grids of a layer of a dtype can be: scales in it, or in float16, and products rounded to it.

    Every scale is a number of float16, too, so that a layer of `infimum.nn.QuantizedLinear` can hold it.
    """
    if dtype is torch.bfloat16:
        return Shape(bits, group, symmetric=True, digits=BFLOAT16.digits, precision=BFLOAT16)
    return Shape(bits, group, symmetric=True, precision=FLOAT16 if dtype is torch.float16 else None)


def scale_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of the scales of a layer of a dtype."""
    return torch.bfloat16 if dtype is torch.bfloat16 else torch.float16


def schemes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return bits and groups that a layer can have; a group as wide as the layer is a whole row."""
    groups = {*(group for group in GROUPS if shape[1] % group == 0), shape[1]}
    return [(bits, group) for bits in BITS if shape[1] * bits % WORD == 0 for group in sorted(groups)]


def packed_bytes(shape: tuple[int, int], bits: int, group: int) -> int:
    """Return the bytes of integers, scales and shape of a layer."""
    m, n = shape
    return m * (WORD // 8 * -(-n * bits // WORD) + 2 * (n // group)) + SHAPE_BYTES


def quantization_config(checkpoint: Checkpoint, table: Iterable[LayerPlan]) -> dict[str, Any]:
    """Return what config.json says of the layers that are stored in this format.

    Raises
    ------
    CheckpointError
        vLLM would refuse it.
    """
    rows = [row for row in table if row.form == "packed"]
    linear = {
        name: (module.out_features, module.in_features)
        for name, module in checkpoint.skeleton.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
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
