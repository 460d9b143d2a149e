"""Embeddings of few bits, and heads that share them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from infimum.compress import quantize  # noqa: E402
from infimum.nn import QuantizedEmbedding  # noqa: E402
from infimum.nn.linear import REMEDY, replace_layers  # noqa: E402
from infimum.nn.packed import TiedLinear  # noqa: E402


def embedding(bits: int = 3, dtype: torch.dtype | None = None) -> tuple[QuantizedEmbedding, np.ndarray]:
    result = quantize(np.random.default_rng(0).standard_normal((20, 24)), bits=bits, group=8)
    return QuantizedEmbedding.from_quantized(result, dtype=dtype), np.asarray(result.to_dense())


@pytest.mark.parametrize("bits", [1, 3, 4, 8])
def test_vectors_are_those_of_the_rounded_matrix(bits: int) -> None:
    layer, dense = embedding(bits)
    ids = torch.tensor([[0, 19, 7], [7, 3, 3]])
    assert np.array_equal(layer(ids).numpy(), dense[ids.numpy()].astype(np.float32))
    assert np.array_equal(layer.to_dense().numpy(), dense.astype(np.float32))
    assert layer(torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0, 24)
    assert layer(torch.tensor(5)).shape == (24,)


def test_only_rows_that_are_looked_up_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    from infimum.nn import packed

    seen, unpack = [], packed.unpack
    monkeypatch.setattr(packed, "unpack", lambda rows, *rest: seen.append(len(rows)) or unpack(rows, *rest))
    embedding()[0](torch.tensor([[4, 5, 6]]))
    assert set(seen) == {3}


def test_the_dtype_of_the_vectors_follows_a_cast() -> None:
    layer, dense = embedding(dtype=torch.bfloat16)
    ids = torch.arange(20)
    assert torch.equal(layer(ids), torch.from_numpy(dense).float().bfloat16())
    assert torch.equal(layer.float()(ids), torch.from_numpy(dense).float())  # the cast left the stored bits alone


def test_a_head_shares_the_buffers() -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.words = torch.nn.Linear(24, 20), torch.nn.Embedding(20, 24)

    model = Model()
    bias = model.head.bias
    bits = {"form": "bits", "shape": [20, 24], "bits": 3, "group": 8}
    replace_layers(model, {"head": {"form": "tied", "shape": [20, 24], "to": "words"}, "words": bits})
    source, dense = embedding()
    model.words.load_state_dict(source.state_dict())
    assert isinstance(model.head, TiedLinear)
    assert model.head.bias is bias
    x = torch.randn(4, 24)
    expected = torch.nn.functional.linear(x, torch.from_numpy(dense).float(), bias)
    assert torch.equal(model.head(x), expected)
    words = [f"words.{name}" for name in ("integers", "scales", "weight", "zeros")]
    assert sorted(model.state_dict()) == [REMEDY, "head.bias", *words]
    twin = copy.deepcopy(model)
    twin.words.scales += 1
    assert not torch.equal(twin.head(x), expected)
    assert torch.equal(model.head(x), expected)


def test_wrong_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="a group that divides 24 were expected, got 3 and 7"):
        QuantizedEmbedding(20, 24, 3, 7)
