"""Tensors that a model calls otherwise than its files hold them: cut from stacks of experts, or joined and turned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import dot_natural_key

from infimum.compress.model.experts import Part, TakenApart, stacked_parts
from infimum.compress.model.names import Names, renamed
from infimum.compress.model.tensor_files import Kind, TensorFiles


class Stack(NamedTuple):
    """A tensor of transformers that consists of several: its name and kind, and the one that is `part`, as a view."""

    name: str
    kind: Kind
    part: Callable[[torch.Tensor], torch.Tensor]


class Piece(NamedTuple):
    """What is made of tensors of the files, `sources`, or of `rows` of one; and the stack that it is a part of."""

    sources: tuple[str, ...]
    rows: tuple[int, int] | None
    kind: Kind
    make: Callable[[list[torch.Tensor]], torch.Tensor]
    stack: Stack | None = None


class ModelTensors(Mapping[str, torch.Tensor]):
    """The tensors of a folder in the shapes that a model has, each read when it is asked for.

    `names` are what they are called: as in the files or, of the `pieces` that are cut or made, as the model does.
    """

    def __init__(self, model: PreTrainedModel, files: TensorFiles) -> None:
        self._files, held = files, files.kinds()
        names = Names.between(model, held)
        self.pieces = _pieces(model, names, held)
        self.names = names.with_own(self.pieces)
        made: dict[str, dict[str, Kind]] = {}  # by what it is made of
        for name, piece in self.pieces.items():
            for source in piece.sources:
                made.setdefault(source, {})[name] = piece.kind
        self._kinds: dict[str, Kind] = {}
        for name, kind in held.items():
            self._kinds |= made.get(name) or {name: kind}

    def __getitem__(self, name: str) -> torch.Tensor:
        piece = self.pieces.get(name)
        if piece is None:
            return self._files[name]
        return piece.make([self._files.rows(source, piece.rows) for source in piece.sources]).contiguous()

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def paths(self) -> set[Path]:
        """The files that hold the tensors, and the table of their contents if there is one."""
        return self._files.paths

    @property
    def taken_apart(self) -> list[str]:
        """The tensors of the files in whose place are pieces."""
        return sorted({source for piece in self.pieces.values() for source in piece.sources})

    @property
    def stacks(self) -> dict[str, Kind]:
        """The stacks of which some pieces are parts."""
        return {piece.stack.name: piece.stack.kind for piece in self.pieces.values() if piece.stack}

    def kinds(self) -> dict[str, Kind]:
        """Return dtype, as safetensors calls it, and shape of every tensor."""
        return dict(self._kinds)


def stacked(pieces: Mapping[str, Piece], stack: str, read: Callable[[str], torch.Tensor]) -> torch.Tensor:
    """Put the pieces of a stack together again."""
    whole = torch.empty(0)
    for name, piece in pieces.items():
        if piece.stack is not None and piece.stack.name == stack:
            value = read(name)
            if not whole.numel():
                whole = torch.empty(piece.stack.kind[1], dtype=value.dtype)
            piece.stack.part(whole).copy_(value)
    return whole


def _pieces(model: PreTrainedModel, names: Names, held: Mapping[str, Kind]) -> dict[str, Piece]:
    found, cut = _joined(model, held), set()
    for name, module in model.named_modules():
        for end, part in module.parts.items() if isinstance(module, TakenApart) else ():
            parameter = f"{name}.{part.parameter}"
            tensor = parameter if parameter in found else names.in_files(parameter)
            if tensor not in found and tensor not in held:
                continue
            cut.add(tensor)
            whole = found.get(tensor) or Piece((tensor,), None, held[tensor], _only)
            found |= {f"{name}.{index}.{end}": _cut(whole, tensor, part, index) for index in range(part.experts)}
    return {name: piece for name, piece in found.items() if name not in cut}


def _only(tensors: list[torch.Tensor]) -> torch.Tensor:
    return tensors[0]


def _cut(whole: Piece, tensor: str, part: Part, index: int) -> Piece:
    """Take an expert's part out of a stack: of one that is in a file no more than the expert is read."""
    kind, shape = whole.kind
    rows = shape[0] // part.experts

    def view(stack: torch.Tensor) -> torch.Tensor:
        return part.of(part.block(stack, index))

    own = kind, tuple(view(torch.empty(shape, device="meta")).shape)
    stack = Stack(tensor, whole.kind, view)
    if whole.make is not _only:
        return Piece(whole.sources, None, own, lambda tensors: view(whole.make(tensors)), stack)
    one = part._replace(experts=1) if rows > 1 else None
    return Piece(
        whole.sources,
        (index * rows, (index + 1) * rows),
        own,
        lambda tensors: part.of(tensors[0][0] if one is None else one.block(tensors[0], 0)),
        stack,
    )


def _joined(model: PreTrainedModel, held: Mapping[str, Kind]) -> dict[str, Piece]:
    """Return what transformers makes of the tensors of files while it loads, but for experts that it only stacks."""
    rules = get_model_conversion_mapping(model)
    renamings = [rule for rule in rules if not hasattr(rule, "operations")]
    makers = [rule for rule in rules if hasattr(rule, "operations") and not stacked_parts(rule)]
    given: dict[tuple[int, str], list[tuple[str, str]]] = {}  # by rule and by what it makes: tensors and their patterns
    for tensor in sorted(held, key=dot_natural_key):
        name = renamed(tensor, renamings)
        for place, rule in enumerate(makers):
            target, pattern = rule.rename_source_key(name)
            if pattern is not None:
                given.setdefault((place, target), []).append((tensor, pattern))
                break
    wanted, found = _parameters(model), {}
    for (place, target), sources in given.items():
        tensors = tuple(tensor for tensor, _ in sources)
        make = partial(_made, model, makers[place], target, [pattern for _, pattern in sources])
        empty = [torch.empty(held[tensor][1], device="meta") for tensor in tensors]
        for name, value in make(empty).items():
            for own in {name, f"{model.base_model_prefix}.{name}", name.removeprefix(f"{model.base_model_prefix}.")}:
                if own in wanted:
                    kind = held[tensors[0]][0], tuple(value.shape)
                    found[own] = Piece(tensors, None, kind, partial(_one_of, make, name))
    return found


def _parameters(model: PreTrainedModel) -> set[str]:
    """Name the tensors that transformers has in a model, experts stacked."""
    stacks = {
        f"{name}.{part.parameter}"
        for name, module in model.named_modules()
        if isinstance(module, TakenApart)
        for part in module.parts.values()
    }
    return stacks | set(model.state_dict())


def _made(
    model: PreTrainedModel, rule: Any, target: str, patterns: list[str], tensors: list[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Apply a rule to tensors as transformers does while it loads."""
    own = rule.copy(rule._original_source_patterns, rule._original_target_patterns, operations=rule.operations)
    for pattern, tensor in zip(patterns, tensors, strict=True):
        own.add_tensor(target, "", pattern, tensor)
    made = own.convert(target, model=_Stock(model), config=model.config)
    return {name: value[0] if isinstance(value, list) else value for name, value in made.items()}


class _Stock:
    """A model as rules of transformers see it: its experts stacked."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def get_parameter(self, name: str) -> torch.Tensor:
        """Return a parameter, or a stack without numbers."""
        try:
            return self._model.get_parameter(name)
        except AttributeError:
            for owner, module in self._model.named_modules():
                if isinstance(module, TakenApart) and (shape := module.stacks.get(name.removeprefix(f"{owner}."))):
                    return torch.empty(shape, device="meta")
            raise


def _one_of(
    make: Callable[[list[torch.Tensor]], dict[str, torch.Tensor]], name: str, tensors: list[torch.Tensor]
) -> torch.Tensor:
    return make(tensors)[name]
