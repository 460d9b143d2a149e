"""One pass over the text, forwards and backwards, block by block: the moments of all layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from infimum.compress.measure import outputs
from infimum.compress.measure.moments import BATCH, Gather, Moments, MomentShelf, Progress
from infimum.compress.measure.scratch import Shelf
from infimum.compress.measure.text import Tokens
from infimum.compress.measure.vocabulary import VocabularyGather
from infimum.compress.model.blockwise import BlockwiseModel, Call, Run
from infimum.compress.model.checkpoint import Checkpoint
from infimum.errors import CalibrationError


def collect(
    checkpoint: Checkpoint,
    tokens: Tokens,
    *,
    seed: int = 0,
    projections: int = 1,
    split: bool = False,
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

    With `split` the moments are those of one half of the text, and `judge` holds those of the other.

    In memory are one block of the model, its moments, and what is outside of the blocks: embeddings, norms, the head.
    The hidden states between the blocks are on disk; each block runs twice forwards and once backwards.
    """
    generator = torch.Generator().manual_seed(seed)  # one for both halves: whoever judges draws directions of its own
    parts = tokens.halves() if split else (tokens,)
    made, *judge = [_shelf(checkpoint, part, generator, projections, on_progress) for part in parts]
    return Moments(made, tokens, checkpoint.head.goal, seed, projections, *judge)


def _shelf(
    checkpoint: Checkpoint, tokens: Tokens, generator: torch.Generator, projections: int, on_progress: Progress | None
) -> MomentShelf:
    goal, kind = checkpoint.head.goal, outputs.answer_of(checkpoint.skeleton)

    def directions(value: torch.Tensor) -> list[torch.Tensor]:
        if goal == "loss":
            return [torch.ones_like(value)]
        drawn = (torch.randn(value.shape, generator=generator, dtype=torch.float32) for _ in range(projections))
        noise = [direction.to(value.dtype) for direction in drawn]
        return [outputs.curvature(value.detach(), each, kind) for each in noise] if goal == "logits" else noise

    passes = tokens.count if goal == "loss" else len(tokens.ids) * projections
    return _Collection(checkpoint, tokens, passes, on_progress).run(directions)


class _Collection:
    """The passes over one text; `passes` is what the sums of gradients are divided by."""

    def __init__(self, checkpoint: Checkpoint, tokens: Tokens, passes: int, on_progress: Progress | None) -> None:
        self._per_token = checkpoint.head.goal == "loss"
        self._passes, self._on_progress, self._done = passes, on_progress, 0
        self._runner = BlockwiseModel(checkpoint)
        _check_ids(self._runner.model, tokens)
        batches = list(tokens.batches(max(1, BATCH // tokens.ids.shape[1])))
        function = outputs.output_of(checkpoint.head)
        self._runs: list[Run] = [partial(function, self._runner.model, ids, mask) for ids, mask in batches]
        self._ids, self._masks = zip(*batches, strict=True)
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
                    with _embeddings(self._runner.model) as embedded:
                        value = run()
                    self._vocabulary.embedded(self._ids[batch], _gradients(value, embedded, directions(value)))
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
                with torch.enable_grad(), _embeddings(self._runner.model) as embedded:
                    value, _ = self._runner.calls(run)
                self._vocabulary.embedded(self._ids[batch], _gradients(value, embedded, self._kept(0, batch)))

    @contextmanager
    def _gathered(self, names: Sequence[str]) -> Iterator[Gather]:
        """Gather the moments of layers, and keep them."""
        layers = {name: self._runner.model.get_submodule(name) for name in names}
        gather = Gather(layers, per_token=self._per_token)
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
    return [torch.autograd.grad(value, leaves, to, retain_graph=k < last)[0] for k, to in enumerate(directions)]


@contextmanager
def _embeddings(model: Any) -> Iterator[list[torch.Tensor]]:
    """Start the graph at the embeddings, which are listed: the parameters need no gradients, half of the work.

    Encoder and decoder may have modules of their own for them, with one matrix.
    """
    found: list[torch.Tensor] = []

    def hook(_module: Any, _inputs: Any, output: Any) -> Any:
        whole = output if isinstance(output, tuple) else (output,)  # I-BERT has a scale beside them
        found.append(whole[0].requires_grad_())
        copied = whole[0].clone(), *whole[1:]  # what a model changes in place must be no leaf
        return copied if isinstance(output, tuple) else copied[0]

    shape, kind = model.get_input_embeddings().weight.shape, torch.nn.Embedding
    alike = [m for m in model.modules() if isinstance(m, kind) and m.weight.shape == shape]
    listened = alike if model.config.is_encoder_decoder else [model.get_input_embeddings()]
    handles = [module.register_forward_hook(hook) for module in listened]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _check_ids(model: Any, tokens: Tokens) -> None:
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
