"""A language model moved off the grid that its weights lie on: the same function, other numbers.

The floats of SmolLM2 that the package index holds come out of a 4-bit file. In groups of 32 they lie on 16 values, and
whoever rounds to such a grid finds them there again, at no error. RMSNorm commutes with every orthogonal matrix once
its gain is folded into the layers that read it, so that one random orthogonal matrix on the residual stream changes
every weight and, but for rounding, nothing that the model computes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import scipy.stats
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from infimum.compress.measure.scratch import new_folder

READERS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), ("mlp.gate_proj", "mlp.up_proj")
WRITERS = "self_attn.o_proj", "mlp.down_proj"


def rotate(model: Any, seed: int) -> None:
    """Fold the norms' gains and rotate the residual stream of a Llama-like model, in place; its head is untied.

    References
    ----------
    .. [1] S. Ashkboos et al., "SliceGPT: compress large language models by deleting rows and columns", ICLR 2024.
    """
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    width = model.config.hidden_size
    Q = torch.from_numpy(scipy.stats.ortho_group.rvs(width, random_state=seed))
    with torch.no_grad():
        _set(model.model.embed_tokens, model.model.embed_tokens.weight.double() @ Q)
        for block in model.model.layers:
            for norm, readers in zip((block.input_layernorm, block.post_attention_layernorm), READERS, strict=True):
                _fold(norm, [block.get_submodule(name) for name in readers], Q)
            for name in WRITERS:
                writer = block.get_submodule(name)
                _set(writer, Q.T @ writer.weight.double())
                if writer.bias is not None:
                    writer.bias.copy_(Q.T @ writer.bias.double())
        _fold(model.model.norm, [model.lm_head], Q)


def _fold(norm: Any, readers: list[Any], Q: torch.Tensor) -> None:
    for reader in readers:
        _set(reader, (reader.weight.double() * norm.weight.double()) @ Q)
    norm.weight.fill_(1.0)


def _set(module: Any, weight: torch.Tensor) -> None:
    module.weight.copy_(weight)


def rotated_folder(folder: Path, seed: int) -> Path:
    """Write the rotated model of `folder` beside it in float16, once; return where it is.

    Of the 16-bit types float16 keeps three digits more than bfloat16; what it costs is measured with everything else,
    since this checkpoint is the dense model of the tables.
    """
    out = folder.with_name(f"{folder.name}-rotated-{seed}")
    if out.is_dir():
        return out
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rotate(model, seed)
    with new_folder(out) as draft:
        model.to(torch.float16).save_pretrained(draft)
        AutoTokenizer.from_pretrained(folder).save_pretrained(draft)
    return out
