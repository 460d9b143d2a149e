"""A checkpoint that runs block by block: of its transformer blocks, one at a time is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.configuration import empty_model
from infimum.compress.model.names import is_computed

Run = Callable[[], torch.Tensor]  # the model on one batch, from token ids to what is differentiated
Visit = Callable[..., Any]  # what a block does when the model calls it: (index, *args, **options)


class Call(NamedTuple):
    """What a block is called with on one batch, beside the hidden states that it works on."""

    args: tuple[Any, ...]
    options: dict[str, Any]


class _EnoughError(Exception):
    """Nothing of what follows is needed."""


class _NotAChainError(Exception):
    """The model does more between its blocks than hand the hidden states on."""


class BlockwiseModel:
    """A model in float32 whose blocks are called one by one, each on all batches before the next is loaded.

    `blocks` are their names: the modules of the torch.nn.ModuleList that holds most of the layers, if on the batch of
    `run` each is called once, in order, and nothing but its first argument depends on those before. Else there are
    none, and the whole model is in memory, as embeddings, norms and head are in any case.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.model = _structure(checkpoint)
        self.model.eval().requires_grad_(False)  # type: ignore[no-untyped-call]
        self.model.config.use_cache = False
        layers = [layer.name for layer in checkpoint.layers]
        # a decoder's blocks need the hidden states of the encoder, too: those are no chain
        self.blocks = () if checkpoint.config.is_encoder_decoder else find_blocks(self.model, layers)
        self._others: tuple[Any, ...] | None = None  # what a block returns beside the hidden states; None: no tuple
        inside = tuple(f"{name}." for name in self.blocks)
        self._fill(self.model, (name for name in self.model.state_dict() if not name.startswith(inside)))
        self.model.tie_weights()
        for index in range(len(self.blocks)):
            self._empty(self._block(index))

    def try_blocks(self, run: Run) -> None:
        """See on one batch whether the blocks are called as a chain, and give them up if not."""
        truth: list[Call] = []

        def visit(index: int, *args: Any, **options: Any) -> Any:
            truth.append(Call(args[1:], options))
            with self.loaded(index):
                output = type(self._block(index)).forward(self._block(index), *args, **options)
            self._others = output[1:] if isinstance(output, tuple) else None
            return output

        try:
            with torch.no_grad():
                with self._visited(visit):
                    run()
                _, calls = self.calls(run)
            if not _same(calls, truth):
                raise _NotAChainError
        except _NotAChainError:
            self.blocks = ()
            self._fill(self.model, self.model.state_dict())
            self.model.tie_weights()

    def calls(self, run: Run) -> tuple[torch.Tensor, list[Call]]:
        """Return the hidden states that reach the first block, and what each block is called with beside them."""
        hidden: list[torch.Tensor] = []
        calls: list[Call] = []

        def visit(index: int, *args: Any, **options: Any) -> Any:
            hidden.extend(args[:1])
            if index != len(calls) or not args or args[0] is not hidden[0]:
                raise _NotAChainError
            calls.append(Call(args[1:], options))
            if len(calls) == len(self.blocks):
                raise _EnoughError
            return self._output(args[0])

        with self._visited(visit):
            run()
        if not calls or len(calls) != len(self.blocks):
            raise _NotAChainError
        return hidden[0], calls

    def apply(self, index: int, hidden: torch.Tensor, call: Call) -> torch.Tensor:
        """Return the hidden states that leave a block, which is loaded, for those that reach it."""
        output = self._block(index)(hidden, *call.args, **call.options)
        result: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return result

    def behind(self, run: Run, hidden: torch.Tensor) -> torch.Tensor:
        """Run the model as if these hidden states left the last block."""

        def visit(index: int, *args: Any, **_options: Any) -> Any:
            return self._output(hidden if index == len(self.blocks) - 1 else args[0])

        with self._visited(visit):
            return run()

    @contextmanager
    def loaded(self, index: int) -> Iterator[torch.nn.Module]:
        """Keep the weights of a block in memory."""
        block = self._block(index)
        self._fill(block, block.state_dict(), f"{self.blocks[index]}.")
        try:
            yield block
        finally:
            self._empty(block)

    def _block(self, index: int) -> torch.nn.Module:
        return self.model.get_submodule(self.blocks[index])

    def _output(self, hidden: torch.Tensor) -> Any:
        return hidden if self._others is None else (hidden, *self._others)

    @staticmethod
    def _empty(block: torch.nn.Module) -> None:
        nothing = {name: parameter.to("meta") for name, parameter in block.named_parameters()}
        block.load_state_dict(nothing, strict=False, assign=True)

    def _fill(self, module: torch.nn.Module, names: Iterable[str], prefix: str = "") -> None:
        """Read parameters and buffers of a module, which the model calls by this prefix, from the files."""
        state = {}
        for name in names:
            tensor = self._checkpoint.tensor_of(prefix + name)
            if tensor is not None:  # tied to another, or not stored
                value = self._checkpoint.read(tensor)
                state[name] = value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)
        module.load_state_dict(state, strict=False, assign=True)

    @contextmanager
    def _visited(self, visit: Visit) -> Iterator[None]:
        """Let `visit` take the place of the blocks."""
        blocks: list[Any] = [self._block(index) for index in range(len(self.blocks))]
        for index, block in enumerate(blocks):
            block.forward = lambda *args, _index=index, **options: visit(_index, *args, **options)
        try:
            yield
        except _EnoughError:
            pass
        finally:
            for block in blocks:
                del block.forward


def find_blocks(model: torch.nn.Module, layers: list[str]) -> tuple[str, ...]:
    """Name the modules of the outermost torch.nn.ModuleList that holds most of the layers; none if there is none."""
    for name, module in model.named_modules():
        inside = sum(layer.startswith(f"{name}.") for layer in layers)
        if isinstance(module, torch.nn.ModuleList) and 2 * inside > len(layers):
            return tuple(f"{name}.{child}" for child, _ in module.named_children())
    return ()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and (one is other or torch.equal(one, other))
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


class _EmptyOnMeta(TorchFunctionMode):
    """Where tensors that are yet to be filled take no memory: all large parameters, and hardly any buffer."""

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}) | ({"device": "meta"} if func is torch.empty else {}))


def _structure(checkpoint: Checkpoint) -> PreTrainedModel:
    """Build a model without the weights that are in its files, but with what is computed and in none."""
    with _EmptyOnMeta():
        model = empty_model(checkpoint.head, checkpoint.config, checkpoint.files, dtype=torch.float32)
    computed = [value for name, value in model.named_parameters() if is_computed(model, name)]
    if any(value.is_meta for value in (*model.buffers(), *computed)):
        model = empty_model(checkpoint.head, checkpoint.config, checkpoint.files, dtype=torch.float32)
    return model
