"""Which families of `transformers` can be compressed: a tiny random model of each goes the whole way.

    python -m tests.compress.families [FAMILY ...]

Without arguments all families are tried, for some twenty minutes, and docs/families.md is written anew; with some the
rows of these are.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from transformers.models.auto import modeling_auto

from infimum import compress
from infimum.compress.measure import outputs
from infimum.compress.measure.samples import Samples
from infimum.compress.menu.compressed_tensors import packed_alternatives
from infimum.compress.menu.gguf_model import ARCHITECTURES
from infimum.compress.model.heads import Head, loader_of
from infimum.errors import InfimumError, OptionError
from tests.compress.conftest import write
from tests.compress.tiny_configs import VOCABULARY, tiny_config

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
LARGEST = 400_000  # parameters of what counts as tiny
TABLES = ("MASKED_LM", "CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "ZERO_SHOT_IMAGE_CLASSIFICATION")
TABLES += ("IMAGE_CLASSIFICATION", "SPEECH_SEQ_2_SEQ", "CTC")
TEXT = np.random.default_rng(0).integers(4, VOCABULARY, (32, 32))  # ids: some tokenizers belong to their models
CLASSIFIED = ("bert", "roberta", "deberta-v2", "modernbert", "gpt2", "llama", "qwen3", "mistral")
TASKS = ("SEQUENCE_CLASSIFICATION", "TOKEN_CLASSIFICATION", "QUESTION_ANSWERING")
HEAD = """# Families

Made by `python -m tests.compress.families` with transformers {version}. Of each family a tiny random model was written
by `save_pretrained`, opened, calibrated, planned, its curve drawn, saved, loaded, held against the planned model on
text, verified, saved and loaded again, and loaded by transformers with the code that lies beside the weights.
{complete} of {count} go the whole way; what stands in place of "complete" is what the others are told.

*Compressed* is the share of all numbers that lies in layers which may be replaced, on these tiny models. *Formats* are
those in which a model went the whole way: i, infimum's own; p, plain weights and c, compressed-tensors, both written,
verified, loaded by infimum and by stock transformers, which compute the same. g: GGUF is offered, with a tokenizer that
llama.cpp knows; it was not written here. Where c is not among them the last column says why; where that is "not tried",
p was loaded, too, but not verified.

| family | class | compressed | formats | outcome | compressed-tensors |
|---|---|---|---|---|---|
"""


class Family(NamedTuple):
    """A type of model, and one of its classes."""

    type: str
    kind: str


class Row(NamedTuple):
    """What became of a family."""

    family: Family
    share: float
    formats: str
    outcome: str
    packed: str = ""  # why not in the format compressed-tensors


def families() -> Iterator[Family]:
    """Yield those of which a tiny model can be made from sizes alone: each in its first class, some as classifiers."""
    known: set[str] = set()
    for table, only in [*((table, None) for table in TABLES), *((task, CLASSIFIED) for task in TASKS)]:
        for model_type, names in getattr(modeling_auto, f"MODEL_FOR_{table}_MAPPING_NAMES").items():
            if model_type in known if only is None else model_type not in only:
                continue
            family = Family(model_type, names if isinstance(names, str) else names[0])
            if is_tiny(family):
                known.add(model_type)
                yield family


def is_tiny(family: Family) -> bool:
    try:
        with torch.device("meta"):
            parameters = make(family).parameters()
    except Exception:  # fields that depend on each other: such a family is not tried
        return False
    return sum(parameter.numel() for parameter in parameters) <= LARGEST and runs(family)


def runs(family: Family) -> bool:
    """Whether a model computes anything on tokens: if not, the sizes do not fit together."""
    head, model = Head(*loader_of(family.kind)), make(family).eval()
    model.config.use_cache = False
    given = inputs_of(model)
    tokens = torch.from_numpy(TEXT), torch.ones(TEXT.shape, dtype=torch.int64)
    batch = Samples.of(given).batches(4)[0] if isinstance(given, list) else tokens
    try:
        with torch.no_grad():
            return bool(outputs.output_of(head)(model, *batch).isfinite().all())
    except Exception:
        return False


def inputs_of(model: Any) -> Any:
    """Make up what a model reads: ids of tokens, or dicts of images and sound."""
    rng, config = np.random.default_rng(0), model.config
    ids = {"input_ids": TEXT[:24, :16], "attention_mask": np.ones((24, 16), dtype=np.int64)}
    vision = getattr(config, "vision_config", config)
    side = getattr(vision, "image_size", 32)
    image = {"pixel_values": rng.standard_normal((24, getattr(vision, "num_channels", 3), *_pair(side)))}
    if type(model).__name__ in modeling_auto.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES.values():
        return [ids | image]
    if model.main_input_name == "pixel_values":
        return [image]
    written = {"decoder_input_ids": TEXT[:8, :8]} if config.is_encoder_decoder else {}
    if model.main_input_name == "input_values":
        return [{"input_values": rng.standard_normal((8, 4000))} | written]
    if model.main_input_name == "input_features":
        places = 2 * getattr(config, "max_source_positions", 64)
        return [{"input_features": rng.standard_normal((8, getattr(config, "num_mel_bins", 16), places))} | written]
    return TEXT


def _pair(side: Any) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else (side[0], side[1])


def make(family: Family) -> Any:
    torch.manual_seed(0)
    return getattr(transformers, family.kind)(tiny_config(family.type))


def attempt(family: Family, root: Path) -> Row:
    """Take a model the whole way; what is in its way is the outcome."""
    row = Row(family, 0.0, "", "complete")
    with _said(root) as found:
        checkpoint = compress.open_checkpoint(write(make(family), root / "model"))
        row = row._replace(share=sum(layer.size for layer in checkpoint.layers) / sum(checkpoint.sizes.values()))
        plan = the_whole_way(checkpoint, root)
        plain_weights(plan, root)
        gguf = checkpoint.is_language_model and checkpoint.config.model_type in ARCHITECTURES
        row = row._replace(formats="ipg" if gguf else "ip")
    if found:
        return row._replace(outcome=found[0])
    with _said(root) as found:
        packed_weights(plan, root)
        row = row._replace(formats=row.formats.replace("ip", "ipc"))
    return row._replace(packed="".join(found))


@contextmanager
def _said(root: Path) -> Iterator[list[str]]:
    """Collect what was said of an error, in one line."""
    found: list[str] = []
    try:
        yield found
    except Exception as error:
        raw = f"**{type(error).__name__}**: {str(error).partition('. For details')[0]}"
        said = str(error) if isinstance(error, InfimumError) else raw
        found.append(" ".join(said.split()).replace(str(root), ""))


def the_whole_way(checkpoint: compress.Checkpoint, root: Path) -> compress.Plan:
    """Compress, and ask at each step that nothing was lost; returns the plan."""
    given = inputs_of(checkpoint.skeleton)
    longest = 32 if given is TEXT else None
    moments = compress.calibrate(checkpoint, given, max_tokens=longest, split=True)
    plan = compress.plan(checkpoint, remove=removed(checkpoint, moments), menu=("ranks", "widths"), moments=moments)
    replaced = [row for row in plan.table if row.form != "dense"]
    assert replaced, "no layer was replaced"
    assert len(plan.curve(5)) == 5
    out = plan.save(root / "out")
    wanted = values(plan.apply(checkpoint.load()), plan)
    loaded = compress.load(out)
    same("load", values(loaded, plan), wanted)
    compress.scorer(checkpoint.load(), moments.tokens, pooling=checkpoint.head.pooling)(loaded)
    compress.verify(out)
    loaded.save_pretrained(root / "again")
    same("load after save_pretrained", values(compress.load(root / "again"), plan), wanted)
    loader = getattr(transformers, checkpoint.head.loader)
    stock, told = loader.from_pretrained(out, trust_remote_code=True, output_loading_info=True)
    assert not told["missing_keys"], f"transformers misses {sorted(told['missing_keys'])[:2]}"
    same("transformers", values(stock.eval(), plan), wanted)
    return plan


def removed(checkpoint: compress.Checkpoint, moments: Any) -> float:
    """Return 30 % of the layers that tokens reach, as a share of all."""
    reached = sum(layer.size for layer in checkpoint.layers if layer.name in moments.layers)
    return 0.3 * reached / sum(layer.size for layer in checkpoint.layers)


def plain_weights(plan: compress.Plan, root: Path) -> None:
    """Write plain weights, which must load in transformers without code of ours."""
    checkpoint, out = plan.checkpoint, root / "plain"
    chosen: dict[str, Any] = {"remove": plan.settings.remove, "menu": ("ranks",), "moments": plan.moments}
    plain = compress.plan(checkpoint, **chosen, plain=True)
    plain.save(out)
    same("transformers, plain", values(stock_model(plan, out), plain), values(plain.apply(checkpoint.load()), plain))
    compress.verify(out)


def packed_weights(plan: compress.Plan, root: Path) -> None:
    """Write integers for engines, which transformers loads with the package compressed-tensors."""
    checkpoint, out = plan.checkpoint, root / "packed"
    known = [layer for layer in checkpoint.layers if packed_alternatives(checkpoint, layer, (layer,))]
    if not known:
        raise OptionError("it has no layer that the format knows")
    reached = sum(layer.size for layer in known if layer.name in plan.moments.layers)
    remove = 0.4 * reached / sum(layer.size for layer in checkpoint.layers)
    packed = compress.plan(checkpoint, remove=remove, moments=plan.moments, format="compressed-tensors")
    assert any(row.form != "dense" for row in packed.table), "no layer was replaced"
    packed.save(out)
    same("transformers, packed", values(stock_model(plan, out), packed), values(compress.load(out), packed))
    compress.verify(out)


def stock_model(plan: compress.Plan, out: Path) -> Any:
    """Load an output as anybody would, with no code of ours."""
    return getattr(transformers, plan.checkpoint.head.loader).from_pretrained(out).eval()


def values(model: Any, plan: compress.Plan) -> torch.Tensor:
    """Return what counts of a model's output on some of the text."""
    ((ids, mask), *_) = plan.moments.tokens.batches(4)
    with torch.no_grad():
        return outputs.output_of(plan.checkpoint.head)(model, ids, mask)


def same(what: str, found: torch.Tensor, wanted: torch.Tensor) -> None:
    error = float((found - wanted).norm() / wanted.norm())
    assert error < 1e-4, f"{what} computes something else: {error:.1e}"


def line(row: Row) -> str:
    said = (text.replace("|", "/") for text in (row.outcome, row.packed))
    return f"| {' | '.join((*row.family, f'{row.share:.0%}', row.formats, *said))} |"


def page(lines: list[str]) -> str:
    complete = sum("| complete |" in line for line in lines)
    head = HEAD.format(version=transformers.__version__, complete=complete, count=len(lines))
    return head + "\n".join(sorted(lines)) + "\n"


def known_lines() -> list[str]:
    """Return the rows of the page as it is."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    return [each for each in text.splitlines() if each.startswith("| ") and not each.startswith("| family |")]


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    rows = []
    for family in families():
        if names and family.type not in names:
            continue
        start = time.process_time()
        with tempfile.TemporaryDirectory() as root:
            rows.append(attempt(family, Path(root)))
        print(*rows[-1].family, f"{rows[-1].share:.0%}", *rows[-1][2:],
              f"{time.process_time() - start:.1f} s", file=sys.stderr, sep=" | ", flush=True)  # fmt: skip
    fresh = [line(row) for row in rows]
    stale = known_lines() if names else []
    tried = {tuple(each.split("|")[1:3]) for each in fresh}
    kept = [each for each in stale if tuple(each.split("|")[1:3]) not in tried]
    PAGE.write_text(page(kept + fresh), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    main(parser.parse_args().families)
