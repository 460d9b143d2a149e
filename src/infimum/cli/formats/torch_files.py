"""Files .pt and .pth that torch.save wrote, of which tensors are taken and nothing else is made."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from infimum._arguments import optional
from infimum.cli.formats.input_file import InputFile
from infimum.cli.formats.limits import choose, require_room
from infimum.errors import FileFormatError

SAVE = "save its state dict alone: torch.save(model.state_dict(), FILE)"


def read_torch(file: InputFile, name: str) -> np.ndarray:
    """Read one tensor of a state dict, or of a checkpoint that holds some; bfloat16 comes as float32."""
    if not zipfile.is_zipfile(file.path):
        raise FileFormatError(f"{file} is no archive as torch.save writes it since PyTorch 1.6: save it again")
    with zipfile.ZipFile(file.path) as archive:
        require_room(file, sum(member.file_size for member in archive.infolist()), SAVE)
    torch = optional("torch", "torch")
    try:
        content = torch.load(file.path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FileFormatError(f"{file} holds Python objects, which are not loaded, beside tensors: {SAVE}") from error
    tensors = _tensors(torch, content)
    name = choose(file, name, list(tensors))
    chosen = tensors[name].detach()
    if chosen.layout is not torch.strided or chosen.is_quantized or chosen.dtype.itemsize == 0:
        raise FileFormatError(f"{file}: {name} is stored as {chosen.dtype}, {chosen.layout}; make it dense first")
    require_room(file, chosen.numel() * chosen.dtype.itemsize, SAVE)  # a few numbers may be spread over any shape
    if chosen.dtype is torch.bfloat16:
        chosen = chosen.float()
    elif str(chosen.dtype).startswith("torch.float8"):
        raise FileFormatError(f"{file}: {name} is stored as {chosen.dtype}; convert it to 16 or 32 bits first")
    return np.asarray(chosen.resolve_conj().resolve_neg().numpy())


def _tensors(torch: Any, content: Any) -> dict[str, Any]:
    """Name every tensor in dictionaries inside of dictionaries by its keys, with dots between them."""
    found: dict[str, Any] = {}
    waiting, seen = [("", content)], set[int]()
    while waiting:
        prefix, item = waiting.pop()
        if isinstance(item, torch.Tensor):
            found[prefix] = item
        elif isinstance(item, Mapping) and id(item) not in seen:  # each once, however often it is referred to
            seen.add(id(item))
            waiting += [(f"{prefix}.{key}" if prefix else str(key), entry) for key, entry in item.items()][::-1]
    return found
