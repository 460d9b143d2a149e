"""The format "compressed-tensors": its integers and scales against the package that reads them, and its schemes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from infimum.compress.menu.compressed_tensors import Packed  # noqa: E402
from infimum.compress.menu.forms import PackedForm  # noqa: E402
from infimum.compress.menu.rounding import Rounded, factors, round_matrix  # noqa: E402
from infimum.nn import QuantizedLinear  # noqa: E402
from infimum.proof.grid import Grid  # noqa: E402

KINDS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def rounded(m: int, n: int, one: Packed) -> Rounded:
    rng = np.random.default_rng(one.bits)
    W = torch.from_numpy(rng.standard_normal((m, n)) * 0.05).to(KINDS[one.kind]).double().numpy()
    return round_matrix(W, factors(np.eye(n), 0.1), factors(np.eye(m), np.inf), one.grid)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [4, 8])
def test_what_is_packed_is_read_again(bits: int, kind: str) -> None:
    one = Packed(bits, 32, kind)
    stored = rounded(6, 64, one)
    form = PackedForm.of(stored, one.scales)
    again = form.unpacked(one.grid, 64)
    assert np.array_equal(again.integers, stored.integers)
    assert np.array_equal(again.grid.scales, stored.grid.scales)
    assert np.array_equal(again.grid.zeros, stored.grid.zeros)
    assert again.grid.precision == stored.grid.precision
    sizes = sum(part.numel() * part.element_size() for part in form.tensors().values())
    assert sizes == one.bytes((6, 64))


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("columns", [32, 40, 64])
def test_packing_is_that_of_the_package(bits: int, columns: int) -> None:
    helpers = pytest.importorskip("compressed_tensors.compressors.pack_quantized.helpers")
    integers = np.random.default_rng(bits).integers(0, 2**bits, (5, columns)).astype(np.float64)
    grid = Grid(bits, np.ones((5, 1)), np.full((5, 1), 2.0 ** (bits - 1)))
    form = PackedForm.of(Rounded(integers, grid), torch.float16)
    signed = torch.from_numpy(integers - 2 ** (bits - 1)).to(torch.int8)
    assert torch.equal(form.weight_packed, helpers.pack_to_int32(signed, bits))
    assert torch.equal(helpers.unpack_from_int32(form.weight_packed, bits, form.weight_shape), signed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("bits", "group"), [(4, 32), (8, 32), (4, 64), (8, 64)])
def test_numbers_are_those_that_the_package_computes(bits: int, group: int, kind: str) -> None:
    quantization = pytest.importorskip("compressed_tensors.quantization")
    compressor = pytest.importorskip("compressed_tensors.compressors").PackedQuantizationCompressor
    one = Packed(bits, group, kind)
    stored = rounded(8, 64, one)
    tensors = PackedForm.of(stored, one.scales).tensors()
    tensors["weight_scale"] = tensors["weight_scale"].to(KINDS[kind])  # so transformers loads them
    strategy = {"strategy": "group", "group_size": group} if group < 64 else {"strategy": "channel"}
    weights = quantization.QuantizationArgs(num_bits=bits, symmetric=True, **strategy)
    dense = compressor.decompress(tensors, quantization.QuantizationScheme(targets=["Linear"], weights=weights))
    assert dense["weight"].dtype == KINDS[kind]
    assert np.array_equal(dense["weight"].double().numpy(), stored.matrix())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [4, 8])
def test_our_layer_computes_the_same_numbers(bits: int, kind: str) -> None:
    one = Packed(bits, 32, kind)
    stored = rounded(8, 64, one)
    layer = QuantizedLinear(64, 8, bits, 32, bias=False)
    buffers = PackedForm.of(stored, one.scales).module_tensors()
    assert buffers.pop("weight").numel() == 0
    layer.load_state_dict(buffers)
    assert np.array_equal(layer.to_dense().to(KINDS[kind]).double().numpy(), stored.matrix())
    assert np.array_equal(layer(torch.eye(64, dtype=KINDS[kind])).double().numpy(), stored.matrix().T)
