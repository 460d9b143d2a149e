"""Options of BalancedVQ: tolerance, padding, k-means start, cosine, codes that follow, parts, compilation."""

from typing import Any

import pytest
import torch

from infimum.errors import OptionError, ShapeError
from infimum.nn import BalancedProductVQ, BalancedVQ


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_tolerance():
    z = torch.randn(2000, 4)
    exact, rough = BalancedVQ(4, 16), BalancedVQ(4, 16, tol=0.05)
    rough.load_state_dict(exact.state_dict())
    assert exact(z).codes.bincount().tolist() == rough(z).codes.bincount().tolist() == [125] * 16
    assert exact.certificate.gap <= 1e-6
    assert rough.certificate.gap > 0.0
    nearest = torch.cdist(z, rough.codes).square().min(1).values.sum()
    assert rough.certificate.gap <= 0.05 * nearest


def test_padding_counts_nowhere():
    layer, z = BalancedVQ(4, 8), torch.randn(2, 24, 4, requires_grad=True)
    mask = torch.zeros(2, 24, dtype=torch.bool)
    mask[1, 8:] = True
    other = BalancedVQ(4, 8)
    other.load_state_dict(layer.state_dict())
    found, wanted = layer(z, mask), other(z[~mask])
    assert torch.equal(found.codes[~mask], wanted.codes)
    assert found.codes[~mask].bincount().tolist() == [4] * 8
    assert torch.allclose(found.loss, wanted.loss)
    found.loss.backward()
    assert not z.grad[mask].any()
    assert z.grad[~mask].any()
    layer.eval()
    assert torch.equal(layer(z, mask).codes, layer(z).codes)
    all_padding = layer.train()(z, torch.ones(2, 24, dtype=torch.bool))
    assert all_padding.loss == 0.0


def test_codes_start_as_means_of_clusters_of_equal_size():
    centres = 10.0 * torch.randn(8, 4)
    z = centres.repeat_interleave(20, 0) + 0.1 * torch.randn(160, 4)
    layer = BalancedVQ(4, 8, start="kmeans")
    few = layer(z[:5])  # too few to start from
    assert few.codes.shape == (5,)
    assert not layer.started
    layer(z)
    assert layer.started
    assert torch.cdist(centres, layer.codes).min(1).values.max() < 0.5
    before = layer.codes.clone()
    again = BalancedVQ(4, 8, start="kmeans")
    again.load_state_dict(layer.state_dict())
    again(torch.randn(40, 4))
    assert torch.equal(again.codes, before), "a start is made once, and remembered in checkpoints"


def test_cosine_ignores_lengths():
    layer = BalancedVQ(4, 8, metric="cosine")
    z = torch.randn(64, 4)
    found = layer(z)
    assert torch.equal(layer.eval()(z).codes, layer(z * torch.rand(64, 1)).codes)
    assert torch.allclose(found.vectors.norm(dim=-1), torch.ones(64), atol=1e-6)
    expected = (torch.nn.functional.normalize(z, dim=-1) - found.vectors).square().mean()
    assert found.loss.item() == pytest.approx(1.25 * expected.item(), rel=1e-5)


def test_codes_that_follow_their_vectors():
    layer, z = BalancedVQ(4, 8, ema=0.75), torch.randn(64, 4, requires_grad=True)
    before = layer.codes.clone()
    found = layer(z)
    means = torch.stack([z[found.codes == code].mean(0) for code in range(8)])
    assert torch.allclose(layer.codes, before.lerp(means, 0.25), atol=1e-6)
    assert not layer.codebook.requires_grad
    assert found.loss.item() == pytest.approx(0.25 * (z - before[found.codes]).square().mean().item(), rel=1e-5)
    found.loss.backward()
    after = layer.codes.clone()
    layer.eval()(z)
    assert torch.equal(layer.codes, after)


def test_parts_are_quantised_by_themselves():
    layer, z = BalancedProductVQ(6, 8, heads=3, gradient="rotation"), torch.randn(2, 20, 6)
    found = layer(z)
    parts: Any = layer.parts
    for head, vq in enumerate(parts):
        assert found.codes[..., head].flatten().bincount().tolist() == [5] * 8
        assert torch.equal(found.vectors[..., 2 * head : 2 * head + 2], vq.codes[found.codes[..., head]])
        assert vq.certificate.gap <= 1e-6
    found.loss.backward()
    assert all(vq.codebook.grad.any() for vq in parts)
    with pytest.raises(OptionError, match="heads must divide"):
        BalancedProductVQ(6, 8, heads=4)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch's own compiler does
def test_the_compiler_does_not_look_into_the_assignment():
    layer, z = BalancedVQ(4, 8), torch.randn(64, 4)
    plain = BalancedVQ(4, 8)
    plain.load_state_dict(layer.state_dict())
    compiled = torch.compile(layer, backend="aot_eager")
    found, wanted = compiled(z), plain(z)
    assert torch.equal(found.codes, wanted.codes)
    assert torch.equal(layer.code_bias, plain.code_bias)
    assert layer.certificate == plain.certificate
    whole = torch.compile(layer.eval(), fullgraph=True, backend="aot_eager")
    assert torch.equal(whole(z).codes, layer(z).codes)


@pytest.mark.parametrize(
    "options",
    [
        {"tol": -1.0},
        {"tol": float("nan")},
        {"metric": "angle"},
        {"start": "first"},
        {"ema": 1.0},
        {"ema": 0.5, "simvq": True},
    ],
    ids=str,
)
def test_bad_options(options):
    with pytest.raises(OptionError):
        BalancedVQ(4, 8, **options)


def test_bad_mask():
    with pytest.raises(ShapeError, match="padding_mask"):
        BalancedVQ(4, 8)(torch.randn(3, 4), torch.zeros(4, dtype=torch.bool))
