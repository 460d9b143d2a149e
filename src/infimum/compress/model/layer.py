"""A linear layer of a checkpoint, and how its matrix lies in the files."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Layer:
    """A linear layer: its name in the model, the name of its weight in the files, and its shape (outputs, inputs).

    `transposed`: the files hold the weight as (inputs, outputs), as those of GPT-2 do. `kernel`: of a convolution that
    cuts its input into patches, their sizes; its inputs are the entries of a patch.
    """

    name: str
    tensor: str
    shape: tuple[int, int]
    transposed: bool = False
    kernel: tuple[int, ...] = ()

    def matrix(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the matrix (outputs, inputs) of a weight as the files hold it, as a view."""
        return weight.T if self.transposed else weight.flatten(1)

    def weight(self, matrix: torch.Tensor) -> torch.Tensor:
        """Return the weight as the files hold it, of a matrix (outputs, inputs), as a view."""
        if self.kernel:
            return torch.unflatten(matrix, 1, (-1, *self.kernel))
        return matrix.T if self.transposed else matrix

    @property
    def bias(self) -> str:
        """Name of its bias in the files, if it has one."""
        return self.tensor.removesuffix("weight") + "bias"

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.shape[0] * self.shape[1]
