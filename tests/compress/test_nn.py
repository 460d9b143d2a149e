"""PivotLinear and LowRankLinear as drop-in modules."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from infimum.nn import LowRankLinear, PivotLinear  # noqa: E402


def pivot(bias: bool = True, dtype: torch.dtype = torch.float64) -> PivotLinear:
    torch.manual_seed(0)
    return PivotLinear.from_pivots(
        torch.randn(3, 5, dtype=dtype),
        torch.randn(4, 3, dtype=dtype),
        torch.randperm(7),
        torch.randn(7, dtype=dtype) if bias else None,
    )


def low_rank(bias: bool = True, dtype: torch.dtype = torch.float64) -> LowRankLinear:
    torch.manual_seed(0)
    left, right = torch.randn(7, 3, dtype=dtype), torch.randn(3, 5, dtype=dtype)
    return LowRankLinear.from_factors(left, right, torch.randn(7, dtype=dtype) if bias else None)


@pytest.mark.parametrize("make", [pivot, low_rank])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_dense_layer(make, bias: bool) -> None:
    layer = make(bias)
    x = torch.randn(2, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, layer.to_dense(), layer.bias))
    assert (layer.in_features, layer.out_features, layer.rank) == (5, 7, 3)
    assert torch.linalg.matrix_rank(layer.to_dense()) == 3


@pytest.mark.parametrize("make", [pivot, low_rank])
@pytest.mark.parametrize("bias", [True, False])
def test_state_dict_round_trip(make, bias: bool) -> None:
    layer = make(bias)
    fresh = type(layer)(5, 7, 3, bias, dtype=torch.float64)
    fresh.load_state_dict(copy.deepcopy(layer.state_dict()))
    x = torch.randn(4, 5, dtype=torch.float64)
    assert torch.equal(fresh(x), layer(x))


def test_state_dict_names_are_stable() -> None:
    assert set(pivot().state_dict()) == {"rows", "coefficients", "order", "bias"}
    assert set(low_rank().state_dict()) == {"left", "right", "bias"}
    assert set(pivot(bias=False).state_dict()) == {"rows", "coefficients", "order"}


@pytest.mark.parametrize("make", [pivot, low_rank])
def test_gradients_and_dtype(make) -> None:
    layer = make(dtype=torch.bfloat16)
    y = layer(torch.ones(2, 5, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
    assert layer.to(torch.float32)(torch.ones(2, 5)).dtype == torch.float32


@pytest.mark.parametrize(("make", "numbers"), [(pivot, 3 * (7 + 5 - 3)), (low_rank, 3 * (7 + 5))])
def test_number_of_weights_and_repr(make, numbers: int) -> None:
    layer = make(bias=False)
    assert sum(parameter.numel() for parameter in layer.parameters()) == numbers
    assert "in_features=5, out_features=7, rank=3, bias=False" in repr(layer)


def test_every_rank_up_to_full() -> None:
    W = torch.randn(4, 6, dtype=torch.float64)
    layer = PivotLinear.from_pivots(W, torch.empty(0, 4, dtype=torch.float64), torch.arange(4))
    assert torch.equal(layer.to_dense(), W)
