"""LoRA adapters of peft on the layers of a compressed model."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from infimum._arguments import optional
from infimum.compress.write.saved_again import OURS
from infimum.nn.packed import QuantizedEmbedding, TiedLinear

LINEAR = tuple(set(OURS) - {QuantizedEmbedding, TiedLinear})


def lora_config(model: PreTrainedModel, **options: Any) -> Any:
    """Return the configuration of a LoRA adapter that reaches the layers which compression has replaced.

    peft knows a few kinds of layers, and of a compressed model passes most by. With this configuration
    ``peft.get_peft_model(model, config)`` adapts them as it does torch.nn.Linear. Merging makes a layer dense: the sum
    of what is stored and of the adapter has no small form. ``merge_and_unload().save_pretrained(folder)`` writes it so.

    Parameters
    ----------
    model : PreTrainedModel
        What `load` returned.
    **options
        Those of ``peft.LoraConfig``: `r`, `lora_alpha`, `task_type`, ... Without `target_modules`, or with
        "all-linear", all linear layers but the output head are adapted.

    Returns
    -------
    peft.LoraConfig
        For ``peft.get_peft_model``; and to load such an adapter again, for ``PeftModel.from_pretrained(model, folder,
        config=...)``.

    Raises
    ------
    MissingExtraError
        peft is not installed.

    References
    ----------
    .. [1] E. J. Hu et al., "LoRA: low-rank adaptation of large language models", ICLR 2022.
    """
    peft = optional("peft", "peft")
    if options.get("target_modules", "all-linear") == "all-linear":
        head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        kinds = (torch.nn.Linear, Conv1D, *LINEAR)
        # of a layer in two factors that are layers themselves the whole one
        inside = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, LINEAR))
        options["target_modules"] = [
            name
            for name, module in model.named_modules()
            if isinstance(module, kinds)
            and module is not head
            and not name.startswith(inside)
            and not hasattr(module, "patch")  # in place of a convolution, which is no linear layer to peft either
        ]
    config = peft.LoraConfig(**options)
    config._register_custom_module(dict.fromkeys(LINEAR, _adapted()))
    return config


@cache
def _adapted() -> type[Any]:
    """Return the class of an adapted layer, which needs peft."""
    linear: Any = optional("peft.tuners.lora.layer", "peft").Linear

    class CompressedLora(linear):  # type: ignore[misc]
        """A layer of ours and an adapter beside it."""

        def __init__(self, base_layer: torch.nn.Module, adapter_name: str, config: Any, **options: Any) -> None:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Unsupported layer type")  # its features are those of torch.nn.Linear
                super().__init__(base_layer, adapter_name, config, **options)

        def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
            """Add adapters to the layer, which becomes a dense one."""
            layer = self.get_base_layer()
            if isinstance(layer, LINEAR):
                self.base_layer = _dense_layer(layer)
            super().merge(safe_merge, adapter_names)

    return CompressedLora


def _dense_layer(layer: Any) -> torch.nn.Linear:
    weight = layer.to_dense().detach().to(layer.weight.dtype)
    dense = torch.nn.Linear(layer.in_features, layer.out_features, bias=False, device=weight.device, dtype=weight.dtype)
    dense.weight, dense.bias = torch.nn.Parameter(weight.contiguous(), requires_grad=False), layer.bias
    return dense
