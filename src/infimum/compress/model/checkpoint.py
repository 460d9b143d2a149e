"""A model folder: its tensors, read one at a time, and the linear layers that can be compressed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers import logging as transformers_logging
from transformers.pytorch_utils import Conv1D

from infimum._display import Shown
from infimum.compress.model.configuration import LAYERS, empty_model, read_config
from infimum.compress.model.experts import unfuse
from infimum.compress.model.heads import Head
from infimum.compress.model.layer import Layer
from infimum.compress.model.linear_maps import shape_of
from infimum.compress.model.names import Names, is_computed
from infimum.compress.model.pieces import ModelTensors
from infimum.compress.model.tensor_files import Kind, Stored, TensorFiles, locate
from infimum.compress.model.vocabulary import tied_head, vocabulary_of
from infimum.errors import CheckpointError
from infimum.nn.patches import kernel_of
from infimum.proof.evidence import shown
from infimum.proof.folder import CONFIG, DESCRIPTION, check_model_folder, companions, file_hash, own_file

QUANTISED = (".qweight", ".scales", ".weight_scale", ".weight_packed", ".absmax")  # beside packed weights
NOTABLE = 0.05  # share of the model above which it is said what cannot be replaced
TIED = "The output head shares the embeddings' weights: both stay as they are."
UNTIED = "The output head stays as it is: its outputs are the vocabulary, too many for a moment matrix."
FLOATS = {"F64", "F32", "F16", "BF16"}


@dataclass(frozen=True)
class Checkpoint(Shown):
    """A folder with config.json and safetensors files.

    Raises
    ------
    CheckpointError
        On construction through `open_checkpoint`: something is missing, damaged, quantised or stored in another format.
    """

    path: Path
    files: Mapping[str, Path]  # tensor -> file

    @cached_property
    def tensors(self) -> ModelTensors:
        """The tensors, as the model has them: stacks of experts are cut, and others joined or turned."""
        return ModelTensors(self.skeleton, TensorFiles(self.path, self.files))

    @cached_property
    def config(self) -> Any:
        """The model's configuration."""
        return read_config(self.path)

    @cached_property
    def skeleton(self) -> PreTrainedModel:
        """The model without weights (on the meta device): its structure."""
        with torch.device("meta"):
            return empty_model(self.head, self.config, self.files)

    @property
    def names(self) -> Names:
        """How the names of the model become those of the tensors."""
        return self.tensors.names

    @cached_property
    def head(self) -> Head:
        """What the model is for: the class that holds it, and what of its output counts."""
        return Head.of(self.path, self.config)

    @property
    def is_language_model(self) -> bool:
        """Whether the model predicts the next token."""
        return self.head.goal == "loss"

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Linear layers in the order of the model; the output head and what is tied to the embeddings are left out."""
        embeddings = [module for module in self.skeleton.modules() if isinstance(module, torch.nn.Embedding)]
        fixed = {id(module.weight) for module in (*embeddings, self._head) if module is not None}
        found = []
        for name, module in self.skeleton.named_modules():
            tensor, shape = self.names.in_files(f"{name}.weight"), shape_of(module)
            if shape is not None and 0 not in shape and id(module.weight) not in fixed and tensor in self.tensors:
                found.append(Layer(name, tensor, shape, isinstance(module, Conv1D), kernel_of(module)))
        return tuple(found)

    @cached_property
    def vocabulary(self) -> tuple[Layer, ...]:
        """Matrices with a row for each token: the embeddings, and the output head if it has a matrix of its own.

        Left out is what is no plain torch.nn.Embedding or torch.nn.Linear, what others share, such as encoder and
        decoder, and what is stored in another dtype than the linear layers.
        """
        if self.config.is_encoder_decoder:
            return ()
        kinds = {self._headers[layer.tensor][0] for layer in self.layers}
        found = []
        for name, (rows, columns) in vocabulary_of(self.skeleton).items():
            tensor = self.names.in_files(f"{name}.weight")
            twice = any(self.names.in_files(f"{head}.weight") in self.tensors for head in self.tied)
            if tensor in self.tensors and not twice and {self._headers[tensor][0]} == kinds:
                found.append(Layer(name, tensor, (rows, columns)))
        return tuple(found)

    @cached_property
    def tied(self) -> dict[str, str]:
        """Name of the embeddings by that of the output head which shares their matrix, if there is one."""
        return tied_head(self.skeleton)

    @property
    def _head(self) -> Any:
        return self.skeleton.get_output_embeddings()  # type: ignore[no-untyped-call]

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about this checkpoint."""
        notes = []
        if self._head is not None:
            tied = getattr(self.config, "tie_word_embeddings", False)
            notes.append(TIED if tied else UNTIED)
        if (left := self._left_out()) and sum(left.values()) > NOTABLE * sum(self.sizes.values()):
            share, largest = sum(left.values()) / sum(self.sizes.values()), max(left, key=lambda name: left[name])
            notes.append(f"{share:.0%} of the model are matrices that cannot be replaced ({largest}, ...): they stay.")
        return tuple(notes)

    def _left_out(self) -> dict[str, int]:
        """Sizes of the matrices and kernels that are neither layers nor embeddings."""
        known = {layer.tensor for layer in self.layers} | {
            self.names.in_files(f"{name}.weight")
            for name, module in self.skeleton.named_modules()
            if isinstance(module, torch.nn.Embedding) or module is self._head
        }
        shapes = {name: shape for name, (_, shape) in self._headers.items() if name not in known}
        return {name: self.sizes[name] for name, shape in shapes.items() if len(shape) > 1 and name in self.sizes}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Number of elements of every floating tensor."""
        return {name: int(np.prod(shape)) for name, (kind, shape) in self._headers.items() if kind in FLOATS}

    @cached_property
    def _headers(self) -> dict[str, Kind]:
        return self.tensors.kinds()

    def kind(self, tensor: str) -> str:
        """Return what safetensors calls the dtype of a tensor."""
        return self._headers[tensor][0]

    def tensor_of(self, name: str) -> str | None:
        """Name in the files of a parameter or buffer of the model; None where no file has it."""
        tensor = self.names.in_files(name)
        return tensor if tensor in self.tensors else None

    def read(self, tensor: str) -> torch.Tensor:
        """Read one tensor; refuse NaN and infinity."""
        value = self.tensors[tensor]
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"tensor {tensor} contains NaN or infinity; the checkpoint is damaged")
        return value

    def weight(self, layer: Layer) -> torch.Tensor:
        """Read the weight of a linear layer, (outputs, inputs)."""
        return layer.matrix(self.read(layer.tensor))

    def bias(self, layer: Layer) -> torch.Tensor | None:
        """Read the bias of a linear layer; None where it has none."""
        return self.read(layer.bias) if layer.bias in self.tensors else None

    def blocks(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every tensor, one at a time, in the order of the files."""
        for name in self.tensors:
            yield name, self.read(name)

    def stored(self) -> Iterator[Stored]:
        """Yield a description of every tensor, in the order of the files."""
        for name, (kind, shape) in self._headers.items():
            yield Stored(name, kind, shape, partial(self.read, name))

    def load(self) -> PreTrainedModel:
        """Load the whole model in float32, for calibration and comparison; refuse NaN and infinity."""
        for _ in self.blocks():  # a damaged tensor is named here; later it would only show as a useless answer
            pass
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        model: PreTrainedModel = unfuse(self.head.from_folder(self.path, dtype=torch.float32))
        model.eval()  # type: ignore[no-untyped-call]
        return model

    @cached_property
    def sha256(self) -> dict[str, str]:
        """Hash of every weight file and of the configuration."""
        paths = {*self.files.values(), self.path / CONFIG}
        return {path.name: file_hash(path) for path in sorted(paths)}


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Open a model folder, checking what can be checked without reading the weights.

    Raises
    ------
    CheckpointError
        The message says what is missing or unsupported, and what to do.
    """
    path = Path(path)
    check_model_folder(path)
    try:
        config = json.loads(own_file(path / CONFIG, path).read_text(encoding="utf-8"))  # Infinity occurs in them
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path / CONFIG} is not valid JSON ({error}); download it again") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path / CONFIG} must be an object, got {shown(config)}; download it again")
    if (path / DESCRIPTION).is_file() or LAYERS in config:
        raise CheckpointError(
            f"{path.name} was compressed by infimum already; open it with infimum.compress.load, or compress the "
            "original with another budget"
        )
    if (path / "adapter_config.json").is_file():
        raise CheckpointError(
            f"{path.name} holds a LoRA adapter; load it with peft, call merge_and_unload(), save_pretrained, and "
            "compress the merged model"
        )
    if "quantization_config" in config:
        chosen = config["quantization_config"]
        method = chosen.get("quant_method", "unknown method") if isinstance(chosen, dict) else shown(chosen)
        raise CheckpointError(
            f"{path.name} is quantised already ({method}); load it with transformers, call dequantize(), delete "
            "config.quantization_config, save_pretrained, and compress that"
        )
    companions(path)  # refuses links that lead out of the folder
    checkpoint = Checkpoint(path, locate(path))
    _check_tensors(checkpoint)
    return checkpoint


def _check_tensors(checkpoint: Checkpoint) -> None:
    """Refuse quantised numbers, absent or misshapen parameters, and models without linear layers."""
    name, headers = checkpoint.path.name, checkpoint._headers
    quantised = [tensor for tensor in headers if tensor.endswith(QUANTISED)]
    quantised += [layer.tensor for layer in checkpoint.layers if headers[layer.tensor][0] not in FLOATS]
    if quantised:
        raise CheckpointError(
            f"{name} holds quantised tensors ({quantised[0]}, ...); dequantise it to 16- or 32-bit floats first"
        )
    if adapters := [tensor for tensor in headers if ".lora_" in tensor]:
        raise CheckpointError(
            f"{name} has LoRA adapters beside its weights ({adapters[0]}, ...), which would no longer fit; load it "
            "with peft, call merge_and_unload(), save_pretrained, and compress the merged model"
        )
    skeleton = checkpoint.skeleton
    tied = skeleton.all_tied_weights_keys or {}
    for parameter, meta in skeleton.named_parameters():
        tensor = checkpoint.tensor_of(parameter) or checkpoint.tensor_of(tied.get(parameter, parameter))
        if tensor is None and is_computed(skeleton, parameter):
            continue
        if tensor is None:
            raise CheckpointError(
                f"tensor {checkpoint.names.in_files(parameter)} of the model is in no file of {name}, so that it would "
                "be random: what was saved is another class than config.json names (architectures), or a file is "
                "missing; load it with transformers, train what is new, and save_pretrained"
            )
        shape = headers[tensor][1]
        if tuple(shape) != tuple(meta.shape):
            raise CheckpointError(
                f"tensor {tensor} should have shape {tuple(meta.shape)} by config.json, got "
                f"{tuple(shape)}; the configuration belongs to another model"
            )
    if not checkpoint.layers:
        raise CheckpointError(f"{name} has no linear layer whose weights are in its files; nothing can be compressed")
