"""A real checkpoint of a few kilobytes: a random BERT with a word-level tokenizer, for fast tests."""

import re
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from transformers import logging as transformers_logging

from infimum.compress.measure.text import python_documentation


def make_tiny_model(folder: Path) -> Path:
    """Write the checkpoint to `folder`."""
    texts = python_documentation(held_out=False)[:60]
    words = sorted({word for text in texts for word in re.findall(r"\w+", text.lower())})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: index for index, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    transformers_logging.disable_progress_bar()
    BertModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
