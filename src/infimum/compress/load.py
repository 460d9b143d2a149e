"""Loading a compressed checkpoint back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from infimum._arguments import optional
from infimum.compress.menu.compressed_tensors import KEY, packed_layers
from infimum.compress.menu.forms import PackedForm
from infimum.compress.menu.gguf_model import FILE, file_name, row_order
from infimum.compress.model.checkpoint import open_checkpoint
from infimum.compress.model.configuration import LAYERS, empty_model, read_config
from infimum.compress.model.heads import Head
from infimum.compress.model.names import is_computed
from infimum.compress.model.pieces import ModelTensors
from infimum.compress.model.tensor_files import TensorFiles
from infimum.compress.write.saved_again import keep_code
from infimum.errors import CheckpointError
from infimum.nn.linear import REMEDY, replace_layers
from infimum.proof.folder import DESCRIPTION


def load(out: str | Path) -> PreTrainedModel:
    """Load a compressed checkpoint as a working module in evaluation mode.

    Raises
    ------
    CheckpointError
        The folder was not written by infimum, or is incomplete.

    Notes
    -----
    ``model.save_pretrained(folder)`` writes every tensor of the model with the same bytes, and the code by which
    transformers loads it with ``trust_remote_code=True``; `load` reads that folder again. It has no `infimum.json`:
    the certificate belongs to the numbers that `Plan.save` wrote.
    """
    out = Path(out)
    if (out / FILE).is_file():
        return _load_gguf(out)
    config = read_config(out)
    vars(config).pop("auto_map", None)  # save_pretrained would name the code beside this checkpoint, and not copy it
    packed = vars(config).pop(KEY, None)  # what is loaded has layers of ours in place of those
    layers = getattr(config, LAYERS, None)
    if layers is None and not (out / DESCRIPTION).is_file():
        raise CheckpointError(f"{out} was not written by infimum.compress; load it with transformers, or compress it")
    files = TensorFiles(out)
    head = Head.of(out, config)
    model = empty_model(head, config, files)
    tensors = ModelTensors(model, files)
    names = tensors.names
    if packed is not None:
        layers = packed_layers(packed, model)
        setattr(model.config, LAYERS, layers)
    replace_layers(model, layers or {})
    state = {name: tensors[names.in_files(name)] for name in model.state_dict() if names.in_files(name) in tensors}
    for layer in () if packed is None else layers or ():
        form = PackedForm.read({part: tensors[names.in_files(f"{layer}.{part}")] for part in PackedForm.parts})
        state |= {f"{layer}.{name}": tensor for name, tensor in form.module_tensors().items()}
    missing = model.load_state_dict(state, strict=False, assign=True).missing_keys
    model.tie_weights()
    needless = {*(model.all_tied_weights_keys or ()), REMEDY}
    if absent := sorted(name for name in set(missing) - needless if not is_computed(model, name)):
        raise CheckpointError(
            f"tensor {names.in_files(absent[0])} is missing from {out.name}; the folder is incomplete"
        )
    model.eval()  # type: ignore[no-untyped-call]
    return keep_code(model, head)


def _load_gguf(out: Path) -> PreTrainedModel:
    """Load the numbers that engines compute with, in float32, into the model that config.json says."""
    gguf = optional("gguf", "gguf")
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(out / FILE).tensors}
    config = read_config(out)
    model, state = empty_model(Head.of(out, config), config, ()), {}
    for name, parameter in model.named_parameters():
        if (tensor := found.get(file_name(name))) is None:
            raise CheckpointError(f"tensor {file_name(name)} is missing from {out / FILE}; the folder is incomplete")
        values, order = gguf.dequantize(tensor.data, tensor.tensor_type), row_order(config, name, len(parameter))
        ordered = values if order is None else values[np.argsort(order)]
        state[name] = torch.from_numpy(np.array(ordered, dtype=np.float32))
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    model.eval()  # type: ignore[no-untyped-call]
    return model


def load_any(folder: str | Path) -> PreTrainedModel:
    """Load a model folder, compressed by infimum or not, in float32."""
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file() and not hasattr(read_config(folder), LAYERS):
        return open_checkpoint(folder).load()
    model = load(folder)
    model.float()  # type: ignore[no-untyped-call]
    return model
