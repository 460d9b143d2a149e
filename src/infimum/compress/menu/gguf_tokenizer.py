"""What a GGUF file says of the tokenizer: its tokens, merges and special tokens, and how it splits text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infimum.compress.menu.gguf_header import Value
from infimum.errors import CheckpointError

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # types of tokens
SPECIAL = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}  # tokens that have a meaning: their names
WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
# ways to split text before it is merged: the patterns, whether digits stand alone, and whether GPT-2's pattern follows
SPLITS = {
    ((), False, True): "gpt-2",
    ((), True, True): "smollm",
    ((ENDINGS + WORDS % r"\p{N}{1,3}",), False, False): "llama-bpe",
    ((ENDINGS + WORDS % r"\p{N}",), False, False): "qwen2",
}


def tokenizer_metadata(folder: Path, size: int) -> dict[str, Value]:
    """Describe the tokenizer of a model folder, whose model has `size` tokens.

    Raises
    ------
    CheckpointError
        It is of a kind that engines cannot be told about here.
    """
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(
            f"{folder.name} has no tokenizer.json, which a GGUF file needs; save a fast tokenizer there"
        )
    said = _json(folder / "tokenizer.json")
    model, added = said["model"], said["added_tokens"]
    way = _way_of(said["pre_tokenizer"])
    if model["type"] != "BPE" or model.get("byte_fallback") or way not in SPLITS:
        raise CheckpointError(
            f"the tokenizer of {folder.name} cannot be written to a GGUF file: byte-level BPE is expected that splits "
            f"text as those of GPT-2, SmolLM, Llama 3 or Qwen 2 do; give another format"
        )
    tokens = {index: (token, NORMAL) for token, index in model["vocab"].items()}
    tokens |= {one["id"]: (one["content"], CONTROL if one["special"] else USER_DEFINED) for one in added}
    if max(tokens) >= size:
        raise CheckpointError(
            f"the tokenizer of {folder.name} has token {max(tokens)}, the model {size}; save both anew"
        )
    names, types = zip(*(tokens.get(index, (f"[PAD{index}]", UNUSED)) for index in range(size)), strict=True)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    described: dict[str, Value] = {"model": "gpt2", "pre": SPLITS[way], "tokens": list(names)}
    described |= {"token_type": list(types), **({"merges": merges} if merges else {})}
    options = _json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    ids = {token: index for index, (token, _) in tokens.items()}
    special = {name: _token_of(options.get(f"{name}_token")) for name in SPECIAL}
    described |= {f"{SPECIAL[name]}_token_id": ids[token] for name, token in special.items() if token in ids}
    described["add_bos_token"] = special["bos"] in ids and _first(said["post_processor"]) == special["bos"]
    template = _template(folder, options)
    metadata = {f"tokenizer.ggml.{name}": value for name, value in described.items()}
    return metadata | ({"tokenizer.chat_template": template} if template else {})


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _steps(step: Mapping[str, Any] | None, kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield a step of the tokenizer, or those of which it consists; `kind` is the name of the list."""
    if step is not None:
        yield from step[kind] if step["type"] == "Sequence" else (step,)


def _way_of(step: Mapping[str, Any] | None) -> Any:
    """Return patterns, whether digits stand alone, and whether GPT-2's pattern follows; None for other ways."""
    steps = list(_steps(step, "pretokenizers"))
    kinds = [one["type"] for one in steps]
    if kinds[-1:] != ["ByteLevel"] or not {*kinds[:-1]} <= {"Split", "Digits"} or steps[-1]["add_prefix_space"]:
        return None
    patterns = tuple(one["pattern"].get("Regex") for one in steps if one["type"] == "Split")
    digits = any(one["type"] == "Digits" and one["individual_digits"] for one in steps)
    return patterns, digits, steps[-1].get("use_regex", True)


def _first(step: Mapping[str, Any] | None) -> str | None:
    """Return the special token that is put before a text."""
    for one in _steps(step, "processors"):
        if one["type"] == "TemplateProcessing" and "SpecialToken" in one["single"][0]:
            return str(one["single"][0]["SpecialToken"]["id"])
    return None


def _token_of(token: Any) -> str | None:
    return str(token["content"]) if isinstance(token, dict) else None if token is None else str(token)


def _template(folder: Path, options: Mapping[str, Any]) -> str | None:
    """Return how a conversation becomes a text."""
    path = folder / "chat_template.jinja"
    template = path.read_text(encoding="utf-8") if path.is_file() else options.get("chat_template")
    return template if isinstance(template, str) else None
