"""Small configurations of the families of `transformers`: sizes set by what the fields are called."""

from __future__ import annotations

import inspect
import re
from typing import Any

from transformers import CONFIG_MAPPING

VOCABULARY = 64
SIZES: dict[str, int] = {  # of all fields whose whole name is matched; the first pattern counts
    r"(num_|local_)?vocab_size_per_layer_input|(text_|src_|tgt_)?vocab_size|n_vocab|n_tokens": VOCABULARY,
    r"hidden_size_per_layer_input": 8,
    r"(attention_|decoder_|encoder_|cross_attention_|text_|vision_|hidden_)?hidden_size|(mamba_)?d_model|n_embd": 32,
    r"((word_|text_)?embed_|emb_|model_|hidden_|projection_|output_|word_embed_proj_)?dim|embedding_size": 32,
    r"d_embed|output_size|lru_width|decoder_dim|out_hidden_size|embed_dim_per_head": 32,
    r"(.*_)?intermediate_size(_mlp)?|d_ff|dim_ff|dff|((encoder|decoder)_)?ffn_dim|n_inner|ffn_hidden_size|mlp_dim": 40,
    r"expert_ffn_hidden_size|moe_intermediate_size": 40,
    r"(num_)?((hidden|encoder|decoder)_)?layers|n_layers?|num_layers|depth": 2,
    r"num_key_value_heads|n_head_kv|num_kv_heads|multi_query_group_num|linear_num_(key|value)_heads": 2,
    r"(num_)?((hidden_)?attention_|encoder_attention_|decoder_attention_)?heads|n_heads?": 4,
    r"((global_|v_|attention_|swa_)?head_dim)|attention_head_size|d_kv|d_head|dim_head|kv_channels|head_size": 8,
    r"(global|swa|swa_v|conv|linear_key|linear_value)_head_dim|qk_head_dim|state_size|ssm_state_size|mamba_d_state": 8,
    r"qk_(rope|nope)_head_dim|rope_head_dim|mamba_dt_rank|time_step_rank": 4,
    r"(q|kv|o)_lora_rank|lora_rank|mamba_chunk_size|chunk_size": 16,
    r"(original_)?max_position_embeddings(_audio)?|n_positions|max_seq_len|n_ctx|max_(target|source)_positions": 80,
    r"max_seq(uence)?_length|seq_length": 80,
    r"(moe_)?num_(local_|moe_)?experts|n_routed_experts": 4,
    r"num_experts_per_tok(en)?|moe_top_?k|top_k_experts|num_selected_experts": 2,
    r"n_group|topk_group|n_shared_experts|num_expert_groups|first_k_dense_replace|num_dense_layers": 1,
    r"moe_layer_start_index": 1,
    r"mamba_n(um)?_heads|mamba_(d_head|head_dim)": 8,
    r"mamba_d_ssm": 64,
    r"sliding_window|window_size|local_attention": 32,
    r"image_size": 32,
    r"patch_size": 8,
    r"num_mel_bins": 16,
}
OPTIONAL = r"n_inner|intermediate_size|sliding_window|num_experts|state_size|.*head_dim|embedding_size|num_kv_heads"
TOKENS = {"pad": 0, "bos": 1, "eos": 1, "decoder": 0, "cls": 1, "sep": 1, "mask": 2, "unk": 1}
OWN: dict[str, dict[str, Any]] = {  # where fields depend on each other
    "blt": {"encoder_hash_byte_group_vocab": 64},
    "ctrl": {"dff": 40},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 40},
    },
    "encoder-decoder": {"decoder_start_token_id": 0, "pad_token_id": 0},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "led": {"max_encoder_position_embeddings": 80, "max_decoder_position_embeddings": 80, "attention_window": 8},
    "xlnet": {"d_inner": 40},
    "qwen2_vl_text": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]}},
    "qwen2_5_vl_text": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]}},
    "rembert": {"input_embedding_size": 32, "output_embedding_size": 32},
    "xmod": {"default_language": "en_XX"},
    "codegen": {"rotary_dim": 4},
    "deepseek_v32": {"index_head_dim": 8},
    "zaya": {"num_experts_per_tok": 1},
}


def tiny_config(model_type: str, **options: Any) -> Any:
    """Return a configuration of the family with some 10,000 parameters."""
    kind = CONFIG_MAPPING[model_type]
    return kind(**_sizes(kind) | OWN.get(model_type, {}) | options)


def _sizes(kind: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    parts = {name: part for name, part in kind.sub_configs.items() if hasattr(part, "model_type")}
    if len(parts) < len(kind.sub_configs):  # of those that may be of several kinds the usual one
        whole = kind()
        usual = {name: getattr(whole, name, None) for name in kind.sub_configs.keys() - parts.keys()}
        found = {name: {"model_type": part.model_type} for name, part in usual.items() if part is not None}
        parts |= {name: type(part) for name, part in usual.items() if part is not None}
    for name, part in parts.items():
        found[name] = found.get(name, {}) | _sizes(part) | OWN.get(part.model_type, {})
    for name, parameter in inspect.signature(kind).parameters.items():
        size = None if name in kind.sub_configs else _size(name, parameter.default)
        if parameter.default is not parameter.empty and size is not None:
            found[name] = size
    return found


def _size(name: str, default: Any) -> Any:
    if re.fullmatch(r"(.*_)?(token|start)_(id|index)|(.*_)?(image|audio|video)_token_id|.*_index", name):
        known = TOKENS.get(name.partition("_")[0])
        return known if known is not None else 3 if type(default) is int else None
    if type(default) is not int and (default is not None or re.fullmatch(OPTIONAL, name)):
        return None
    return next((size for pattern, size in SIZES.items() if re.fullmatch(pattern, name)), None)
