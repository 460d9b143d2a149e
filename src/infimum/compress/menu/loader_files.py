"""What a loader reads beside the tensors of a compressed checkpoint: its configuration, and code for `transformers`."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from infimum.compress.menu.compressed_tensors import KEY, quantization_config
from infimum.compress.menu.forms import BLOCK_FORMS, PackedForm
from infimum.compress.model import experts
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.configuration import LAYERS, empty_model
from infimum.compress.model.experts import TakenApart
from infimum.compress.model.heads import Head
from infimum.nn import linear, packed, patches
from infimum.proof.checkpoint import LayerPlan
from infimum.proof.folder import CONFIG

MODEL_CODE, LINEAR_CODE, PACKED_CODE = "modeling_infimum.py", "infimum_linear.py", "infimum_packed.py"
PATCHES_CODE, EXPERTS_CODE = "infimum_patches.py", "infimum_experts.py"
MODEL = '''"""Load this checkpoint with trust_remote_code=True; infimum.compress.load does the same without."""

from transformers import {base}
{imported}
from .infimum_linear import replace_layers


class Compressed{base}({base}):
    def __init__(self, config, *arguments, **options):
        super().__init__(config, *arguments, **options){unfused}
        replace_layers(self, config.{layers})

    @classmethod
    def is_custom_code(cls):
        return False  # all but the replaced layers is transformers' own, and is to be initialised as such
'''
IMPORTED = "\nfrom .infimum_experts import keep_names, unfuse"
UNFUSED = """
        keep_names(unfuse(self), {base})"""


def loader_files(checkpoint: Checkpoint, table: Sequence[LayerPlan]) -> dict[str, str]:
    """Return the text of each file that a loader of the planned model needs; empty where it needs the original's only.

    Models whose MLPs are all equally narrow need a number in the configuration and no code of ours. Else config.json
    says which layers have which form and rank, and beside it is the code that builds them for those who load it by
    transformers with ``trust_remote_code=True``; its experts are then one by one.
    """
    layers = replaced_layers(checkpoint, table)
    if not layers:  # also where a file of another format says all that a loader needs
        return {}
    config: dict[str, Any] = json.loads((checkpoint.path / CONFIG).read_text(encoding="utf-8"))
    if not needs_code(checkpoint, table):
        packed = any(row.form == PackedForm.name for row in table)
        change = {KEY: quantization_config(checkpoint, table)} if packed else narrower_config(checkpoint, table)
        return {CONFIG: json.dumps(config | change, indent=2) + "\n"}
    config |= {LAYERS: layers}
    skeleton, names = checkpoint.skeleton, checkpoint.names
    config["auto_map"] = auto_map(checkpoint.head, type(skeleton))
    code = code_files(type(skeleton), by_rules=bool(names.renamed or names.own) or has_experts(skeleton))
    return {CONFIG: json.dumps(config, indent=2) + "\n", **code}


def needs_code(checkpoint: Checkpoint, table: Sequence[LayerPlan]) -> bool:
    """Whether a planned model loads by code of ours only."""
    packed = any(row.form == PackedForm.name for row in table)
    return not packed and bool(replaced_layers(checkpoint, table)) and not narrower_config(checkpoint, table)


def auto_map(head: Head, kind: type) -> dict[str, str]:
    """Return what config.json says of the class that loads a compressed model of this class."""
    return {head.loader: f"{MODEL_CODE.removesuffix('.py')}.Compressed{kind.__name__}"}


def code_files(kind: type, *, by_rules: bool) -> dict[str, str]:
    """Return the text of the files that build a compressed model of this class.

    With `by_rules` for one whose names in the files are not its own, or that has experts.
    """
    base = kind.__name__
    code = {"imported": IMPORTED, "unfused": UNFUSED.format(base=base)} if by_rules else {"imported": "", "unfused": ""}
    found = {
        MODEL_CODE: MODEL.format(base=base, layers=LAYERS, **code),
        LINEAR_CODE: inspect.getsource(linear).replace("from infimum.nn.", "from .infimum_"),
        PACKED_CODE: inspect.getsource(packed),
        PATCHES_CODE: inspect.getsource(patches),
    }
    return found | ({EXPERTS_CODE: inspect.getsource(experts)} if by_rules else {})


def has_experts(model: torch.nn.Module) -> bool:
    """Whether a model has experts, which are one by one."""
    return any(isinstance(module, TakenApart) for module in model.modules())


def replaced_layers(checkpoint: Checkpoint, table: Iterable[LayerPlan]) -> dict[str, dict[str, Any]]:
    """Return form, shape and rank or bits of the layers that become layers of another kind, as in the configuration.

    A head that shares the embeddings shares what becomes of them.
    """
    layers: dict[str, dict[str, Any]] = {
        row.name: {"form": "bits" if row.form == PackedForm.name else row.form, "shape": list(row.kept)}
        | ({"bits": row.bits, "group": row.group} if row.bits else {})
        | ({"rank": row.rank} if row.rank < min(row.kept) else {})
        for row in table
        if row.form not in ("dense", "plain", *BLOCK_FORMS)
    }
    tied = {head: shared for head, shared in checkpoint.tied.items() if shared in layers}
    return layers | {
        head: {"form": "tied", "shape": layers[shared]["shape"], "to": shared} for head, shared in tied.items()
    }


def narrower_config(checkpoint: Checkpoint, table: Iterable[LayerPlan]) -> dict[str, int]:
    """Return the change of the configuration by which transformers itself builds the planned model; empty if none does.

    Known by its effect: with another number where the old width was, the model has the shapes of the plan.
    """
    rows = {row.name: row for row in table if row.form != "dense"}
    widths = {pair for row in rows.values() for pair in zip(row.shape, row.kept, strict=True) if pair[0] != pair[1]}
    if len(widths) != 1 or checkpoint.tensors.stacks or any(row.form != "channels" for row in rows.values()):
        return {}
    ((whole, kept),) = widths
    planned = {}
    for name, parameter in checkpoint.skeleton.named_parameters():
        layer, _, part = name.rpartition(".")
        shape = tuple(parameter.shape)
        if layer in rows:
            shape = rows[layer].kept if part == "weight" else rows[layer].kept[:1]
        planned[name] = shape
    for key, value in checkpoint.config.to_dict().items():
        if value == whole:
            config = copy.deepcopy(checkpoint.config)
            setattr(config, key, kept)
            with torch.device("meta"):
                model = empty_model(checkpoint.head, config, checkpoint.files)
            if {name: tuple(parameter.shape) for name, parameter in model.named_parameters()} == planned:
                return {key: kept}
    return {}
