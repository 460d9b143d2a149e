"""A linear layer of few bits: packing, the numbers it stands for, and what modules must survive."""

import copy

import numpy as np
import pytest
import torch

from infimum.compress import quantize
from infimum.nn import QuantizedLinear, QuantizedLowRankLinear
from infimum.nn.packed import pack, unpack


def answer(bits=3, group=8, scales="float16", shape=(12, 24)):
    W = torch.from_numpy(np.random.default_rng(bits).standard_normal(shape))
    return quantize(W, bits=bits, group=group, scales=scales)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("count", [1, 3, 8, 13])
def test_packing_keeps_every_integer(bits, count):
    integers = torch.from_numpy(np.random.default_rng(count).integers(0, 2**bits, (5, count)).astype(np.uint8))
    packed = pack(integers, bits)
    assert packed.shape == (5, (count * bits + 7) // 8)
    assert torch.equal(unpack(packed, bits, count), integers)


def test_packing_is_lowest_bit_first():
    assert pack(torch.tensor([[1, 2, 3]], dtype=torch.uint8), 3).tolist() == [[0b11010001, 0b0]]


@pytest.mark.parametrize("bits", [1, 3, 4, 8])
def test_the_weight_is_that_of_the_answer(bits):
    result = answer(bits)
    layer = QuantizedLinear.from_quantized(result)
    exact = torch.from_numpy(result.to_dense())
    assert torch.equal(layer.to_dense().double(), exact)
    x = torch.randn(7, 24, dtype=torch.float64)
    assert torch.allclose(layer(x), x @ exact.T, atol=1e-12)
    assert layer(x).dtype == torch.float64


def test_scales_that_no_layer_stores():
    with pytest.raises(ValueError, match=r"scales in float16 were expected, got torch\.float32"):
        QuantizedLinear.from_quantized(answer(scales="float32"))


def test_numpy_answers_become_layers_too():
    result = quantize(np.random.default_rng(0).standard_normal((4, 6)), bits=2, group=None)
    layer = QuantizedLinear.from_quantized(result, torch.ones(4))
    assert torch.allclose(layer(torch.zeros(1, 6)), torch.ones(1, 4))
    assert layer.integers.shape == (4, 2)  # 12 bits in two bytes
    assert "bits=2, group=6, bias=True" in repr(layer)


@pytest.mark.parametrize("cast", [torch.nn.Module.half, torch.nn.Module.bfloat16, torch.nn.Module.double])
def test_casting_the_module_leaves_the_grid(cast):
    layer = QuantizedLinear.from_quantized(answer(), torch.randn(12))
    before = layer.to_dense()
    cast(layer)
    assert torch.equal(layer.to_dense(), before)
    x = torch.randn(2, 24, dtype=layer.bias.dtype)
    assert layer(x).dtype == x.dtype


def test_state_copies_and_gradients():
    layer = QuantizedLinear.from_quantized(answer(), torch.randn(12))
    other = QuantizedLinear(24, 12, 3, 8)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(3, 24, requires_grad=True)
    assert torch.equal(other(x), layer(x))
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    layer(x).sum().backward()
    assert torch.allclose(x.grad, layer.to_dense().sum(0).expand(3, 24), atol=1e-5)
    assert [name for name, _ in layer.named_parameters()] == ["bias"]


def test_compiles_without_breaks():
    layer = QuantizedLinear.from_quantized(answer())
    x = torch.randn(3, 24)
    assert torch.allclose(torch.compile(layer, fullgraph=True, backend="eager")(x), layer(x))


@pytest.mark.parametrize(("bits", "group"), [(0, 8), (9, 8), (4, 5), (4, 0)])
def test_what_no_layer_can_be(bits, group):
    with pytest.raises(ValueError, match="1 to 8 bits and a group that divides 24"):
        QuantizedLinear(24, 12, bits, group)


def test_two_factors_of_few_bits_are_their_product():
    layer = QuantizedLowRankLinear(24, 10, 4, bits=6, group=8, dtype=torch.bfloat16)
    generator = np.random.default_rng(0)
    for part, shape, group in ((layer.left, (10, 4), 4), (layer.right, (4, 24), 8)):
        part.load_state_dict(
            QuantizedLinear.from_quantized(quantize(generator.standard_normal(shape), bits=6, group=group)).state_dict()
        )
    torch.nn.init.normal_(layer.bias)
    product = layer.left.to_dense().double() @ layer.right.to_dense().double()
    assert torch.linalg.matrix_rank(product) == 4
    assert torch.allclose(layer.to_dense().double(), product, atol=1e-6)
    x = torch.randn(3, 5, 24, dtype=torch.float64)
    assert torch.allclose(layer(x), x @ product.T + layer.bias.double(), atol=1e-12)
    assert layer(x.float()).dtype == torch.float32
    assert "(right): QuantizedLinear(in_features=24, out_features=4, bits=6, group=8, bias=False)" in repr(layer)
