"""Convolutions as linear layers of patches."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from infimum.nn.linear import KINDS, LowRankLinear, PivotLinear, replace_layers  # noqa: E402
from infimum.nn.patches import kernel_of, of_patches, patches  # noqa: E402

CASES: list[tuple[Any, tuple[int, ...]]] = [
    (torch.nn.Conv1d(3, 5, 1), (2, 3, 7)),
    (torch.nn.Conv1d(3, 5, 4, stride=4, bias=False), (2, 3, 14)),  # two are left over
    (torch.nn.Conv2d(3, 5, (2, 3), stride=(2, 3)), (2, 3, 8, 10)),
    (torch.nn.Conv2d(3, 5, 4, stride=4, padding="valid"), (3, 8, 8)),  # one image, no batch
    (torch.nn.Conv3d(3, 5, (2, 2, 3), stride=(2, 2, 3)), (2, 3, 4, 6, 9)),
]


@pytest.mark.parametrize(("convolution", "shape"), CASES)
def test_a_convolution_is_a_matrix_of_patches(convolution: Any, shape: tuple[int, ...]) -> None:
    x, kernel = torch.randn(shape), kernel_of(convolution)
    rows = patches(x, kernel) @ convolution.weight.flatten(1).T
    bias = 0.0 if convolution.bias is None else convolution.bias
    torch.testing.assert_close((rows + bias).movedim(-1, -1 - len(kernel)), convolution(x))


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 1},
        {"padding": 1},
        {"groups": 3},
        {"dilation": 2},
        {"stride": (2, 1)},
        {"padding": "same", "stride": 1},
    ],
)
def test_other_convolutions_are_left_alone(options: dict[str, Any]) -> None:
    assert kernel_of(torch.nn.Conv2d(3, 6, 2, **{"stride": 2} | options)) == ()
    assert kernel_of(torch.nn.ConvTranspose2d(3, 6, 2, stride=2)) == ()


@pytest.mark.parametrize(("convolution", "shape"), CASES)
@pytest.mark.parametrize("form", ["pivot", "factors", "bits"])
def test_what_takes_its_place(convolution: Any, shape: tuple[int, ...], form: str) -> None:
    model, x = torch.nn.Sequential(copy.deepcopy(convolution)), torch.randn(shape)
    m, n = convolution.weight.flatten(1).shape
    chosen = {"form": form, "shape": [m, n]} | ({"bits": 4, "group": n} if form == "bits" else {"rank": 2})
    replace_layers(model, {"0": chosen})
    new: Any = model[0]
    assert isinstance(new, KINDS[form])
    for part in (new.rows, new.coefficients) if isinstance(new, PivotLinear) else ():
        torch.nn.init.normal_(part)
    for part in (new.left, new.right) if isinstance(new, LowRankLinear) else ():
        torch.nn.init.normal_(part)
    dense = copy.deepcopy(convolution)
    with torch.no_grad():
        dense.weight.copy_(new.to_dense().view_as(dense.weight))
        torch.testing.assert_close(model(x), dense(x))
        torch.testing.assert_close(copy.deepcopy(model)(x), dense(x))


def test_a_linear_layer_of_patches() -> None:
    layer = of_patches(torch.nn.Linear(12, 5), (2, 2))
    assert layer(torch.randn(2, 3, 6, 4)).shape == (2, 5, 3, 2)


def test_it_is_exported_and_compiled_whole() -> None:
    model, x = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 4, stride=4)), torch.randn(2, 3, 8, 8)
    replace_layers(model, {"0": {"form": "factors", "shape": [5, 48], "rank": 2}})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        wanted = model(x)
        torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), wanted)
        torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="eager")(x), wanted)
