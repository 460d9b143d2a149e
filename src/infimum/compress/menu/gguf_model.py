"""Models as GGUF files hold them: which architectures, what is said of them, and where their tensors lie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from infimum.compress.menu.gguf_header import PLAIN, FileTensor, Value, header
from infimum.compress.menu.gguf_tokenizer import tokenizer_metadata
from infimum.compress.model.checkpoint import Checkpoint
from infimum.errors import CheckpointError

FILE = "model.gguf"
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}  # by the type of the model
FREQUENCIES = "rope_freqs.weight"
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
INSIDE = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.o_proj": "attn_output"}
INSIDE |= {f"self_attn.{part}_proj": f"attn_{part}" for part in "qkv"}
INSIDE |= {f"self_attn.{part}_norm": f"attn_{part}_norm" for part in "qk"}
INSIDE |= {f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")}
BLOCK = re.compile(r"model\.layers\.(\d+)\.(.+)")


class Source(NamedTuple):
    """A tensor of the file, where it comes from, and the order of its rows there (None: as they are).

    `original` is the name in the original's files; it is empty where `value` is given, which follows from config.json.
    """

    tensor: FileTensor
    original: str
    rows: np.ndarray | None = None
    value: torch.Tensor | None = None

    def stored(self, value: torch.Tensor) -> np.ndarray:
        """Return the bytes of the original's tensor, or those of its blocks (rows, bytes of a row), in the file."""
        ordered = value if self.rows is None else value[torch.from_numpy(self.rows)]
        plain = ordered.to(DTYPES[self.tensor.kind]) if self.tensor.kind in PLAIN else ordered
        return plain.contiguous().flatten().view(torch.uint8).numpy()

    def blocks(self, stored: np.ndarray) -> np.ndarray:
        """Return the blocks (rows, bytes of a row) in the order of the original's rows."""
        blocks = stored.reshape(self.tensor.shape[0], -1)
        return blocks if self.rows is None else blocks[np.argsort(self.rows)]


def check_model(checkpoint: Checkpoint) -> None:
    """Refuse what a GGUF file cannot hold here, and say why.

    Raises
    ------
    CheckpointError
        The architecture, its attention, its dtype or its tokenizer is none of those.
    """
    config, name = checkpoint.config, checkpoint.path.name
    if not checkpoint.is_language_model or config.model_type not in ARCHITECTURES:
        raise CheckpointError(
            f"GGUF output is for language models of the types {', '.join(ARCHITECTURES)}, and {name} is a "
            f"{type(checkpoint.skeleton).__name__}; give another format"
        )
    rope = config.rope_parameters
    kinds = ("default", "llama3") if ARCHITECTURES[config.model_type] == "llama" else ("default",)
    windows = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if (
        rope.get("rope_type") not in kinds
        or rope.get("partial_rotary_factor", 1.0) != 1.0
        or windows
        or _window(config)
    ):
        raise CheckpointError(
            f"GGUF output is for attention to all tokens with rotary embeddings of the type {' or '.join(kinds)}, and "
            f"{name} has another; give another format"
        )
    if odd := sorted({tensor.kind for tensor in checkpoint.stored()} - PLAIN.keys()):
        raise CheckpointError(
            f"GGUF output holds numbers of {', '.join(PLAIN)}, and {name} has {odd[0]}; cast it first"
        )
    tokenizer_metadata(checkpoint.path, config.vocab_size)


def sources(checkpoint: Checkpoint, kinds: Mapping[str, str]) -> list[Source]:
    """Return the tensors of the file in their order; `kinds` are the block types of those that have become blocks."""
    config = checkpoint.config
    found = []
    for name, parameter in checkpoint.skeleton.named_parameters():
        original, shape = checkpoint.tensor_of(name), tuple(parameter.shape)
        assert original is not None
        kind = kinds.get(original) or ("F32" if len(shape) == 1 else checkpoint.kind(original))
        found.append(Source(FileTensor(file_name(name), kind, shape), original, row_order(config, name, shape[0])))
    if config.rope_parameters["rope_type"] == "llama3":
        factors = _factors(config)
        found.append(Source(FileTensor(FREQUENCIES, "F32", tuple(factors.shape)), "", value=factors))
    return found


def file_header(checkpoint: Checkpoint, tensors: list[Source]) -> bytes:
    """Return what stands before the numbers of the first tensor."""
    config = checkpoint.config
    architecture = ARCHITECTURES[config.model_type]
    described: dict[str, Value] = {
        "vocab_size": config.vocab_size,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": _head(config),
        "attention.value_length": _head(config),
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.dimension_count": _head(config),
        "rope.freq_base": float(config.rope_parameters["rope_theta"]),
    }
    metadata: dict[str, Value] = {"general.architecture": architecture, "general.quantization_version": 2}
    metadata |= {f"{architecture}.{name}": value for name, value in described.items()}
    metadata |= tokenizer_metadata(checkpoint.path, config.vocab_size)
    return header(metadata, [source.tensor for source in tensors])


def file_name(parameter: str) -> str:
    """Return the name in the file of a parameter of the model."""
    module, _, part = parameter.rpartition(".")
    if block := BLOCK.fullmatch(module):
        return f"blk.{block[1]}.{INSIDE[block[2]]}.{part}"
    return f"{OUTSIDE[module]}.{part}"


def row_order(config: Any, name: str, rows: int) -> np.ndarray | None:
    """Return the order of rows: where transformers rotates the halves of a head, Llama's engines rotate neighbours."""
    if ARCHITECTURES[config.model_type] != "llama" or not re.search(r"\.[qk]_proj\.", name):
        return None
    return np.arange(rows).reshape(-1, 2, _head(config) // 2).swapaxes(1, 2).reshape(-1)


def _head(config: Any) -> int:
    """Return how many numbers a head of attention has."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _window(config: Any) -> bool:
    """Tell whether attention is to some of the tokens before, in models that say so for all layers together."""
    return getattr(config, "sliding_window", None) is not None and getattr(config, "use_sliding_window", True)


def _factors(config: Any) -> torch.Tensor:
    """Return what each frequency of the rotary embeddings is divided by."""
    size, base = _head(config), float(config.rope_parameters["rope_theta"])
    plain = base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    return (plain / scaled.double()).float()
