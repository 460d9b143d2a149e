"""Moments of the layers on a text: what the compression errors are measured with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from infimum._display import Shown
from infimum.compress.measure.samples import Inputs
from infimum.compress.measure.scratch import Shelf
from infimum.compress.model.heads import Goal
from infimum.errors import CalibrationError
from infimum.nn.patches import kernel_of, patches
from infimum.proof.theorems import weighted_tail

BATCH = 1024  # tokens in one forward pass: more only need more memory
BLOCK = 192  # rows of a symmetric product that are found at a time


@dataclass(frozen=True)
class LayerMoments(Shown):
    """Moments of one linear layer with n inputs and m outputs, in float64.

    With x the inputs and g the gradients at the outputs, one row per token, the gradient of the goal by the layer's
    weight is the m x n matrix ``D = sum over the tokens of a row of text of g x'``. The Kronecker product of `left` and
    `right` models the mean of ``vec(D) vec(D)'``, so that ``tr(left dW right dW')`` models what a change dW does.

    Attributes
    ----------
    inputs : array (n, n), optional
        Mean of ``x x'`` over tokens; None where only what the gradients tell was measured.
    right : array (n, n)
        Mean of ``D' D`` over paragraphs and projections. Goal "loss": `inputs`.
    left : array (m, m)
        Mean of ``D D'`` over its trace. Goal "loss": half the mean of ``g g'`` over tokens.
    gradient : float
        Mean squared gradient: of one output, in the units of ``left`` and ``right``.
    """

    inputs: np.ndarray | None
    right: np.ndarray
    left: np.ndarray
    gradient: float


class MomentShelf(Mapping[str, LayerMoments]):
    """Moments by name of the layer, kept on disk; what layers share is stored once."""

    def __init__(self) -> None:
        self._shelf = Shelf()
        self._holders: dict[str, tuple[str, float]] = {}  # who stores the moment of inputs ("": none), and a gradient
        self._last: tuple[str, np.ndarray | None] = ("", None)
        self.shapes: dict[str, tuple[int, int]] = {}

    def add(self, found: Mapping[str, LayerMoments]) -> None:
        """Store the moments of more layers."""
        first: dict[int, str] = {}
        for name, moments in found.items():
            holder, tensors = "", {"left": moments.left}
            if moments.inputs is not None:
                holder = first.setdefault(id(moments.inputs), name)
                if holder == name:
                    self._shelf.put(("inputs", name), {"inputs": torch.from_numpy(moments.inputs)})
            if moments.right is not moments.inputs:
                tensors["right"] = moments.right
            self._shelf.put(name, {part: torch.from_numpy(array) for part, array in tensors.items()})
            self._holders[name] = (holder, moments.gradient)
            self.shapes[name] = (len(moments.left), len(moments.right))

    def groups(self) -> list[list[str]]:
        """Return the names of layers, those together that share the moment of their inputs."""
        found: dict[str, list[str]] = {}
        for name, (holder, _) in self._holders.items():
            found.setdefault(holder or name, []).append(name)
        return list(found.values())

    def drop(self, names: Iterable[str]) -> None:
        """Forget some layers."""
        for name in list(names):
            del self._holders[name], self.shapes[name]

    def __getitem__(self, name: str) -> LayerMoments:
        holder, gradient = self._holders[name]
        known, inputs = self._last  # at once: other threads read other layers
        if known != holder:
            inputs = self._shelf.get(("inputs", holder))["inputs"].numpy() if holder else None
            self._last = (holder, inputs)
        own = {part: tensor.numpy() for part, tensor in self._shelf.get(name).items()}
        if inputs is not None:
            own.setdefault("right", inputs)
        return LayerMoments(inputs, own["right"], own["left"], gradient)

    def __iter__(self) -> Iterator[str]:
        return iter(self._holders)

    def __len__(self) -> int:
        return len(self._holders)

    def __contains__(self, name: object) -> bool:
        return name in self._holders


@dataclass(frozen=True)
class Moments(Shown):
    """Moments of every linear layer that the model's output depends on, and how they were measured.

    Attributes
    ----------
    layers : MomentShelf
        By name of the layer, read from disk when they are asked for; absent are those on which the output does not
        depend, and those (experts) that fewer tokens reach than they have inputs.
    tokens : Tokens or Samples
        The text, or what else the model was run on.
    goal : {"embedding", "loss", "logits"}
        What the gradients are of; see `collect`.
    seed, projections : int
        Seed and number, per paragraph, of the random projections of the output (not of a loss).
    judge : MomentShelf, optional
        Of the half of the text that judges what the other half, then that of `layers`, has made; `tokens` are both.
    """

    layers: MomentShelf
    tokens: Inputs
    goal: Goal
    seed: int
    projections: int
    judge: MomentShelf | None = None

    def joined(self) -> Moments:
        """Return the moments on all of the text, of which no half judges."""
        shelf = MomentShelf()
        for names in self.layers.groups():
            shelf.add({name: self.whole(name) for name in names})
        return dataclasses.replace(self, layers=shelf, judge=None)

    def whole(self, name: str) -> LayerMoments:
        """Return the moments of a linear layer on all of the text."""
        made = self.layers[name]
        if self.judge is None:
            return made
        judge = self.judge[name]
        first, second = self.tokens.halves()
        of_tokens, of_rows = first.count / (first.count + second.count), first.rows / (first.rows + second.rows)
        right = of_tokens if self.goal == "loss" else of_rows
        # the left moment of an embedding is one of parts, and each half counts by its whole
        energies = [count * float(np.trace(half.right)) for count, half in ((of_rows, made), (1.0 - of_rows, judge))]
        left = right if self.goal == "loss" else energies[0] / sum(energies)
        both = _mean(made.right, judge.right, right)
        inputs = both if made.right is made.inputs else None
        if inputs is None and made.inputs is not None and judge.inputs is not None:
            inputs = _mean(made.inputs, judge.inputs, of_tokens)
        return LayerMoments(
            inputs,
            both,
            _mean(made.left, judge.left, left),
            right * made.gradient + (1.0 - right) * judge.gradient,
        )


def _mean(made: np.ndarray, judge: np.ndarray, share: float) -> np.ndarray:
    return np.asarray(share * made + (1.0 - share) * judge)


class UnequalInputsError(Exception):
    """Layers that had one input have two."""


class Gather:
    """Hooks that add up the moments while the model runs; those of inputs if they are wanted.

    With `share` what follows from inputs alone is found once for layers that are given the same tensor, one after the
    other.
    """

    def __init__(
        self, layers: Mapping[str, torch.nn.Module], *, per_token: bool, share: bool, inputs: bool = True
    ) -> None:
        self._layers, self._per_token, self._share, self._inputs = layers, per_token, share, inputs
        self._mask = torch.ones(0, 0)
        self._sums: dict[tuple[str, str], torch.Tensor] = {}
        self._rows: dict[str, int] = {}
        self._widths: dict[str, int] = {}
        self._sharing: dict[str, str] = {}  # layer -> the first layer that is given the same inputs
        self._last: tuple[torch.Tensor | None, torch.Tensor, str] = (None, self._mask, "")
        self._products: tuple[torch.Tensor | None, torch.Tensor] = (None, self._mask)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Listen to the layers."""
        handles = [layer.register_forward_hook(self._hook(name)) for name, layer in self._layers.items()]
        try:
            yield
        finally:
            self._last, self._products = (None, self._mask, ""), (None, self._mask)
            for handle in handles:
                handle.remove()

    def begin(self, mask: torch.Tensor) -> None:
        """Say which tokens of the next batch are text."""
        self._mask = mask.bool()

    def _hook(self, name: str) -> Callable[[Any, tuple[torch.Tensor, ...], torch.Tensor], None]:
        def forward(module: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            kernel = kernel_of(module)
            if kernel:
                self._last = (None, patches(args[0].detach(), kernel), name)
            elif args[0] is not self._last[0] or not self._share:
                self._last = (args[0], args[0].detach(), name)
            _, x, first = self._last
            if self._sharing.setdefault(name, first) != first and self._inputs:
                raise UnequalInputsError(name)
            of_tokens = x.shape[:-1] == self._mask.shape
            seen = int(self._mask.sum()) if of_tokens else x.shape[:-1].numel()
            self._rows[name], self._widths[name] = self._rows.get(name, 0) + seen, x.shape[-1]
            if self._inputs and first == name:
                rows = x[self._mask] if of_tokens else x.reshape(-1, x.shape[-1])
                self._add(name, "inputs", _symmetric(rows, rows))
            if output.requires_grad:
                last = -1 - len(kernel)  # where the outputs are
                output.register_hook(lambda g: self._backward(name, x, g.detach().movedim(last, -1)))  # type: ignore[no-untyped-call]

        return forward

    def _backward(self, name: str, x: torch.Tensor, g: torch.Tensor) -> None:
        if self._per_token:
            rows = g.flatten(0, -2)
            self._add(name, "left", _symmetric(rows, rows))
            return
        known, inner = self._products
        if g.dim() == 2:  # a layer that sees one vector per paragraph
            x, g = x[:, None], g[:, None]
        elif g.dim() > 3:  # places of an image
            x, g = x.flatten(1, -2), g.flatten(1, -2)
        if known is not x:
            inner = x @ x.mT
            self._products = (x, inner)
        # D' D = x' (g g') x and D D' = g' (x x') g, paragraph by paragraph, without forming D; padding has g = 0
        self._add(name, "right", _symmetric(x.flatten(0, 1), ((g @ g.mT) @ x).flatten(0, 1)))
        self._add(name, "left", _symmetric(g.flatten(0, 1), (inner @ g).flatten(0, 1)))
        self._add(name, "gradient", (g**2).sum() / g.shape[-1])

    def _add(self, name: str, moment: str, value: torch.Tensor) -> None:
        # products of one batch in the model's precision, their sum over the text in float64
        key = (name, moment)
        self._sums[key] = self._sums[key].add_(value) if key in self._sums else value.double()

    def moments(self, passes: int) -> dict[str, LayerMoments]:
        """Return the moments of the layers that the goal depends on; sums of gradients are divided by `passes`."""
        found: dict[str, LayerMoments] = {}
        inputs: dict[str, np.ndarray] = {}  # one array for all layers that share it
        most = max(self._rows.values(), default=0)
        for name in self._layers:
            if (name, "left") not in self._sums:
                continue
            if self._rows[name] < min(most, self._widths[name]):
                continue  # an expert that few tokens reach is judged by too few to be changed
            left = self._finite(name, "left")
            if (energy := float(np.trace(left))) == 0.0:
                continue
            if self._inputs and (first := self._sharing[name]) not in inputs:
                inputs[first] = weighted_tail.semidefinite(self._finite(first, "inputs") / self._rows[first])
            of_inputs = inputs[self._sharing[name]] if self._inputs else None
            if self._per_token:
                assert of_inputs is not None
                left, gradient, right = left / (2 * passes), energy / (2 * passes * len(left)), of_inputs
            else:
                left, gradient = left / energy, float(self._sums[name, "gradient"]) / passes
                right = weighted_tail.semidefinite(self._finite(name, "right") / passes)
            found[name] = LayerMoments(of_inputs, right, weighted_tail.semidefinite(left), gradient)
        return found

    def _finite(self, name: str, moment: str) -> np.ndarray:
        value: np.ndarray = self._sums.pop((name, moment)).numpy()
        value = np.triu(value) + np.triu(value, 1).T
        if not np.all(np.isfinite(value)):
            raise CalibrationError(f"activations or gradients of {name} are not finite; check the model")
        return value


def _symmetric(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return ``x' y``, known to be symmetric, as far as it is on and above the diagonal, in blocks."""
    n = x.shape[1]
    found = torch.zeros(n, n, dtype=x.dtype)
    for start in range(0, n, BLOCK):
        torch.mm(x[:, start : start + BLOCK].T, y[:, start:], out=found[start : start + BLOCK, start:])
    return found
