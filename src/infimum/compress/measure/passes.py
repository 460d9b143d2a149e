"""One pass over the text, forwards and backwards, block by block: the moments of all layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from infimum.compress.measure import outputs
from infimum.compress.measure.leaves import Leaves, gradients_of, leaves_of
from infimum.compress.measure.moments import BATCH, Gather, MomentShelf
from infimum.compress.measure.samples import Inputs
from infimum.compress.measure.scratch import Shelf
from infimum.compress.measure.side_by_side import Step
from infimum.compress.measure.text import Tokens
from infimum.compress.measure.vocabulary import VocabularyGather
from infimum.compress.model.block_calls import Call
from infimum.compress.model.blockwise import BlockwiseModel, Run
from infimum.compress.model.checkpoint import Checkpoint
from infimum.errors import CalibrationError


class Collection:
    """The passes over one text; `passes` is what the sums of gradients are divided by.

    `go_on` is called at every batch, and `report` after every step, with how many there are.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        runner: BlockwiseModel,
        tokens: Inputs,
        passes: int,
        *,
        inputs: bool,
        share: bool,
        go_on: Step,
        report: Callable[[int], None],
    ) -> None:
        self._per_token = checkpoint.head.goal == "loss"
        self._options = {"per_token": self._per_token, "share": share, "inputs": inputs}
        self._passes, self._runner, self._go_on, self._report_of = passes, runner, go_on, report
        _check_ids(self._runner.model, tokens)
        batches = list(tokens.batches(max(1, BATCH // tokens.length)))
        function = outputs.output_of(checkpoint.head)
        self._runs: list[Run] = [partial(function, self._runner.model, ids, mask) for ids, mask in batches]
        self._given, self._masks = zip(*batches, strict=True)
        self._runner.try_chains(self._runs[0])
        self._blocks = [name for chain in self._runner.chains for name in chain]
        inside = tuple(f"{name}." for name in self._blocks)
        names = [layer.name for layer in checkpoint.layers]
        self._inside = {block: [name for name in names if name.startswith(f"{block}.")] for block in self._blocks}
        self._outside = [name for name in names if not name.startswith(inside)]
        self._states, self._found = Shelf(), MomentShelf()
        self._ids: dict[int, torch.Tensor] = {}  # by batch, of the tokens whose embeddings a graph starts at
        self._vocabulary = VocabularyGather(checkpoint, self._runner.model, per_token=self._per_token)

    def run(self, directions: Callable[[torch.Tensor], Sequence[torch.Tensor]]) -> MomentShelf:
        """Return the moments; `directions` are those by which what a batch gives is differentiated."""
        chains = self._runner.chains
        calls = [self._forward(chain) for chain in range(len(chains))]
        self._behind(directions)
        for chain in reversed(range(len(chains))):
            for index in reversed(range(len(chains[chain]))):
                self._backward(chain, index, [every[index] for every in calls[chain]])
            self._before(chain)
        for batch, ids in self._ids.items():
            self._begin(batch)
            self._vocabulary.embedded(ids, self._taken(("embeddings", batch)))
        self._found.add(self._vocabulary.moments(self._passes))
        return self._found

    def _begin(self, batch: int, gather: Gather | None = None) -> None:
        """Say which batch comes next."""
        if gather is not None:
            gather.begin(self._masks[batch])
        self._vocabulary.begin(self._masks[batch])

    def _forward(self, chain: int) -> list[list[Call]]:
        """Store what reaches every block of a chain, and what leaves the last; return what they are called with."""
        runner, calls = self._runner, []
        names = runner.chains[chain]
        for batch, run in enumerate(self._runs):
            with torch.enable_grad(), leaves_of(runner.model, self._given[batch]):
                reached = runner.reach(run, chain, self._ends(chain, batch))
            self._put((chain, 0, batch), [reached.hidden])
            self._put(("crossing", chain, batch), reached.crossing)
            calls.append(reached.calls)
        for index, name in enumerate(names):
            with runner.loaded(name), torch.no_grad():
                for batch, call in enumerate(calls):
                    state, crossing = self._get((chain, index, batch)), self._get(("crossing", chain, batch))
                    self._put((chain, index + 1, batch), runner.apply(name, state, call[index], crossing))
            self._report()
        return calls

    def _ends(self, chain: int, batch: int) -> list[torch.Tensor]:
        """Return the hidden states that leave the chains before one, where graphs start."""
        chains = self._runner.chains[:chain]
        return [self._get((k, len(names), batch))[0].requires_grad_() for k, names in enumerate(chains)]

    def _behind(self, directions: Callable[[torch.Tensor], Sequence[torch.Tensor]]) -> None:
        """From the goal back to what leaves the chains, and to embeddings that it sees without them."""
        with self._gathered(self._outside) as gather, self._vocabulary.attached():
            for batch, run in enumerate(self._runs):
                self._begin(batch, gather)
                ends = self._ends(len(self._runner.chains), batch)
                with torch.enable_grad(), leaves_of(self._runner.model, self._given[batch]) as leaves:
                    value = self._runner.behind(run, ends)
                self._split([value], [[to] for to in directions(value)], ends, leaves, batch)
                if not ends:
                    self._report()

    def _split(
        self,
        values: Sequence[torch.Tensor],
        directions: Sequence[Sequence[torch.Tensor]],
        ends: Sequence[torch.Tensor],
        leaves: Leaves,
        batch: int,
    ) -> None:
        """Differentiate, and add what arrives at the ends of chains and at the embeddings to what did so before."""
        self._ids[batch] = leaves.ids
        found = gradients_of(values, [*ends, *leaves.tensors], directions)
        for k, end in enumerate(ends):
            self._add(("gradients", k, len(self._runner.chains[k]), batch), [each[k] for each in found], end)
        if leaves.ids.numel():
            self._add(("embeddings", batch), [each[len(ends)] for each in found], leaves.tensors[0])

    def _backward(self, chain: int, index: int, calls: Sequence[Call]) -> None:
        """From what leaves a block back to what reaches it."""
        name = self._runner.chains[chain][index]
        with self._runner.loaded(name), self._gathered(self._inside[name]) as gather:
            for batch, call in enumerate(calls):
                gather.begin(self._masks[batch])
                state = self._taken((chain, index, batch))
                crossing = [tensor.requires_grad_() for tensor in self._get(("crossing", chain, batch))]
                state[0].requires_grad_()
                with torch.enable_grad():
                    value, *_ = self._runner.apply(name, state, call, crossing)
                arrived = [[to] for to in self._taken(("gradients", chain, index + 1, batch))]
                found = gradients_of([value], [state[0], *crossing], arrived)
                self._add(("gradients", chain, index, batch), [each[0] for each in found], state[0])
                for k, tensor in enumerate(crossing):
                    self._add(("crossed", chain, batch, k), [each[1 + k] for each in found], tensor)
        self._report()

    def _before(self, chain: int) -> None:
        """From what reaches the blocks of a chain back to what left those before it, and to the embeddings."""
        with self._gathered(self._outside) as gather:
            for batch, run in enumerate(self._runs):
                self._begin(batch, gather)
                ends = self._ends(chain, batch)
                with torch.enable_grad(), leaves_of(self._runner.model, self._given[batch]) as leaves:
                    reached = self._runner.reach(run, chain, ends)
                arrived = [self._taken(("gradients", chain, 0, batch))]
                arrived += [self._taken(("crossed", chain, batch, k)) for k in range(len(reached.crossing))]
                values = [reached.hidden, *reached.crossing]
                self._split(values, list(zip(*arrived, strict=True)), ends, leaves, batch)

    @contextmanager
    def _gathered(self, names: Sequence[str]) -> Iterator[Gather]:
        """Gather the moments of layers, and keep them."""
        layers = {name: self._runner.model.get_submodule(name) for name in names if name not in self._found}
        gather = Gather(layers, **self._options)
        with gather.attached():
            yield gather
        self._found.add(gather.moments(self._passes))

    def _put(self, key: Any, tensors: Sequence[torch.Tensor]) -> None:
        self._go_on()
        if tensors:
            self._states.put(key, {str(k): tensor.detach() for k, tensor in enumerate(tensors)})

    def _get(self, key: Any) -> list[torch.Tensor]:
        stored = self._states.get(key) if key in self._states else {}
        return [stored[str(k)] for k in range(len(stored))]

    def _taken(self, key: Any) -> list[torch.Tensor]:
        """Read tensors for the last time."""
        found = self._get(key)
        if found:
            self._states.pop(key)
        return found

    def _add(self, key: Any, gradients: Sequence[torch.Tensor | None], like: torch.Tensor) -> None:
        """Add gradients to those that were stored, one for each direction."""
        found = [torch.zeros_like(like) if each is None else each for each in gradients]
        before = self._taken(key)
        self._put(key, [one + other for one, other in zip(found, before, strict=True)] if before else found)

    def _report(self) -> None:
        self._report_of(2 * len(self._blocks) or len(self._runs))


def _check_ids(model: Any, tokens: Inputs) -> None:
    if not isinstance(tokens, Tokens):
        return
    try:
        words, highest = model.get_input_embeddings().weight.shape[0], int(tokens.ids.max())
    except NotImplementedError as error:
        raise CalibrationError(
            "the model has no embeddings of tokens; only models that have can be compressed"
        ) from error
    if highest >= words:
        raise CalibrationError(
            f"token ids must be below {words}, the size of the model's vocabulary, got {highest} from {tokens.source}; "
            "use the tokenizer of this model"
        )
