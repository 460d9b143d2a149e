"""Code beside a compressed checkpoint, for those who load it by transformers with ``trust_remote_code=True``."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infimum.compress.checkpoint import LAYERS, Checkpoint
from infimum.compress.experts import Experts
from infimum.nn import linear

MODEL = '''"""Load this checkpoint with trust_remote_code=True; infimum.compress.load does the same without."""

from transformers import {base}

from .infimum_linear import replace_layers


class Compressed{base}({base}):
    def __init__(self, config, *arguments, **options):
        super().__init__(config, *arguments, **options)
        replace_layers(self, config.{layers})
'''


def describe_layers(folder: Path, checkpoint: Checkpoint, layers: Mapping[str, Mapping[str, Any]]) -> None:
    """Write into config.json which layers have which form and rank, and beside it the code that builds them.

    Experts one by one are a structure that transformers' own loader does not know: for them there is no code.
    """
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {LAYERS: layers}
    if not any(isinstance(module, Experts) for module in checkpoint.skeleton.modules()):
        base = type(checkpoint.skeleton).__name__
        kind = "AutoModelForCausalLM" if checkpoint.is_language_model else "AutoModel"
        config["auto_map"] = {kind: f"modeling_infimum.Compressed{base}"}
        (folder / "modeling_infimum.py").write_text(MODEL.format(base=base, layers=LAYERS), encoding="utf-8")
        (folder / "infimum_linear.py").write_text(inspect.getsource(linear), encoding="utf-8")
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
