"""The stored numbers of a compressed model as parameters: changes that start at 0, in units of what they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch.nn import functional
from torch.nn.utils import parametrize

from infimum.compress.menu.forms import BitFactorsForm, BitsForm, PackedForm, StoredForm
from infimum.nn.linear import QuantizedLinear, QuantizedLowRankLinear
from infimum.nn.packed import unpack
from infimum.nn.patches import of_patches


class Tunable(Protocol):
    """What of a layer is trained, and how it is stored."""

    def parameters_by_algorithm(self) -> Mapping[str, Sequence[torch.nn.Parameter]]:
        """Return the changes, those that are matrices of a linear map under "muon"."""

    def stored(self, form: StoredForm) -> StoredForm:
        """Return a form with the numbers as they are now, rounded to how they are stored."""

    def settle(self, form: StoredForm) -> None:
        """Compute with the numbers of a form from now on."""


class TunedScales(torch.nn.Module):
    """A layer of few bits: its integers stay, each scale is multiplied by the exponential of its change."""

    steps: torch.Tensor
    scales: torch.Tensor

    def __init__(self, layer: QuantizedLinear) -> None:
        super().__init__()
        rows, groups = layer.scales.shape
        steps = unpack(layer.integers, layer.bits, layer.columns).view(rows, groups, layer.group).to(torch.int16)
        zeros = unpack(layer.zeros, layer.bits, groups).to(torch.int16)
        self.register_buffer("steps", steps - zeros[..., None])
        self.register_buffer("scales", layer.scales.view(torch.float16).float())
        self.change = torch.nn.Parameter(torch.zeros_like(self.scales))
        self.bias = layer.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer."""
        weight = (self.tuned()[..., None] * self.steps).flatten(1)
        return functional.linear(x, weight, self.bias)

    def tuned(self) -> torch.Tensor:
        """Return the scales as they are now."""
        return self.scales * self.change.exp()

    def parameters_by_algorithm(self) -> Mapping[str, Sequence[torch.nn.Parameter]]:
        """Scales are no matrix of a linear map."""
        return {"adamw": [self.change]}

    def stored(self, form: StoredForm) -> StoredForm:
        """Return the form with the scales as they are now."""
        if isinstance(form, PackedForm):
            return replace(form, weight_scale=self.tuned().detach().to(form.weight_scale.dtype))
        assert isinstance(form, BitsForm)
        return replace(form, scales=self.tuned().detach().to(torch.float16).view(torch.int16))

    def settle(self, form: StoredForm) -> None:
        """Compute with the scales of a form."""
        scales = form.weight_scale if isinstance(form, PackedForm) else form.scales.view(torch.float16)  # type: ignore[union-attr]
        self.scales.copy_(scales.float())
        torch.nn.init.zeros_(self.change)


class TunedFactors(torch.nn.Module):
    """Two factors of few bits."""

    def __init__(self, layer: QuantizedLowRankLinear) -> None:
        super().__init__()
        self.left, self.right = TunedScales(layer.left), TunedScales(layer.right)
        self.bias = layer.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer."""
        y: torch.Tensor = self.left(self.right(x))
        return y if self.bias is None else y + self.bias

    def parameters_by_algorithm(self) -> Mapping[str, Sequence[torch.nn.Parameter]]:
        """Scales are no matrix of a linear map."""
        return {"adamw": [self.left.change, self.right.change]}

    def stored(self, form: StoredForm) -> StoredForm:
        """Return the form with the scales as they are now."""
        assert isinstance(form, BitFactorsForm)
        return BitFactorsForm(self.left.stored(form.left), self.right.stored(form.right))  # type: ignore[arg-type]

    def settle(self, form: StoredForm) -> None:
        """Compute with the scales of a form."""
        assert isinstance(form, BitFactorsForm)
        self.left.settle(form.left)
        self.right.settle(form.right)


class _Shifted(torch.nn.Module):
    """A matrix as what it was and a change in units of its root mean square entry."""

    start: torch.Tensor

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("start", value.detach().clone())
        self.unit = float(value.square().mean().sqrt())

    def forward(self, change: torch.Tensor) -> torch.Tensor:
        """Return the matrix."""
        moved: torch.Tensor = self.start + self.unit * change
        return moved

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        """Return the change that makes a matrix of what it was."""
        return (value - self.start) / (self.unit or 1.0)


class TunedMatrices:
    """A layer of lower rank or with fewer channels, whose matrices are trained in place."""

    def __init__(self, layer: torch.nn.Module, names: Sequence[str]) -> None:
        self._layer, self._names = layer, [name for name in names if getattr(layer, name).numel()]
        for name in self._names:
            parametrize.register_parametrization(layer, name, _Shifted(getattr(layer, name)))

    def parameters_by_algorithm(self) -> Mapping[str, Sequence[torch.nn.Parameter]]:
        """Every matrix is one of a linear map."""
        changes: list[Any] = [getattr(self._layer.parametrizations, name).original for name in self._names]
        return {"muon": changes}

    def stored(self, form: StoredForm) -> StoredForm:
        """Return the form with the matrices as they are now."""
        tensors = form.tensors()
        tuned = {name: getattr(self._layer, name).detach().to(tensors[name].dtype) for name in self._names}
        return replace(form, **tuned)

    def settle(self, form: StoredForm) -> None:
        """Compute with the matrices of a form."""
        for name in self._names:
            setattr(self._layer, name, form.tensors()[name].float())


MATRICES = {"pivot": ("rows", "coefficients"), "factors": ("left", "right"), "channels": ("weight",)}


def tunable(model: torch.nn.Module, forms: Mapping[str, StoredForm]) -> dict[str, Tunable]:
    """Make what is stored of the replaced layers of a model trainable, in place, and nothing else."""
    model.requires_grad_(False)
    found: dict[str, Tunable] = {}
    for name, form in forms.items():
        parent, _, child = name.rpartition(".")
        owner, layer = model.get_submodule(parent), model.get_submodule(name)
        if isinstance(layer, QuantizedLinear | QuantizedLowRankLinear):
            kind = TunedScales if isinstance(layer, QuantizedLinear) else TunedFactors
            found[name] = kind(layer)  # type: ignore[arg-type]
            tuned: Any = found[name]
            if hasattr(layer, "weight"):  # without elements; models ask for its dtype
                tuned.register_buffer("weight", layer.weight, persistent=False)
            kernel = vars(layer).get("patch")
            setattr(owner, child, of_patches(tuned, kernel) if kernel else tuned)
        elif isinstance(layer, torch.nn.Linear) or form.name in MATRICES:
            found[name] = TunedMatrices(layer, MATRICES[form.name])
    for one in found.values():
        for parameters in one.parameters_by_algorithm().values():
            for parameter in parameters:
                parameter.requires_grad_(True)
    return found
