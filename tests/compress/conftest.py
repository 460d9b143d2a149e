"""Tiny random models with real tokenizers, written as checkpoints."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402

WORDS = [f"word{index}" for index in range(60)]

# menus without few bits, by the form in which most layers are then stored
LOWER: dict[str, dict[str, Any]] = {
    "mixed": {"menu": ("ranks", "widths")},
    "pivot": {"menu": ("ranks",)},
    "factors": {"menu": ("ranks",), "form": "factors"},
    "channels": {"menu": ("widths",)},
}


def sentences(count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=generator.randint(8, 20))) for _ in range(count)]


def write(model: transformers.PreTrainedModel, folder: Path, **options: object) -> Path:
    with torch.no_grad():  # weights large enough that the output depends on every layer
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8.0)
    model.save_pretrained(folder, **options)
    write_tokenizer(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1} | {w: i + 2 for i, w in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)


def tiny_bert() -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    return transformers.BertModel(
        transformers.BertConfig(
            vocab_size=64,
            hidden_size=24,
            intermediate_size=40,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=64,
        )
    )


def tiny_llama(tied: bool = True) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=64,
            hidden_size=24,
            intermediate_size=40,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=tied,
        )
    )


@pytest.fixture(scope="module", autouse=True)
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Threads that wait for each other make tiny models slow on a busy machine."""
    threads = torch.get_num_threads()
    if "minilm" not in request.module.__name__:
        torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def text() -> list[str]:
    return sentences(40, seed=1)


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tiny_bert(), tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tiny_llama(), tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def damaged(bert: Path, tmp_path: Path) -> Callable[[], Path]:
    """Return a maker of copies that a test may damage."""
    return lambda: Path(shutil.copytree(bert, tmp_path / "damaged"))


@pytest.fixture(scope="session")
def code_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where transformers copies the code that comes with a checkpoint; one folder, since it imports from the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path_factory.mktemp("code")))
        yield


def saved_again_is_the_same(folder: Path, again: Path) -> None:
    """Ask that a loaded output that is saved and loaded once more has the same tensors."""
    from infimum import compress

    model = compress.load(folder)
    model.save_pretrained(again)
    for (name, one), (other, two) in zip(
        model.state_dict().items(), compress.load(again).state_dict().items(), strict=True
    ):
        assert name == other
        assert torch.equal(one, two)
