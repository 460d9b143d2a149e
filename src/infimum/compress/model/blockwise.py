"""A checkpoint that runs block by block: of its transformer blocks, one at a time is in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from infimum.compress.model.block_calls import (
    Call,
    Carried,
    Crossing,
    carried_places,
    crossed,
    is_real,
    mapped,
    marked,
    noise,
    same,
)
from infimum.compress.model.checkpoint import Checkpoint
from infimum.compress.model.configuration import empty_model
from infimum.compress.model.names import is_computed
from infimum.errors import CalibrationError

Run = Callable[[], torch.Tensor]  # the model on one batch, from token ids to what is differentiated
Visit = Callable[..., Any]  # what a block does when the model calls it: (chain, index, *args, **options)
LEAST = 0.05  # of the layers, in a list of blocks
# what a model may raise that is given noise where it computes with more than hidden states
STRANGE = (CalibrationError, RuntimeError, TypeError, ValueError, LookupError, AttributeError)


class Reached(NamedTuple):
    """What reaches the first block of a chain, what its blocks are called with, and the tensors that cross over."""

    hidden: torch.Tensor
    calls: list[Call]
    crossing: list[torch.Tensor]


class _EnoughError(Exception):
    """Nothing of what follows is needed."""


class _NotAChainError(Exception):
    """The model does more between the blocks of a chain than hand on what they return."""

    def __init__(self, chain: int) -> None:
        super().__init__(chain)
        self.chain = chain


class BlockwiseModel:
    """A model in float32 whose blocks are called one by one, each on all batches before the next is loaded.

    `chains` are their names, chain by chain in the order in which the model calls them, such as those of an encoder and
    of a decoder: the modules of each torch.nn.ModuleList with a share of the layers, if on the batch of `run` each is
    called once, in order, and what they are given of the others is handed on unchanged. Where there are none the whole
    model is in memory, as embeddings, norms and head are in any case.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.model = _structure(checkpoint)
        self.model.eval().requires_grad_(False)  # type: ignore[no-untyped-call]
        self.model.config.use_cache = False
        self.chains = find_chains(self.model, [layer.name for layer in checkpoint.layers])
        self._others: list[tuple[Any, ...] | None] = []  # what blocks return beside hidden states; None: no tuple
        self._carried: list[list[int]] = []  # the places of what the next block is given of those
        inside = tuple(f"{name}." for chain in self.chains for name in chain)
        self._fill(self.model, (name for name in self.model.state_dict() if not name.startswith(inside)))
        self.model.tie_weights()
        for chain in self.chains:
            for name in chain:
                self._empty(self.model.get_submodule(name))

    @property
    def carries(self) -> bool:
        """Whether blocks hand on more than hidden states."""
        return any(self._carried)

    def twin(self) -> BlockwiseModel:
        """Return another that may run at the same time; what is outside of the blocks is in memory once."""
        twin = copy.copy(self)
        tensors = (*self.model.parameters(), *self.model.buffers())
        twin.model = copy.deepcopy(self.model, {id(tensor): tensor for tensor in tensors})
        return twin

    def try_chains(self, run: Run) -> None:
        """See on one batch whether the blocks are called as chains, and load those that are not."""
        while True:
            try:
                self._try(run)
                return
            except _NotAChainError as error:
                for name in self.chains[error.chain]:
                    block = self.model.get_submodule(name)
                    self._fill(block, block.state_dict(), f"{name}.")
                self.chains = self.chains[: error.chain] + self.chains[error.chain + 1 :]
                self.model.tie_weights()

    def _try(self, run: Run) -> None:
        truth: dict[int, list[Call]] = {}  # in the order in which the model calls the chains
        starts, ends = dict[int, torch.Tensor](), dict[int, torch.Tensor]()
        others = dict[int, tuple[Any, ...] | None]()
        carried: dict[int, set[int]] = {}

        def visit(chain: int, index: int, *args: Any, **options: Any) -> Any:
            calls = truth.setdefault(chain, [])
            unfinished = [k for k in truth if k != chain and len(truth[k]) < len(self.chains[k])]
            if index != len(calls) or not args or not is_real(args[0]) or unfinished:
                raise _NotAChainError(chain)
            before = others.get(chain) or ()
            calls.append(marked(before, args[1:], options))
            carried.setdefault(chain, set()).update(carried_places(calls[-1]))
            if any(getattr(before[place], "requires_grad", False) for place in carried_places(calls[-1])):
                raise _NotAChainError(chain)  # it depends on the hidden states, too
            starts.setdefault(chain, args[0])
            name = self.chains[chain][index]
            with self.loaded(name) as block, torch.enable_grad():
                output = type(block).forward(block, args[0].detach().requires_grad_(), *args[1:], **options)
            hidden, beside = (output[0], output[1:]) if isinstance(output, tuple) else (output, None)
            if not is_real(hidden):
                raise _NotAChainError(chain)
            ends[chain], others[chain] = hidden.detach(), beside
            return ends[chain] if beside is None else (ends[chain], *beside)

        value = None
        with torch.no_grad(), self._visited(visit):
            value = run()
        for chain in range(len(self.chains)):
            if len(truth.get(chain, ())) < len(self.chains[chain]):
                raise _NotAChainError(chain)
        order = list(truth)
        self.chains = tuple(self.chains[chain] for chain in order)
        self._others = [others[chain] for chain in order]
        self._carried = [sorted(carried[chain]) for chain in order]
        left = [ends[chain] for chain in order]
        for place, chain in enumerate(order):
            if not self._is_chain(run, place, left, Reached(starts[chain], truth[chain], []), value):
                raise _NotAChainError(place)

    def _is_chain(self, run: Run, place: int, ends: Sequence[torch.Tensor], truth: Reached, value: Any) -> bool:
        """Whether a chain is reached by the same without the blocks before it; and the value, without the last."""
        try:
            with torch.no_grad():
                if not same(tuple(self.reach(run, place, ends[:place])), tuple(truth)):
                    return False
                return place < len(ends) - 1 or same(self.behind(run, ends), value)
        except STRANGE:
            return False

    def reach(self, run: Run, chain: int, ends: Sequence[torch.Tensor]) -> Reached:
        """Run the model to a chain, as if `ends` left those before it."""
        hidden: list[torch.Tensor] = []
        calls: list[Call] = []
        handed: list[tuple[Any, ...]] = [()]

        def visit(place: int, index: int, *args: Any, **options: Any) -> Any:
            if place < chain:
                return self._output(place, args[0] if index < len(self.chains[place]) - 1 else ends[place])[0]
            if place > chain or index != len(calls) or not args or (hidden and args[0] is not hidden[0]):
                raise _NotAChainError(chain)
            hidden.append(args[0])
            calls.append(marked(handed[0], args[1:], options))
            if len(calls) == len(self.chains[chain]):
                raise _EnoughError
            output, handed[0] = self._output(chain, args[0])
            return output

        with self._visited(visit):
            run()
        if not calls or len(calls) != len(self.chains[chain]):
            raise _NotAChainError(chain)
        crossing: list[torch.Tensor] = []
        return Reached(hidden[0], [crossed(call, crossing) for call in calls], crossing)

    def apply(
        self, name: str, state: Sequence[torch.Tensor], call: Call, crossing: Sequence[torch.Tensor] = ()
    ) -> list[torch.Tensor]:
        """Return what leaves a block, which is loaded, for what reaches it: hidden states, and what is carried on."""
        chain = next(number for number, names in enumerate(self.chains) if name in names)
        carried = dict(zip(self._carried[chain], state[1:], strict=False))  # the first block has none

        def filled(value: Any) -> Any:
            if isinstance(value, Carried):
                return carried[value.place]
            return crossing[value.number] if isinstance(value, Crossing) else value

        args, options = mapped(tuple(call), filled)
        output = self.model.get_submodule(name)(state[0], *args, **options)
        if not isinstance(output, tuple):
            return [output]
        return [output[0], *(output[1 + place] for place in self._carried[chain])]

    def behind(self, run: Run, ends: Sequence[torch.Tensor]) -> torch.Tensor:
        """Run the model as if these hidden states left the chains."""

        def visit(chain: int, index: int, *args: Any, **_options: Any) -> Any:
            return self._output(chain, ends[chain] if index == len(self.chains[chain]) - 1 else args[0])[0]

        with self._visited(visit):
            return run()

    @contextmanager
    def loaded(self, name: str) -> Iterator[torch.nn.Module]:
        """Keep the weights of a block in memory."""
        block = self.model.get_submodule(name)
        self._fill(block, block.state_dict(), f"{name}.")
        try:
            yield block
        finally:
            self._empty(block)

    def _output(self, chain: int, hidden: torch.Tensor) -> tuple[Any, tuple[Any, ...]]:
        """Return what a block that is not run seems to return, and what of it stands for others than hidden states.

        That is noise: what depends on it is not what the model has in truth.
        """
        others = self._others[chain]
        if others is None:
            return hidden, ()
        made = tuple(noise(other) if isinstance(other, torch.Tensor) else other for other in others)
        return (hidden, *made), made

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
        blocks: list[Any] = []
        for chain, names in enumerate(self.chains):
            for index, name in enumerate(names):
                blocks.append(self.model.get_submodule(name))
                blocks[-1].forward = lambda *args, _at=(chain, index), **options: visit(*_at, *args, **options)
        try:
            yield
        except _EnoughError:
            pass
        finally:
            for block in blocks:
                del block.forward


def find_chains(model: torch.nn.Module, layers: list[str]) -> tuple[tuple[str, ...], ...]:
    """Name the modules of each outermost torch.nn.ModuleList with a share of the layers; none if they hold few."""
    found: dict[str, tuple[str, ...]] = {}
    held = 0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and not name.startswith(tuple(f"{outer}." for outer in found)):
            inside = sum(layer.startswith(f"{name}.") for layer in layers)
            if inside and inside >= LEAST * len(layers):
                found[name] = tuple(f"{name}.{child}" for child, _ in module.named_children())
                held += inside
    return tuple(found.values()) if 2 * held > len(layers) else ()


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
