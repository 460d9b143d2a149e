"""GPTQ as llm-compressor has it, on the text and the grid of the benchmark.

The tool asks for other versions of transformers than this project, so it lives in an environment of its own, and this
file is run there as a script; it imports nothing of this project::

    python -m venv tool && tool/bin/pip install llmcompressor==0.14.0.1
    tool/bin/python off_the_shelf.py MODEL TOKENS.npz OUT.safetensors --bits 4 --group 64

TOKENS.npz holds `ids` and `mask`; OUT receives the weights of the linear layers, dequantised.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = "llmcompressor"


def dequantised(python: Path, model: Path, tokens: Any, bits: int, group: int, out: Path) -> dict[str, Any]:
    """Run the tool by the interpreter of its environment, once; return weights by layer, what `out` holds."""
    from safetensors.torch import load_file

    if not out.exists():
        text = out.with_suffix(".npz")
        np.savez(text, ids=tokens.ids, mask=tokens.mask)
        options = ["--bits", str(bits), "--group", str(group)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([python, __file__, model, text, out, *options], check=True, env=environment)
    return dict(load_file(out))


def main() -> None:
    """Quantise, and write the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("tokens", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bits", type=int, required=True)
    parser.add_argument("--group", type=int, required=True)
    arguments = parser.parse_args()

    import torch
    from safetensors.torch import save_file
    from transformers import AutoModel, AutoModelForCausalLM

    config = json.loads((arguments.model / "config.json").read_text(encoding="utf-8"))
    causal = any("CausalLM" in name for name in config["architectures"])
    model = (AutoModelForCausalLM if causal else AutoModel).from_pretrained(arguments.model, dtype=torch.float32)
    model.eval()
    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    _quantise(model, arguments.tokens, arguments.bits, arguments.group, causal)
    # the tool leaves in `weight` what its integers stand for
    weights = {name: model.get_submodule(name).weight.data.contiguous() for name in names if "head" not in name}
    draft = arguments.out.with_suffix(".tmp")
    save_file(weights, draft)
    os.replace(draft, arguments.out)


def _quantise(model: Any, tokens: Path, bits: int, group: int, causal: bool) -> None:
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import GPTQModifier
    from torch.utils.data import DataLoader

    text = np.load(tokens)
    rows = [_row(ids, mask) for ids, mask in zip(text["ids"], text["mask"], strict=True)]
    grid = QuantizationArgs(num_bits=bits, type="int", symmetric=False, strategy="group", group_size=group)
    scheme = QuantizationScheme(targets=["Linear"], weights=grid)
    recipe = GPTQModifier(config_groups={"group_0": scheme}, ignore=["lm_head"])
    oneshot(
        model=model,
        dataset=DataLoader(rows, batch_size=None),
        recipe=recipe,
        num_calibration_samples=len(rows),
        pipeline="sequential" if causal else "basic",
    )


def _row(ids: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    import torch

    kept = torch.from_numpy(ids[mask.astype(bool)])[None]
    return {"input_ids": kept, "attention_mask": torch.ones_like(kept)}


if __name__ == "__main__":
    main()
