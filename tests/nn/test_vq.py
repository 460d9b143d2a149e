"""BalancedVQ: no dead codes, optimal assignments, the two gradients, evaluation, hostile input."""

import copy

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from infimum import balance
from infimum.errors import NonFiniteError, OptionError, ShapeError
from infimum.nn import BalancedVQ


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_the_codes_of_a_batch_are_the_best_balanced_ones():
    layer, z = BalancedVQ(3, 4), torch.randn(2, 6, 3)
    found = layer(z)
    assert found.codes.shape == (2, 6)
    assert torch.equal(found.codes.flatten().bincount(), torch.full((4,), 3))
    costs = torch.cdist(z.reshape(12, 3), layer.codebook).square().detach().double().numpy()
    row, column = linear_sum_assignment(np.repeat(costs, 3, axis=1))
    chosen = costs[np.arange(12), found.codes.flatten().numpy()].sum()
    assert chosen == pytest.approx(costs[row, column // 3].sum(), rel=1e-6)
    assert layer.certificate.gap <= 1e-12
    assert layer.certificate.value == pytest.approx(chosen - costs.min(axis=1).sum(), rel=1e-5, abs=1e-6)
    assert torch.equal(found.vectors, layer.codebook[found.codes])


def train(layer, steps=60, balanced=True):
    """Quantise a few clusters far from the codes' initial place; return the loads on new data."""
    centres = 3.0 + torch.randn(6, 8)

    def batch(count):
        return centres[torch.randint(6, (count,))] + 0.3 * torch.randn(count, 8)

    optimizer = torch.optim.Adam([p for p in layer.parameters() if p.requires_grad], lr=0.05)
    for _ in range(steps):
        z = batch(128)
        if balanced:
            loss = layer(z).loss
        else:  # the usual rule: nearest code
            nearest = torch.cdist(z, layer.codebook).argmin(-1)
            loss = (layer.codebook[nearest] - z).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layer.eval()
    layer.code_bias.zero_() if not balanced else None
    found = layer(batch(2048))
    return found.codes.bincount(minlength=layer.n_codes)


def test_no_code_dies_where_nearest_codes_collapse():
    layer = BalancedVQ(8, 32)
    other = copy.deepcopy(layer)
    loads = train(layer)
    collapsed = train(other, balanced=False)
    assert balance.dead_experts(collapsed) > 20
    assert balance.dead_experts(loads) <= 3  # of 32, on new data, while the codes still move
    assert balance.load_entropy(loads) > 0.85 > 0.6 > balance.load_entropy(collapsed)


def test_slack_allows_uneven_loads():
    z = torch.cat([torch.randn(56, 3), 9.0 + torch.randn(8, 3)])
    values = []
    for slack in (0.0, 0.5, 100.0):
        torch.manual_seed(1)
        layer = BalancedVQ(3, 4, slack=slack)
        loads = layer(z).codes.bincount(minlength=4)
        assert loads.max() <= 16 * (1 + slack)
        assert loads.min() >= 16 * (1 - slack)
        values.append(layer.certificate.value)
    assert values[0] > values[1] > values[2] == 0.0


def test_straight_through_gradient():
    layer, z = BalancedVQ(3, 4), torch.randn(8, 3, requires_grad=True)
    direction = torch.randn(8, 3)
    (layer(z).vectors * direction).sum().backward()
    assert torch.equal(z.grad, direction)
    assert layer.codebook.grad is None


@pytest.mark.parametrize("where", ["anywhere", "opposite", "zero input", "zero code", "equal"])
def test_rotation_takes_the_vector_to_its_code(where):
    layer = BalancedVQ(3, 1, gradient="rotation", dtype=torch.float64)
    z = torch.randn(1, 3, dtype=torch.float64)
    with torch.no_grad():
        if where == "opposite":
            layer.codebook.copy_(-2.0 * z)
        if where == "equal":
            layer.codebook.copy_(z)
        if where == "zero input":
            z.zero_()
        if where == "zero code":
            layer.codebook.zero_()
    z.requires_grad_()
    vectors = layer(z).vectors
    assert torch.equal(vectors[0], layer.codebook[0])
    jacobian = torch.stack([torch.autograd.grad(vectors[0, i], z, retain_graph=True)[0][0] for i in range(3)])
    assert torch.isfinite(jacobian).all()
    if where in ("anywhere", "equal"):
        q, v = layer.codebook[0].detach(), z[0].detach()
        assert torch.allclose(jacobian @ v, q), "the map takes z to q"
        scale = q.norm() / v.norm()
        assert torch.allclose(jacobian @ jacobian.T, scale**2 * torch.eye(3, dtype=torch.float64)), "a scaled rotation"
        assert torch.linalg.det(jacobian) > 0


def test_losses_reach_codes_and_inputs():
    layer, z = BalancedVQ(3, 4, commitment=0.5, codebook_weight=2.0), torch.randn(8, 3, requires_grad=True)
    found = layer(z)
    chosen = layer.codebook[found.codes]
    error = (z - chosen).square().mean()
    assert found.loss.item() == pytest.approx(2.5 * error.item(), rel=1e-6)
    found.loss.backward()
    assert torch.allclose(z.grad, 0.5 * 2 * (z - chosen).detach() / z.numel())
    assert layer.codebook.grad.any()


def test_simvq_moves_all_codes_by_one_map():
    layer = BalancedVQ(3, 8, simvq=True)
    before = layer.codebook.clone()
    loss = layer(torch.randn(64, 3) + 2.0).loss
    loss.backward()
    assert layer.codebook.grad is None
    assert layer.turn.weight.grad.any()
    assert torch.equal(layer.codebook, before)


def test_evaluation_uses_the_average_bias_and_changes_nothing():
    layer = BalancedVQ(3, 4, decay=0.0)
    z = torch.randn(400, 3)
    trained = layer(z).codes
    layer.eval()
    state = copy.deepcopy(layer.state_dict())
    found = layer(z)
    assert (found.codes == trained).float().mean() > 0.98, "ties apart, the bias decides as the assignment did"
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in state.items())
    distances = torch.cdist(z, layer.codebook).square()
    assert torch.equal(found.codes, (layer.code_bias - distances).argmax(-1))
    assert layer(torch.zeros(0, 3)).codes.shape == (0,)


def test_low_precision_keeps_the_bias():
    layer = BalancedVQ(3, 5).bfloat16()
    found = layer(torch.randn(20, 3).bfloat16())
    assert found.vectors.dtype == torch.bfloat16
    assert torch.equal(found.codes.bincount(), torch.full((5,), 4))
    assert layer.code_bias.dtype == torch.float32


def test_fewer_vectors_than_codes_and_equal_vectors():
    codes = BalancedVQ(3, 9)(torch.randn(4, 3)).codes
    assert len(codes.unique()) == 4
    assert len(BalancedVQ(3, 9, slack=0.5)(torch.randn(4, 3)).codes.unique()) == 4
    assert torch.equal(BalancedVQ(3, 4)(torch.zeros(8, 3)).codes.bincount(), torch.full((4,), 2))


def test_hostile_input():
    for options in ({"gradient": "none"}, {"slack": -0.1}, {"slack": float("nan")}, {"decay": 1.0}, {"n_codes": 0}):
        with pytest.raises(OptionError):
            BalancedVQ(3, **{"n_codes": 4, **options})
    layer = BalancedVQ(3, 4)
    with pytest.raises(ShapeError, match="3 features"):
        layer(torch.zeros(5, 2))
    with pytest.raises(NonFiniteError, match="finite"):
        layer(torch.full((4, 3), torch.nan))
    assert repr(layer) == "BalancedVQ(3, 4 codes, gradient='ste')"
