"""Layers that are made anew, block by block, for the inputs that reach them in the compressed model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import torch

from infimum._threads import one_thread
from infimum.compress.measure.moments import BATCH
from infimum.compress.measure.outputs import output_of
from infimum.compress.measure.progress import Progress
from infimum.compress.measure.scratch import Shelf
from infimum.compress.menu.alternatives import AnyAlternative
from infimum.compress.menu.forms import LowerForm, NarrowForm, PlainForm, StoredForm
from infimum.compress.menu.ranks import Weighting, damped, decompose
from infimum.compress.menu.rounded_layer import pack_rounded, unpack_rounded
from infimum.compress.menu.rounded_menu import LEFT, RIGHT, Maker, left_of
from infimum.compress.menu.task import Member, Task
from infimum.compress.menu.widths import Kept
from infimum.compress.model.block_calls import Call
from infimum.compress.model.blockwise import BlockwiseModel, Run
from infimum.compress.search.matrices import to_form
from infimum.errors import OptionError
from infimum.proof.checkpoint import LayerPlan

TRIED = (1.0, 0.3, 0.1, 0.03, 0.01)  # dampings of the inputs' moment, in mean eigenvalues
SIDES = (LEFT[0], np.inf)  # dampings of the left moment with which integers are made


class Place(NamedTuple):
    """What of a layer is kept, its row of the table, and how it was rounded, if it was."""

    part: Kept
    row: LayerPlan
    one: AnyAlternative | None


@dataclasses.dataclass
class Inputs:
    """Sums over one half of the text, of the inputs x of a layer and of those in the compressed model, y."""

    cross: np.ndarray  # x y'
    square: np.ndarray  # y y'

    def columns(self, kept: np.ndarray) -> Inputs:
        """Return the sums of these inputs of the compressed model alone."""
        return Inputs(self.cross[:, kept], self.square[np.ix_(kept, kept)])

    def __add__(self, other: Inputs) -> Inputs:
        return Inputs(self.cross + other.cross, self.square + other.square)


class _ReachedError(Exception):
    """What was wanted of a block has been seen."""


class Refitting:
    """A compressed model whose layers are made anew, each after those before it.

    A layer W that is given y where the original is given x has the output of the original, up to ``tr(G E E')`` over
    all tokens, ``E = W x - Q y``. Without limits on Q the best is ``W (sum of x y') (sum of y y')^-1``, and what is
    stored is made of that in the norm of G and ``sum of y y'``, as it was of W before. One half of the text makes, the
    other judges: it chooses how much is added to ``sum of y y'``, and whether anything is changed.
    """

    def __init__(self, task: Task, places: Mapping[str, Place], forms: Mapping[str, StoredForm]) -> None:
        checkpoint, tokens = task.checkpoint, task.moments.tokens
        self.forms, self.changed = dict(forms), 0
        self._task, self._places = task, places
        self._runner = BlockwiseModel(checkpoint)
        function, size = output_of(checkpoint.head), max(1, BATCH // tokens.length)
        halves = [half.batches(size) for half in tokens.halves()]
        self._halves = [half for half, batches in enumerate(halves) for _ in batches]
        self._masks = [mask for batches in halves for _, mask in batches]
        model = self._runner.model
        self._runs: list[Run] = [partial(function, model, *batch) for batches in halves for batch in batches]
        self._runner.try_chains(self._runs[0])
        if len(self._runner.chains) != 1 or self._runner.carries:
            raise OptionError(
                f"the blocks of {checkpoint.path} are no single chain: refitting goes from block to block"
            )
        (self._blocks,) = self._runner.chains
        self._states = Shelf()

    def run(self, on_progress: Progress | None) -> None:
        """Make all layers inside of blocks anew; `forms` and `changed`, how many were, say what became of them."""
        blocks = self._blocks
        outside = [name for name in self.forms if not name.startswith(tuple(f"{block}." for block in blocks))]
        calls = self._enter("original")
        with self._compressed(outside):
            self._enter("compressed")
        for index, block in enumerate(blocks):
            inside = [name for name in self.forms if name.startswith(f"{block}.")]
            with self._runner.loaded(block):
                self._block(index, inside, [call[index] for call in calls])
            if on_progress:
                on_progress("refitting", index + 1, len(blocks))

    def _enter(self, version: str) -> list[list[Call]]:
        """Store what reaches the first block, and return what each block is called with beside that."""
        found = []
        with torch.no_grad():
            for batch, run in enumerate(self._runs):
                reached = self._runner.reach(run, 0, ())
                self._states.put((version, 0, batch), {"hidden": reached.hidden})
                found.append(reached.calls)
        return found

    def _block(self, index: int, names: Sequence[str], calls: Sequence[Call]) -> None:
        """Make the layers of a block anew, in the order of the model, and let the text pass it."""
        stages = self._original(index, names, calls)
        for stage, together in enumerate(stages):
            halves = self._inputs(index, names, (stage, together[0]), calls)
            with one_thread():
                for name in together:
                    form = self._made(self._places[name], self.forms[name], halves)
                    if form is not None:
                        self.forms[name] = form
                        self.changed += 1
        with self._compressed(names):
            for batch, call in enumerate(calls):
                self._pass("compressed", index, batch, call)

    def _pass(self, version: str, index: int, batch: int, call: Call) -> None:
        hidden = self._states.pop((version, index, batch))["hidden"]
        with torch.no_grad():
            (after,) = self._runner.apply(self._blocks[index], [hidden], call)
        self._states.put((version, index + 1, batch), {"hidden": after})

    def _original(self, index: int, names: Sequence[str], calls: Sequence[Call]) -> list[list[str]]:
        """Let the text pass a block of the original, and keep what reaches its layers; those of one input go together.

        Left out is what does not see the same tokens in both models: experts.
        """
        for batch, call in enumerate(calls):
            seen: list[tuple[torch.Tensor, list[str]]] = []

            def listen(name: str, x: torch.Tensor, seen: list[tuple[torch.Tensor, list[str]]] = seen) -> None:
                if x.dim() != 3:
                    return
                if not seen or seen[-1][0] is not x:
                    seen.append((x, []))
                seen[-1][1].append(name)

            with self._listening(names, listen):
                self._pass("original", index, batch, call)
            for stage, (x, _) in enumerate(seen):
                self._states.put(("inputs", index, stage, batch), {"x": self._text(x, batch)})
        return [together for _, together in seen]

    def _inputs(
        self, index: int, names: Sequence[str], wanted: tuple[int, str], calls: Sequence[Call]
    ) -> tuple[Inputs, Inputs]:
        """Sum up, half by half, what reaches layers of one input in the original and as the block is now."""
        stage, first = wanted
        n = self._places[first].part.layer.shape[1]
        halves = [Inputs(np.zeros((n, n)), np.zeros((n, n))) for _ in range(2)]

        def listen(_name: str, y: torch.Tensor) -> None:
            x = self._states.pop(("inputs", index, stage, batch))["x"].numpy()
            y = self._text(y, batch).numpy()
            sums = halves[self._halves[batch]]
            sums.cross += x.T @ y
            sums.square += y.T @ y
            raise _ReachedError

        with self._compressed(names), self._listening([first], listen), torch.no_grad():
            for batch, call in enumerate(calls):
                hidden = self._states.get(("compressed", index, batch))["hidden"]
                with suppress(_ReachedError):
                    self._runner.apply(self._blocks[index], [hidden], call)
        return halves[0], halves[1]

    def _text(self, x: torch.Tensor, batch: int) -> torch.Tensor:
        """Return the rows that are text and no padding."""
        mask = self._masks[batch].bool()
        return x[mask] if x.shape[:2] == mask.shape else x.flatten(0, 1)

    @contextmanager
    def _listening(self, names: Sequence[str], listen: Callable[[str, torch.Tensor], None]) -> Iterator[None]:
        handles = [
            self._runner.model.get_submodule(name).register_forward_pre_hook(
                lambda _module, args, name=name: listen(name, args[0])
            )
            for name in names
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _compressed(self, names: Sequence[str]) -> Iterator[None]:
        """Let layers that are loaded compute with what is stored of them; channels that are lost have zeros."""
        modules: dict[str, Any] = {name: self._runner.model.get_submodule(name) for name in names}
        kept = {name: module.weight.detach().clone() for name, module in modules.items()}
        try:
            for name, module in modules.items():
                part = self._places[name].part
                whole = np.zeros(part.layer.shape)
                whole[np.ix_(*part.places)] = matrix_of(self._places[name], self.forms[name])
                weight = part.layer.weight(torch.from_numpy(whole))
                with torch.no_grad():
                    module.weight.copy_(weight)
            yield
        finally:
            for name, module in modules.items():
                with torch.no_grad():
                    module.weight.copy_(kept[name])

    def _made(self, place: Place, form: StoredForm, halves: tuple[Inputs, Inputs]) -> StoredForm | None:
        """Return what is to be stored of a layer instead, or None where the half that judges prefers what it is."""
        part = place.part
        made, judge = (half.columns(part.places[1]) for half in halves)
        maker = self._task.maker(part.layer).outputs(part.outputs)
        other = maker if self._task.moments.judge is None else self._task.judges(part.layer)[0].outputs(part.outputs)
        now = matrix_of(place, form)

        def lost(Q: np.ndarray) -> float:
            """Return ``tr(G E E')`` on the half that judges, up to what no Q changes."""
            return float(np.sum(_weighted(left_of(other), Q) * (Q @ judge.square - 2.0 * maker.W @ judge.cross)))

        least = lost(now)
        base = now if part.inputs is not None else maker.W
        targets = _targets(maker.W, base, made)
        damping = min(TRIED, key=lambda each: lost(targets(each)))
        if place.one is None:
            low = self._lower(place, form, made, damping, targets(damping))
            if lost(matrix_of(place, low)) >= least:
                return None
            both = made + judge  # the choice is made: now all of the text
            return self._lower(place, form, both, damping, _targets(maker.W, base, both)(damping))
        norm, best = Weighting(made.square, left_of(maker)), None
        for left in SIDES:
            stored = Maker(Member(targets(damping), norm), RIGHT[0], left).make(place.one)
            if (now_lost := lost(stored.matrix())) < least:
                least, best = now_lost, stored
        return None if best is None else pack_rounded(self._task, part, place.one, best)

    def _lower(self, place: Place, form: StoredForm, inputs: Inputs, damping: float, target: np.ndarray) -> StoredForm:
        """Return the best matrix for a target in the form in which a layer is stored."""
        assert isinstance(form, LowerForm)
        part, row = place.part, place.row
        G = self._task.member(part.layer).outputs(part.outputs).norm.G
        if isinstance(form, NarrowForm):
            made: LowerForm = NarrowForm(torch.from_numpy(target))
        else:
            made = to_form(decompose(target, Weighting(damped(inputs.square, damping), G)), row.rank, form.name)
        dtype = next(value.dtype for value in form.tensors().values() if value.is_floating_point())
        return dataclasses.replace(made.rounded(dtype), bias=form.bias)


def matrix_of(place: Place, form: StoredForm) -> np.ndarray:
    """Return the matrix that is stored of what is kept of a layer, in float64."""
    assert not isinstance(form, PlainForm)
    if isinstance(form, LowerForm):
        left, right = form.factors()
        return np.asarray(left @ right)
    assert place.one is not None
    return unpack_rounded(place.part, place.one, form).matrix()


def _targets(W: np.ndarray, base: np.ndarray, inputs: Inputs) -> Callable[[float], np.ndarray]:
    """Return the best matrix without limits by how much is added to the inputs' moment; much of it leaves `base`."""
    values, V = scipy.linalg.eigh(inputs.square, check_finite=False, driver="evd")
    mean = float(np.trace(inputs.square)) / len(values) or 1.0
    missing = (W @ inputs.cross - base @ inputs.square) @ V
    return lambda damping: base + missing / (np.maximum(values, 0.0) + damping * mean) @ V.T


def _weighted(G: np.ndarray, Q: np.ndarray) -> np.ndarray:
    return np.asarray(G[:, None] * Q if G.ndim == 1 else G @ Q)
