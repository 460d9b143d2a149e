"""The matrices in a parameter: a stack of them, a convolution, blocks that were fused, shards of a device mesh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import torch

from infimum._arguments import one_of
from infimum.errors import OptionError, ShapeError
from infimum.optim.newton_schulz import iterate

Layout: TypeAlias = Literal["stack", "convolution"]  # what the axes of a parameter mean
Rows: TypeAlias = Sequence[Sequence[float]]


class Split(NamedTuple):
    """How matrices that one parameter holds side by side are told apart, each to be orthogonalised by itself.

    Attributes
    ----------
    parts : int or tuple of int
        Number of equal parts, or the length of each.
    axis : {-2, -1}
        Along the rows, the outputs of `torch.nn.Linear`, or along the columns.
    """

    parts: int | tuple[int, ...]
    axis: int = -2

    def lengths(self, shape: torch.Size) -> tuple[int, ...]:
        """Return the length of every part in a parameter of this shape; refuse what does not add up."""
        length = shape[self.axis]
        equal = isinstance(self.parts, int)
        parts = (length // self.parts,) * self.parts if equal and self.parts > 0 else self.parts  # type: ignore[operator]
        if not isinstance(parts, tuple) or sum(parts) != length or min(parts) < 1:
            raise OptionError(
                f"split must divide axis {self.axis} of a parameter of shape {tuple(shape)} into whole parts that add "
                f"up to {length}, got {self.parts!r}"
            )
        return parts


def check_layout(group: dict[str, Any]) -> None:
    """Refuse a layout or a split that the parameters of a group do not have."""
    one_of("layout", group["layout"], get_args(Layout))
    split = None if group["split"] is None else Split(*group["split"])
    if split is not None:
        one_of("axis of split", split.axis, (-2, -1))
        group["split"] = tuple(split)  # plain, so that checkpoints load with weights_only=True
    convolution = group["layout"] == "convolution"
    for parameter in group["params"]:
        if parameter.ndim < 2 + convolution or 0 in parameter.shape:
            raise ShapeError(
                f"Muon is for matrices, stacks of them and convolutions, got a parameter of shape "
                f"{tuple(parameter.shape)} as a {group['layout']}; give the others to AdamW (optim.split_parameters)"
            )
        if split is not None and convolution:
            raise OptionError("split is for matrices and stacks of them, not for convolutions")
        if split is not None:
            split.lengths(parameter.shape)


def matrices(update: torch.Tensor, group: dict[str, Any]) -> list[torch.Tensor]:
    """Return the matrices (..., m, n) of which an update consists."""
    if group["layout"] == "convolution":
        return [update.flatten(1)]
    if group["split"] is None:
        return [update]
    split = Split(*group["split"])
    return list(torch.split_with_sizes(update, list(split.lengths(update.shape)), split.axis))


def assembled(parts: list[torch.Tensor], shape: torch.Size, group: dict[str, Any]) -> tuple[torch.Tensor, float]:
    """Put orthogonal matrices together again; return what to multiply the result by, for the shape of its parts."""
    if len(parts) == 1:
        return parts[0].reshape(shape), shape_factor(group["adjust_lr_fn"], parts[0].shape)
    scaled = [part.float() * shape_factor(group["adjust_lr_fn"], part.shape) for part in parts]
    return torch.cat(scaled, dim=Split(*group["split"]).axis), 1.0


def shape_factor(rule: str | None, shape: torch.Size) -> float:
    """Return the factor of the learning rate for matrices of a shape."""
    rows, columns = shape[-2:]
    return 0.2 * math.sqrt(max(rows, columns)) if rule == "match_rms_adamw" else math.sqrt(max(1, rows / columns))


def orthogonal_factors(updates: list[torch.Tensor], rows: Rows, eps: float, *, together: bool) -> list[torch.Tensor]:
    """Orthogonalise matrices and stacks of them, those of equal shape in one iteration if `together`."""
    if not together:
        return [iterate(update, rows, torch.bfloat16, eps) for update in updates]
    places: dict[tuple[Any, ...], list[int]] = {}
    for place, update in enumerate(updates):
        places.setdefault((update.shape[-2:], update.dtype, update.device), []).append(place)
    found: list[Any] = [None] * len(updates)
    for same in places.values():
        stacks = [updates[place].reshape(-1, *updates[place].shape[-2:]) for place in same]
        whole = iterate(torch.cat(stacks), rows, torch.bfloat16, eps)
        for place, part in zip(same, torch.split_with_sizes(whole, [len(s) for s in stacks]), strict=True):
            found[place] = part.reshape(updates[place].shape)
    return found


class Gathered(NamedTuple):
    """The whole matrices of an update on this rank, and where the shards lie from which they came."""

    whole: torch.Tensor
    sharded: Any = None  # the DTensor
    here: bool = False  # whether this rank has whole matrices of its own, which nobody else needs

    def back(self, result: torch.Tensor) -> torch.Tensor:
        """Return a result for the whole matrices as the update was sharded; nothing is sent."""
        if self.sharded is None:
            return result
        from torch.distributed.tensor import DTensor, Replicate

        mesh, placements = self.sharded.device_mesh, self.sharded.placements
        if self.here:
            shape, stride = self.sharded.shape, self.sharded.stride()
            return DTensor.from_local(result, mesh, placements, run_check=False, shape=shape, stride=stride)
        everywhere = DTensor.from_local(result, mesh, [Replicate()] * mesh.ndim, run_check=False)
        return everywhere.redistribute(placements=placements)


def gathered(update: Any, layout: str) -> Gathered:
    """Bring a sharded update onto every rank, by one gather rather than by one in every product of the iteration.

    A stack that is sharded between its matrices stays where it is.
    """
    if type(update) is torch.Tensor or not hasattr(update, "full_tensor"):
        return Gathered(update)
    between = range(update.ndim - 2) if layout == "stack" else ()
    if all(place.is_replicate() or getattr(place, "dim", None) in between for place in update.placements):
        return Gathered(update.to_local(), update, here=True)
    return Gathered(update.full_tensor(), update)
