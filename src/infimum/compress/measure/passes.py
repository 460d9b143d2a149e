"""One pass over the text, forwards and backwards, block by block: the moments of all layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from infimum.compress.measure import outputs
from infimum.compress.measure.leaves import leaves_of
from infimum.compress.measure.moments import (
    BATCH,
    Gather,
    Moments,
    MomentShelf,
    Progress,
    UnequalInputsError,
    known_to_all,
)
from infimum.compress.measure.processes import spread
from infimum.compress.measure.samples import Inputs
from infimum.compress.measure.scratch import Shelf
from infimum.compress.measure.text import Tokens
from infimum.compress.measure.vocabulary import VocabularyGather
from infimum.compress.model.blockwise import BlockwiseModel, Call, Run
from infimum.compress.model.checkpoint import Checkpoint
from infimum.errors import CalibrationError

SEEDS = 0x5851F42D4C957F2D  # between the seeds of the halves of a text


def collect(
    checkpoint: Checkpoint,
    tokens: Inputs,
    *,
    seed: int = 0,
    projections: int = 1,
    split: bool = False,
    inputs: bool = True,
    on_progress: Progress | None = None,
) -> Moments:
    """Run a model over the text, forwards and backwards, and gather the moments of its linear layers.

    Goal "embedding": the gradients are those of ``v' z``: z the model's output (`outputs.embedding`), v standard
    Gaussian. The mean of ``(v' dz)**2`` is the squared change of the output, and to first order it is the mean of
    ``trace(D' dW)**2``: no labels are needed.

    Goal "logits": z are the logits of a classifier (`outputs.answers`), and v is such that the mean of ``(v' dz)**2``
    is the Kullback-Leibler divergence of its answers to those before, summed over a row (`outputs.curvature`).

    Goal "loss": the gradients are those of the summed loss of a language model (`outputs.token_losses`). The mean of
    ``trace(D' dW)**2`` is that of the Fisher information; half of it, per token, models the increase of the loss. The
    tokens of a row are taken as independent, as in K-FAC.

    With `split` the moments are those of one half of the text, and `judge` holds those of the other. Without `inputs`
    their moments are found only where the goal needs them.

    In memory are one block of the model, its moments, and what is outside of the blocks: embeddings, norms, the head.
    The hidden states between the blocks are on disk; each block runs twice forwards and once backwards.
    """
    parts, own = tokens.halves() if split else (tokens,), dict[int, MomentShelf]()
    wanted = inputs or checkpoint.head.goal == "loss"

    def measured(some: list[int]) -> list[list[list[str]]]:
        for number in some:
            # whoever judges draws directions of its own
            generator = torch.Generator().manual_seed((seed + number * SEEDS) % 2**63 if number else seed)
            own[number] = _shelf(checkpoint, parts[number], generator, projections, wanted, on_progress)
        return [own[number].groups() for number in some]

    groups = spread(range(len(parts)), measured)
    made, *judge = [known_to_all(own.get(number), names, number) for number, names in enumerate(groups)]
    for shelf, other in ((made, half), (half, made)) if judge and (half := judge[0]) else ():
        shelf.drop(shelf.keys() - other.keys())  # an expert that half of the text hardly reaches
    return Moments(made, tokens, checkpoint.head.goal, seed, projections, *judge)


def _shelf(
    checkpoint: Checkpoint,
    tokens: Inputs,
    generator: torch.Generator,
    projections: int,
    inputs: bool,
    on_progress: Progress | None,
) -> MomentShelf:
    goal, kind = checkpoint.head.goal, outputs.answer_of(checkpoint.skeleton)

    def directions(value: torch.Tensor) -> list[torch.Tensor]:
        if goal == "loss":
            return [torch.ones_like(value)]
        drawn = (torch.randn(value.shape, generator=generator, dtype=torch.float32) for _ in range(projections))
        noise = [direction.to(value.dtype) for direction in drawn]
        return [outputs.curvature(value.detach(), each, kind) for each in noise] if goal == "logits" else noise

    passes = tokens.count if goal == "loss" else tokens.rows * projections
    state = generator.get_state()
    try:
        return _Collection(checkpoint, tokens, passes, on_progress, inputs=inputs).run(directions)
    except UnequalInputsError:  # a layer is called twice, and with the inputs of others only once
        generator.set_state(state)
        return _Collection(checkpoint, tokens, passes, on_progress, inputs=inputs, share=False).run(directions)


class _Collection:
    """The passes over one text; `passes` is what the sums of gradients are divided by."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        tokens: Inputs,
        passes: int,
        on_progress: Progress | None,
        *,
        inputs: bool,
        share: bool = True,
    ) -> None:
        self._per_token = checkpoint.head.goal == "loss"
        self._options = {"per_token": self._per_token, "share": share, "inputs": inputs}
        self._passes, self._on_progress, self._done = passes, on_progress, 0
        self._runner = BlockwiseModel(checkpoint)
        _check_ids(self._runner.model, tokens)
        batches = list(tokens.batches(max(1, BATCH // tokens.length)))
        function = outputs.output_of(checkpoint.head)
        self._runs: list[Run] = [partial(function, self._runner.model, ids, mask) for ids, mask in batches]
        self._given, self._masks = zip(*batches, strict=True)
        self._runner.try_blocks(self._runs[0])
        inside = tuple(f"{name}." for name in self._runner.blocks)
        names = [layer.name for layer in checkpoint.layers]
        self._inside = {block: [name for name in names if name.startswith(block)] for block in inside}
        self._outside = [name for name in names if not name.startswith(inside)]
        self._states, self._found = Shelf(), MomentShelf()
        self._vocabulary = VocabularyGather(checkpoint, self._runner.model, per_token=self._per_token)

    def run(self, directions: Callable[[torch.Tensor], Sequence[torch.Tensor]]) -> MomentShelf:
        """Return the moments; `directions` are those by which what a batch gives is differentiated."""
        if not self._runner.blocks:
            with self._gathered(self._outside) as gather, self._vocabulary.attached():
                for batch, run in enumerate(self._runs):
                    self._begin(gather, batch)
                    with leaves_of(self._runner.model, self._given[batch]) as leaves:
                        value = run()
                    self._vocabulary.embedded(leaves.ids, _gradients(value, leaves.tensors, directions(value)))
                    self._report(len(self._runs))
            self._found.add(self._vocabulary.moments(self._passes))
            return self._found
        calls = self._forward()
        self._behind(directions)
        for index in reversed(range(len(self._runner.blocks))):
            self._backward(index, [call[index] for call in calls])
        self._before()
        self._found.add(self._vocabulary.moments(self._passes))
        return self._found

    def _begin(self, gather: Gather, batch: int) -> None:
        """Say which batch comes next."""
        gather.begin(self._masks[batch])
        self._vocabulary.begin(self._masks[batch])

    def _forward(self) -> list[list[Call]]:
        """Store the hidden states in front of every block and behind the last."""
        runner, calls = self._runner, []
        with torch.no_grad():
            for batch, run in enumerate(self._runs):
                hidden, call = runner.calls(run)
                self._states.put((0, batch), {"hidden": hidden})
                calls.append(call)
            for index in range(len(runner.blocks)):
                with runner.loaded(index):
                    for batch, call in enumerate(calls):
                        hidden = runner.apply(index, self._states.get((index, batch))["hidden"], call[index])
                        self._states.put((index + 1, batch), {"hidden": hidden})
                self._report(2 * len(runner.blocks))
        return calls

    def _behind(self, directions: Callable[[torch.Tensor], Sequence[torch.Tensor]]) -> None:
        """From the goal back to the hidden states behind the last block."""
        last = len(self._runner.blocks)
        with self._gathered(self._outside) as gather, self._vocabulary.attached():
            for batch, run in enumerate(self._runs):
                self._begin(gather, batch)
                hidden = self._states.pop((last, batch))["hidden"].requires_grad_()
                with torch.enable_grad():
                    value = self._runner.behind(run, hidden)
                self._keep(last, batch, _gradients(value, [hidden], directions(value)))

    def _backward(self, index: int, calls: Sequence[Call]) -> None:
        """From the hidden states behind a block back to those in front of it."""
        with self._runner.loaded(index), self._gathered(self._inside[f"{self._runner.blocks[index]}."]) as gather:
            for batch, call in enumerate(calls):
                gather.begin(self._masks[batch])
                hidden = self._states.pop((index, batch))["hidden"].requires_grad_()
                with torch.enable_grad():
                    value = self._runner.apply(index, hidden, call)
                self._keep(index, batch, _gradients(value, [hidden], self._kept(index + 1, batch)))
        self._report(2 * len(self._runner.blocks))

    def _before(self) -> None:
        """From the hidden states in front of the first block back to the embeddings."""
        with self._gathered(self._outside) as gather:
            for batch, run in enumerate(self._runs):
                self._begin(gather, batch)
                with torch.enable_grad(), leaves_of(self._runner.model, self._given[batch]) as leaves:
                    value, _ = self._runner.calls(run)
                self._vocabulary.embedded(leaves.ids, _gradients(value, leaves.tensors, self._kept(0, batch)))

    @contextmanager
    def _gathered(self, names: Sequence[str]) -> Iterator[Gather]:
        """Gather the moments of layers, and keep them."""
        layers = {name: self._runner.model.get_submodule(name) for name in names}
        gather = Gather(layers, **self._options)
        with gather.attached():
            yield gather
        self._found.add(gather.moments(self._passes))

    def _keep(self, index: int, batch: int, gradients: Sequence[torch.Tensor]) -> None:
        self._states.put(("gradients", index, batch), {str(k): gradient for k, gradient in enumerate(gradients)})

    def _kept(self, index: int, batch: int) -> list[torch.Tensor]:
        stored = self._states.pop(("gradients", index, batch))
        return [stored[str(k)] for k in range(len(stored))]

    def _report(self, steps: int) -> None:
        self._done += 1
        if self._on_progress:
            self._on_progress("calibrating", self._done, steps)


def _gradients(
    value: torch.Tensor, leaves: Sequence[torch.Tensor], directions: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Gradients by the first leaf of the products of `value` with directions; hooks see all between it and a leaf."""
    last = len(directions) - 1
    options: dict[str, Any] = {"allow_unused": True}
    found = [
        torch.autograd.grad(value, leaves, to, retain_graph=k < last, **options) for k, to in enumerate(directions)
    ]
    return [torch.zeros_like(leaves[0]) if gradients[0] is None else gradients[0] for gradients in found]


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
