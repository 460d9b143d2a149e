"""Tiny models that a GGUF file can hold, with a byte-level tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tests.compress.conftest import write

MERGES = [("w", "o"), ("wo", "r"), ("wor", "d"), ("Ġ", "word")]
SIZES: dict[str, Any] = {
    "vocab_size": 300,  # more than the tokenizer has
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
SCALED = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SCALED["original_max_position_embeddings"] = 64
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"tie_word_embeddings": True}),
    "llama-biases": ("Llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False}),
    "llama-scaled": ("Llama", {"rope_parameters": SCALED}),
    "mistral": ("Mistral", {"sliding_window": None, "head_dim": 32}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 128}),
}


def tiny_model(kind: str, folder: Path, dtype: torch.dtype = torch.float32, blocks: int = 2) -> Path:
    """Write a model of a kind, with biases and norms that are not what they are by default."""
    torch.manual_seed(0)
    name, options = KINDS[kind]
    config = getattr(transformers, f"{name}Config")(**SIZES | options, num_hidden_layers=blocks)
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    write(model.to(dtype), folder)
    write_bytes_tokenizer(folder)
    return folder


def write_bytes_tokenizer(folder: Path) -> None:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<s>", "</s>", *letters, *map("".join, MERGES)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", chat_template="{{ messages[0].content }}"
    ).save_pretrained(folder)
