"""Moments of all layers on a text, or on its halves: which passes are made, and which at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from infimum.compress.measure import outputs
from infimum.compress.measure.moments import Moments, MomentShelf, UnequalInputsError
from infimum.compress.measure.passes import Collection
from infimum.compress.measure.processes import place, spread, told
from infimum.compress.measure.progress import Progress, Steps
from infimum.compress.measure.samples import Inputs
from infimum.compress.measure.side_by_side import Step, side_by_side, threads_for
from infimum.compress.model.blockwise import BlockwiseModel
from infimum.compress.model.checkpoint import Checkpoint

SEEDS = 0x5851F42D4C957F2D  # between the seeds of the halves of a text
ROOM = 2 * 10**9  # bytes of the moments of a block, of all parts of the text that are measured at the same time


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
    The hidden states between the blocks are on disk; each block runs twice forwards and once backwards. Two halves are
    measured at the same time where PyTorch has two threads, and such a block of each fits in `ROOM`.
    """
    parts, own = tokens.halves() if split else (tokens,), dict[int, MomentShelf]()
    of_loss = checkpoint.head.goal == "loss"

    def measured(some: list[int]) -> list[list[list[str]]]:
        runner, steps = BlockwiseModel(checkpoint), Steps(on_progress, "calibrating")
        apart = threads_for(len(some)) > 0 and len(some) * _most_bytes(checkpoint, runner) <= ROOM

        def part(number: int, go_on: Step = lambda: None) -> MomentShelf:
            # whoever judges draws directions of its own
            generator = torch.Generator().manual_seed((seed + number * SEEDS) % 2**63 if number else seed)
            passes = partial(
                Collection,
                checkpoint,
                runner.twin() if apart else runner,
                parts[number],
                passes=parts[number].count if of_loss else parts[number].rows * projections,
                inputs=inputs or of_loss,
                go_on=go_on,
                report=lambda of: steps.done(len(some) * of),
            )
            return _shelf(passes, generator, _directions(checkpoint, projections, generator))

        own.update(zip(some, side_by_side(part, some) if apart else map(part, some), strict=True))
        return [own[number].groups() for number in some]

    groups = spread(range(len(parts)), measured)
    made, *judge = [_known_to_all(own.get(number), names, number) for number, names in enumerate(groups)]
    for shelf, other in ((made, half), (half, made)) if judge and (half := judge[0]) else ():
        shelf.drop(shelf.keys() - other.keys())  # an expert that half of the text hardly reaches
    return Moments(made, tokens, checkpoint.head.goal, seed, projections, *judge)


Directions = Callable[[torch.Tensor], Sequence[torch.Tensor]]


def _shelf(passes: Callable[..., Collection], generator: torch.Generator, directions: Directions) -> MomentShelf:
    state = generator.get_state()
    try:
        return passes(share=True).run(directions)
    except UnequalInputsError:  # a layer is called twice, and with the inputs of others only once
        generator.set_state(state)
        return passes(share=False).run(directions)


def _directions(checkpoint: Checkpoint, projections: int, generator: torch.Generator) -> Directions:
    """Return the function that draws what the output of a batch is differentiated by."""
    goal, kind = checkpoint.head.goal, outputs.answer_of(checkpoint.skeleton)

    def directions(value: torch.Tensor) -> list[torch.Tensor]:
        if goal == "loss":
            return [torch.ones_like(value)]
        drawn = (torch.randn(value.shape, generator=generator, dtype=torch.float32) for _ in range(projections))
        noise = [direction.to(value.dtype) for direction in drawn]
        return [outputs.curvature(value.detach(), each, kind) for each in noise] if goal == "logits" else noise

    return directions


def _most_bytes(checkpoint: Checkpoint, runner: BlockwiseModel) -> int:
    """Return how many bytes the moments of a block take at most; of the whole model, where it has no blocks."""
    blocks = [name for chain in runner.chains for name in chain]
    sizes = dict.fromkeys(blocks, 0)
    for layer in checkpoint.layers:
        block = next((name for name in blocks if layer.name.startswith(f"{name}.")), "")
        m, n = layer.shape
        sizes[block] = sizes.get(block, 0) + 8 * (m * m + n * n)
    return max(sizes.values(), default=0)


def _known_to_all(shelf: MomentShelf | None, groups: list[list[str]], number: int) -> MomentShelf:
    """Let every process know what one of them has measured; layers that share moments go together."""
    source, found = number % place()[1], shelf or MomentShelf()
    for names in groups if place()[1] > 1 else ():
        moments = told({name: shelf[name] for name in names} if shelf else None, source)
        if shelf is None:
            found.add(moments)
    return found
