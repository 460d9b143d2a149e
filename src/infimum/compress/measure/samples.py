"""Inputs of any model: rows of images, of sound, of pairs of texts, or of whatever it takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from infimum._arguments import whole_number
from infimum._display import Shown
from infimum.compress.measure.text import Tokens, in_halves
from infimum.errors import CalibrationError

PLACES = 128  # of a row, as far as its share of a batch goes, where no tokens tell
IGNORED = -100  # label of what is not to be predicted


@dataclass(frozen=True)
class Samples(Shown):
    """What a model takes, by the names of its arguments, a row each along the first axis.

    Attributes
    ----------
    inputs : mapping of str to array
        int64, bool or float32, as many rows in each.
    source : str
        Where they came from.
    """

    inputs: Mapping[str, np.ndarray]
    source: str

    @classmethod
    def of(cls, batches: Iterable[Mapping[str, Any]], source: str = "inputs given by the caller") -> Samples:
        """Join batches, as a processor or a DataLoader gives them: arrays or tensors whose first axis are rows.

        Raises
        ------
        CalibrationError
            They are no such batches, or do not fit together.
        """
        found = [{str(name): _array(name, value) for name, value in dict(batch).items()} for batch in batches]
        if not found or not found[0]:
            raise CalibrationError("inputs must be dicts of arrays by the model's names of them, and there are none")
        shapes = [{name: array.shape[1:] for name, array in batch.items()} for batch in found]
        rows = [{len(array) for array in batch.values()} for batch in found]
        if any(len(count) != 1 for count in rows):
            raise CalibrationError(
                f"all inputs of a batch must have one number of rows, got {rows[:1]}; the first axis"
            )
        if odd := next((each for each in shapes if each != shapes[0]), None):
            raise CalibrationError(
                f"all batches must have the same names and, but for the rows, shapes: {shapes[0]}, got {odd}; pad them"
            )
        return cls({name: np.concatenate([batch[name] for batch in found]) for name in found[0]}, source)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.inputs.values())))

    @property
    def length(self) -> int:
        """Places of a row."""
        ids = self.inputs.get("input_ids")
        return PLACES if ids is None else int(ids.shape[1])

    @property
    def count(self) -> int:
        """Number of what is predicted, or of tokens; where there are none, of rows."""
        if "labels" in self.inputs:
            return int((self.inputs["labels"] != IGNORED).sum())
        ids = self.inputs.get("input_ids", np.ones(self.rows))
        return int(self.inputs.get("attention_mask", np.ones(ids.shape)).sum())

    @property
    def extent(self) -> str:
        """How much there is, in words."""
        return f"{self.count:,} tokens" if "input_ids" in self.inputs else f"{self.rows:,} rows"

    @property
    def sha256(self) -> str:
        """Hash of all inputs."""
        found = hashlib.sha256()
        for name in sorted(self.inputs):
            found.update(f"{name} {self.inputs[name].shape} ".encode() + self.inputs[name].tobytes())
        return found.hexdigest()

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What is stored of them."""
        return dict(self.inputs)

    def sample(self, count: int, seed: int) -> Samples:
        """Draw rows until they hold so many tokens, or so many rows; all, when there are no more."""
        rows = min(-(-whole_number("tokens", count, 1) * self.rows // self.count), self.rows)
        return self._rows(np.sort(np.random.default_rng(seed).permutation(self.rows)[:rows]))

    def halves(self) -> tuple[Samples, Samples]:
        """Return two halves, of alternate stretches."""
        first, second = in_halves(self.rows)
        return self._rows(first), self._rows(second)

    def batches(self, size: int) -> list[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        """Split into batches of rows; with each the mask of its tokens, where all inputs are tokens."""
        whole = all(array.dtype.kind in "iub" for array in self.inputs.values()) and "attention_mask" in self.inputs
        found = []
        for start in range(0, self.rows, size):
            batch = {name: torch.from_numpy(array[start : start + size]) for name, array in self.inputs.items()}
            rows = len(next(iter(batch.values())))
            found.append((batch, batch["attention_mask"] if whole else torch.ones((rows, 1), dtype=torch.int64)))
        return found

    def _rows(self, kept: np.ndarray) -> Samples:
        return Samples({name: array[kept] for name, array in self.inputs.items()}, self.source)


Inputs: TypeAlias = Any  # Tokens or Samples, which have the same methods


def stored_inputs(arrays: Mapping[str, np.ndarray], source: str) -> Inputs:
    """Return inputs by what was stored of them: token ids with their mask, or all that a model takes."""
    return Tokens(**arrays, source=source) if arrays.keys() == {"ids", "mask"} else Samples(arrays, source)


def _array(name: str, value: Any) -> np.ndarray:
    array = value.detach().cpu().float().numpy() if _is_float(value) else np.asarray(value)
    kinds = {"f": np.float32, "i": np.int64, "u": np.int64, "b": np.bool_}
    if array.dtype.kind not in kinds or array.ndim == 0:
        raise CalibrationError(f"input {name} must be an array of numbers with a first axis of rows, got {value!r:.80}")
    if not np.all(np.isfinite(array)):
        raise CalibrationError(f"input {name} contains NaN or infinity")
    return np.ascontiguousarray(array, dtype=kinds[array.dtype.kind])


def _is_float(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()
