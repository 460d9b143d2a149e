"""Which modules of a model have a matrix with a row for each token."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel


def vocabulary_of(model: PreTrainedModel) -> dict[str, tuple[int, int]]:
    """Return the shapes of embeddings and output head by their names, but not of a head that shares the embeddings.

    Left out is what is no plain torch.nn.Embedding or torch.nn.Linear, and what modules other than the head share.
    """
    found = {}
    for module, kind in ((embeddings_of(model), torch.nn.Embedding), (_head(model), torch.nn.Linear)):
        name = _name(model, module)
        if (
            type(module) is kind
            and name not in tied_head(model)
            and set(_sharing(model, name)) <= tied_head(model).keys()
        ):
            rows, columns = module.weight.shape
            found[name] = (rows, columns)
    return found


def tied_head(model: PreTrainedModel) -> dict[str, str]:
    """Return the name of the embeddings by that of a head that is a torch.nn.Linear and shares their matrix."""
    embeddings, head = _name(model, embeddings_of(model)), _name(model, _head(model))
    shares = type(_head(model)) is torch.nn.Linear and head in _sharing(model, embeddings)
    return {head: embeddings} if shares else {}


def embeddings_of(model: PreTrainedModel) -> Any:
    """Return the module that embeds tokens; None where a model has none, or images in their place."""
    try:
        found: Any = model.get_input_embeddings()
    except NotImplementedError:
        return None
    weight = getattr(found, "weight", None)  # I-BERT has a kind of its own
    return found if weight is not None and weight.dim() == 2 and not isinstance(found, torch.nn.Linear) else None


def _head(model: PreTrainedModel) -> Any:
    return model.get_output_embeddings()  # type: ignore[no-untyped-call]


def _name(model: PreTrainedModel, module: torch.nn.Module | None) -> str:
    """Name a module; empty for none."""
    return next((name for name, own in model.named_modules() if own is module), "")


def _sharing(model: PreTrainedModel, name: str) -> list[str]:
    """Name the modules that share the weight of one."""
    pairs = (model.all_tied_weights_keys or {}).items()
    return [target.removesuffix(".weight") for target, source in pairs if source == f"{name}.weight"]
