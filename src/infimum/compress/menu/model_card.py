"""The model card of a compressed checkpoint: what it was made of, what was changed and by how much, how to load it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from infimum.compress.menu.compressed_tensors import METHOD
from infimum.compress.menu.forms import BLOCK_FORMS, PackedForm
from infimum.compress.model.checkpoint import Checkpoint
from infimum.proof.checkpoint import LayerPlan
from infimum.proof.folder import CONFIG

CARD = "README.md"
FORMS = {
    "pivot": "a lower rank, in pivot form",
    "factors": "a lower rank, in two factors",
    "channels": "fewer channels",
    "plain": "a lower rank, multiplied out",
    "bits": "integers of few bits",
    "bit-factors": "a lower rank, in two factors of few bits",
}
TEXT = """# {name}, compressed

**This is a modified version of {base}**, made with infimum.
{changed}
Of {whole:,} numbers in its linear layers {removed:,} are no longer stored ({share:.1%}). Everything else is as it was,
the licence too: it is that of the original, and so are the notices beside it.

{how}
`infimum verify FOLDER` derives every claim of `infimum.json` again, from this folder and from the original.
"""
OWN = """```python
from infimum import compress

model = compress.load("FOLDER")
```

or, without infimum, with the code that lies here:

```python
from transformers import {loader}

model = {loader}.from_pretrained("FOLDER", trust_remote_code=True)
```
"""
STOCK = """```python
from transformers import {loader}

model = {loader}.from_pretrained("FOLDER"){beside}
```
"""
RUN = """```console
$ llama-cli -m FOLDER/model.gguf
```
"""


def model_card(checkpoint: Checkpoint, table: Sequence[LayerPlan], original: str, *, code: bool) -> str:
    """Write the card of what a model became; `original` is the path at which it lay, `code` whether ours lies beside.

    What the original's card says, of its licence above all, is kept: its metadata in front, its text behind.
    """
    metadata, text = _front_and_text(checkpoint.path / CARD)
    base = base_model(checkpoint, original)
    front = "\n".join([*_lines_without(metadata, "base_model"), f"base_model: {base}"])
    rows = {layer.name for layer in checkpoint.layers}
    linear = [row for row in table if row.name in rows]
    whole = sum(row.dense_cost for row in linear)
    removed = whole - sum(row.cost for row in linear)
    body = TEXT.format(
        name=base.rpartition("/")[2],
        base=base,
        changed=_changed(table),
        whole=whole,
        removed=removed,
        share=removed / whole,
        how=_how(checkpoint, table, code=code),
    )
    behind = f"\n---\n\nThe card of the original:\n\n{text.strip()}\n" if text.strip() else ""
    return f"---\n{front}\n---\n\n{body}{behind}"


def base_model(checkpoint: Checkpoint, original: str) -> str:
    """Return what the original is called: as in the cache of the hub, as config.json says, or as its folder."""
    parts = Path(original).parts
    hub = next((part for part in parts if part.startswith("models--")), "")
    named = str(json.loads((checkpoint.path / CONFIG).read_text(encoding="utf-8")).get("_name_or_path", ""))
    if re.fullmatch(r"models--[\w.-]+", hub):
        return hub.removeprefix("models--").replace("--", "/", 1)
    return (
        named if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", named) else re.sub(r"[^\w.-]", "-", parts[-1] if parts else "")
    )


def _changed(table: Sequence[LayerPlan]) -> str:
    counts = Counter(_words(row) for row in table if row.form != "dense")
    if not counts:
        return "No layer was changed."
    kinds = ", ".join(f"{count} by {words}" for words, count in sorted(counts.items()))
    return f"Of its {len(table)} matrices {counts.total()} were replaced: {kinds}."


def _words(row: LayerPlan) -> str:
    if row.form == PackedForm.name:
        return f"integers of {row.bits} bits"
    return f"blocks of the type {row.form}" if row.form in BLOCK_FORMS else FORMS[row.form]


def _how(checkpoint: Checkpoint, table: Sequence[LayerPlan], *, code: bool) -> str:
    forms, loader = {row.form for row in table} - {"dense"}, checkpoint.head.loader
    if forms & set(BLOCK_FORMS):
        return RUN
    if code:
        return OWN.format(loader=loader)
    return STOCK.format(loader=loader, beside=f"  # needs {METHOD}" if PackedForm.name in forms else "")


def _front_and_text(path: Path) -> tuple[list[str], str]:
    """Return the lines of a card's metadata and its text; nothing of what is not there or no text."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return [], ""
    found = re.match(r"---[ \t]*\n(.*?)\n?---[ \t]*(?:\n|\Z)(.*)", text, re.DOTALL)
    return (found[1].splitlines(), found[2]) if found else ([], text)


def _lines_without(lines: Sequence[str], key: str) -> list[str]:
    """Leave out a key of metadata, with the lines that belong to it."""
    kept, inside = [], False
    for line in lines:
        if not line.startswith((" ", "\t", "-", "#")) and line.strip():
            inside = line.split(":")[0].strip() == key or line.split(":")[0].strip() == f"{key}_relation"
        if not inside and line.strip():
            kept.append(line)
    return kept
