"""Attention through landmarks: exact when it can be, near otherwise, blind to padding, trainable."""

import pytest
import torch
from torch.nn import functional

from infimum import errors
from infimum.nn import NystromAttention, iterated_pinv


def qkv(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(3)]


def smooth(n, d):
    """Queries and keys that change slowly along the sequence, as those of real text nearly do."""
    t = torch.linspace(0, 1, n, dtype=torch.float64)[:, None]
    waves = torch.sin(t * torch.arange(1, d + 1) * 2)
    return waves, waves.flip(-1), torch.cos(3 * t + torch.arange(d))


def test_exact_with_as_many_landmarks_as_positions():
    q, k, v = qkv(2, 3, 10, 8)
    torch.testing.assert_close(NystromAttention(10)(q, k, v), functional.scaled_dot_product_attention(q, k, v))


def test_error_falls_with_landmarks():
    q, k, v = smooth(256, 8)
    exact = functional.scaled_dot_product_attention(q, k, v)
    errors_ = [float((NystromAttention(m, steps=12)(q, k, v) - exact).norm() / exact.norm()) for m in (4, 16)]
    assert errors_[1] < 0.1 * errors_[0]
    assert errors_[1] < 1e-2


@pytest.mark.parametrize("real", [5, 40, 64])
def test_padding_changes_nothing(real):
    q, k, v = qkv(2, 64, 8)
    mask = torch.arange(64) < real
    attention = NystromAttention(16)
    masked = attention(q, k, v, mask.expand(2, 64))
    noise = [torch.where(mask[:, None], x, 7.0 * torch.randn_like(x)) for x in (q, k, v)]
    torch.testing.assert_close(attention(*noise, mask.expand(2, 64)), masked)
    assert not masked[:, real:].any()
    if real > 16:
        torch.testing.assert_close(masked[:, :real], attention(q[:, :real], k[:, :real], v[:, :real]))
    else:  # fewer real positions than landmarks: exact, up to the pseudo-inverse
        exact = functional.scaled_dot_product_attention(q[:, :real], k[:, :real], v[:, :real])
        many = NystromAttention(16, steps=30)(q, k, v, mask.expand(2, 64))
        torch.testing.assert_close(many[:, :real], exact, atol=1e-6, rtol=1e-6)


def test_gradients_flow():
    q, k, v = (x.requires_grad_() for x in qkv(1, 40, 4))
    NystromAttention(8)(q, k, v).square().sum().backward()
    assert all(bool(x.grad.isfinite().all()) and bool(x.grad.any()) for x in (q, k, v))


def test_iterated_pinv_inverts_a_batch_and_bounds_its_error():
    A = torch.randn(5, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64).softmax(-1)
    X, residual = iterated_pinv(A, steps=40)
    true = torch.linalg.inv(A)
    off = torch.linalg.matrix_norm(X - true)
    assert bool((residual < 1e-6).all())
    assert bool((off <= 1.01 * torch.linalg.matrix_norm(X) * residual / (1 - residual) + 1e-9 * true.norm()).all())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: NystromAttention(0), errors.OptionError, "at least 1"),
        (lambda: NystromAttention()(*qkv(3, 4), torch.ones(5, dtype=torch.bool)), errors.ShapeError, "length 3"),
        (lambda: NystromAttention()(torch.ones(2, 4), torch.ones(3, 4), torch.ones(3, 4)), errors.ShapeError, "equal"),
        (lambda: iterated_pinv(torch.ones(2, 3)), errors.ShapeError, "square"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
