"""The format "compressed-tensors": its integers and scales against the package that reads them, and its schemes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from infimum.compress.menu.compressed_tensors import grid_shape, packed_bytes, scale_dtype, schemes  # noqa: E402
from infimum.compress.menu.forms import PackedForm  # noqa: E402
from infimum.compress.menu.rounding import Rounded, factors, round_matrix  # noqa: E402
from infimum.nn import QuantizedLinear  # noqa: E402
from infimum.proof.grid import Grid  # noqa: E402

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def rounded(m: int, n: int, bits: int, group: int, dtype: torch.dtype = torch.float32) -> Rounded:
    rng = np.random.default_rng(bits)
    W = torch.from_numpy(rng.standard_normal((m, n)) * 0.05).to(dtype).double().numpy()
    return round_matrix(W, factors(np.eye(n), 0.1), factors(np.eye(m), np.inf), grid_shape(dtype, bits, group))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", [4, 8])
def test_what_is_packed_is_read_again(bits: int, dtype: torch.dtype) -> None:
    stored = rounded(6, 64, bits, 32, dtype)
    form = PackedForm.of(stored, scale_dtype(dtype))
    again = form.unpacked(bits, 64, stored.grid.precision)
    assert np.array_equal(again.integers, stored.integers)
    assert np.array_equal(again.grid.scales, stored.grid.scales)
    assert np.all(again.grid.zeros == 2 ** (bits - 1))
    assert again.grid.precision == stored.grid.precision
    sizes = sum(part.numel() * part.element_size() for part in form.tensors().values())
    assert sizes == packed_bytes((6, 64), bits, 32)


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("bits", "group"), [(4, 32), (8, 32), (4, 64), (8, 64)])
def test_numbers_are_those_that_the_package_computes(bits: int, group: int, dtype: torch.dtype) -> None:
    quantization = pytest.importorskip("compressed_tensors.quantization")
    compressor = pytest.importorskip("compressed_tensors.compressors").PackedQuantizationCompressor
    stored = rounded(8, 64, bits, group, dtype)
    tensors = PackedForm.of(stored, scale_dtype(dtype)).tensors()
    tensors["weight_scale"] = tensors["weight_scale"].to(dtype)  # so transformers loads them
    strategy = {"strategy": "group", "group_size": group} if group < 64 else {"strategy": "channel"}
    weights = quantization.QuantizationArgs(num_bits=bits, symmetric=True, **strategy)
    dense = compressor.decompress(tensors, quantization.QuantizationScheme(targets=["Linear"], weights=weights))
    assert dense["weight"].dtype == dtype
    assert np.array_equal(dense["weight"].double().numpy(), stored.grid.values(stored.integers))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", [4, 8])
def test_our_layer_computes_the_same_numbers(bits: int, dtype: torch.dtype) -> None:
    stored = rounded(8, 64, bits, 32, dtype)
    layer = QuantizedLinear(64, 8, bits, 32, bias=False)
    layer.load_state_dict(PackedForm.of(stored, scale_dtype(dtype)).module_tensors())
    values = torch.from_numpy(stored.grid.values(stored.integers))
    assert torch.equal(layer.to_dense().to(dtype).double(), values)
    assert torch.equal(layer(torch.eye(64, dtype=dtype)).double(), values.T)


def test_schemes_of_a_layer() -> None:
    assert schemes((64, 576)) == [(4, 32), (4, 64), (4, 576), (8, 32), (8, 64), (8, 576)]
    assert schemes((64, 128)) == [(bits, group) for bits in (4, 8) for group in (32, 64, 128)]
    assert schemes((64, 36)) == [(8, 36)]  # 4 bits would leave half a word empty
    assert schemes((64, 30)) == []
