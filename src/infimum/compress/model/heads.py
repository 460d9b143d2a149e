"""What the model of a checkpoint is for: the class that holds it, and what of its output counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import transformers
from transformers.models.auto import modeling_auto

from infimum.errors import CheckpointError
from infimum.proof.evidence import shown
from infimum.proof.folder import CONFIG, own_file

Goal: TypeAlias = Literal["embedding", "loss", "logits"]  # what gradients are of
Pooling: TypeAlias = Literal["mean", "cls", "lasttoken"]  # how one vector is made of those of all tokens

SPEECH = "AutoModelForSpeechSeq2Seq"
MODULES = "modules.json"  # of sentence-transformers
LOADERS: dict[str, tuple[str, Goal]] = {  # of other classes, by what their names end with
    "ForCausalLM": ("AutoModelForCausalLM", "loss"),
    "LMHeadModel": ("AutoModelForCausalLM", "loss"),
    "ForSequenceClassification": ("AutoModelForSequenceClassification", "logits"),
    "ForTokenClassification": ("AutoModelForTokenClassification", "logits"),
    "ForQuestionAnswering": ("AutoModelForQuestionAnswering", "logits"),
    "ForMaskedLM": ("AutoModelForMaskedLM", "logits"),
    "EncoderModel": ("AutoModelForTextEncoding", "embedding"),  # half of T5
}
TABLES: dict[str, tuple[str, Goal]] = {  # of transformers, in which it names its classes; the first counts
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES": ("AutoModelForSeq2SeqLM", "loss"),
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES": ("AutoModelForImageTextToText", "loss"),
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES": ("AutoModelForCausalLM", "loss"),
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES": ("AutoModelForMaskedLM", "logits"),
    "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES": ("AutoModelForImageClassification", "logits"),
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES": (SPEECH, "logits"),
    "MODEL_FOR_CTC_MAPPING_NAMES": ("AutoModelForCTC", "logits"),
    "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES": ("AutoModelForAudioClassification", "logits"),
}
ENCODER: tuple[str, Goal] = "AutoModel", "embedding"


@dataclass(frozen=True)
class Head:
    """The class of `transformers` that loads a checkpoint, what of its output counts, and how embeddings are pooled."""

    loader: str
    goal: Goal
    pooling: Pooling = "mean"

    @classmethod
    def of(cls, folder: Path, config: Any) -> Head:
        """Read it from config.json, and from what sentence-transformers has beside it: such a model is an encoder."""
        loader, goal = loader_of(str((config.architectures or [""])[0]))
        if (folder / MODULES).is_file():
            return cls(*((loader, goal) if goal == "embedding" else ENCODER), _pooling(folder))
        return cls(loader, goal)

    def from_config(self, config: Any, **options: Any) -> Any:
        """Build the model that a configuration describes."""
        return getattr(transformers, self.loader).from_config(config, **options)

    def main_input(self, config: Any) -> str:
        """Name what the model reads first: "input_ids" of one that reads text."""
        found = getattr(transformers, self.loader)._model_mapping.get(type(config), None)
        kind = found[0] if isinstance(found, tuple | list) else found
        return str(getattr(kind, "main_input_name", "input_ids"))

    def from_folder(self, folder: Path, **options: Any) -> Any:
        """Load the model of a folder."""
        return getattr(transformers, self.loader).from_pretrained(folder, **options)


def loader_of(name: str) -> tuple[str, Goal]:
    """Return what loads a model whose class has this name, and what of its output counts; of others the encoder's."""
    by_ending = (found for ending, found in LOADERS.items() if name.endswith(ending))
    by_table = (found for table, found in TABLES.items() if _names(table, name))
    return next(chain(by_table, by_ending), ENCODER)


def _names(table: str, name: str) -> bool:
    return any(name in ((one,) if isinstance(one, str) else one) for one in getattr(modeling_auto, table).values())


def _pooling(folder: Path) -> Pooling:
    """Read how sentence-transformers pools the vectors of a model's tokens; the mean where it does not say."""
    try:
        modules = json.loads((folder / MODULES).read_text(encoding="utf-8"))
        paths = [module["path"] for module in modules if str(module["type"]).endswith("Pooling")]
        files = [own_file(folder / path / CONFIG, folder) for path in paths]
        settings = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"{MODULES} of {folder.name} names no pooling that can be read: {error}") from error
    return _mode(folder, settings[0]) if settings else "mean"


def _mode(folder: Path, settings: Mapping[str, Any]) -> Pooling:
    known: dict[str, Pooling] = {f"pooling_mode_{mode}": mode for mode in get_args(Pooling)}
    known |= {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    chosen = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value is True]
    if "pooling_mode" in settings:
        chosen = [f"pooling_mode_{settings['pooling_mode']}"]
    if len(chosen) != 1 or chosen[0] not in known:
        raise CheckpointError(
            f"{folder.name} pools the vectors of its tokens by {shown(chosen)}; supported are mean, first (cls) "
            f"and last token. To compress it for the mean, remove {MODULES}"
        )
    return known[chosen[0]]
