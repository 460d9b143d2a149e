"""MinimaxActivation: what its certificate promises, outside of its interval, gradients, and life in PyTorch."""

import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import infimum
from infimum import minimax
from infimum.errors import DTypeError, OptionError
from infimum.nn import MinimaxActivation
from infimum.nn.activation import SLOPES

REFERENCE = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "mish": functional.mish,
    "softplus": functional.softplus,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    "relu": torch.relu,
    "abs": torch.abs,
}
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", REFERENCE)
def test_the_error_is_what_the_certificate_says(name):
    layer, f = MinimaxActivation(name, degree=11), REFERENCE[name]
    assert layer.certificate.rigour == "enclosed"
    assert infimum.verify(layer.polynomial, name).value <= layer.certificate.value
    x = torch.linspace(-8, 8, 5001, dtype=torch.float64)
    error = float((layer(x) - f(x)).abs().max())
    assert layer.certificate.lower_bound * 0.99 <= error <= layer.certificate.value + 1e-14
    far = torch.tensor([-1e4, -50.0, -8.1, 8.1, 50.0, 1e4], dtype=torch.float64)
    ends = torch.tensor([-8.0, 8.0], dtype=torch.float64)
    left, right = SLOPES.get(name, (0.0, 0.0))
    drift = f(1000 * ends) - f(ends) - torch.tensor([left * -7992, right * 7992], dtype=torch.float64)
    tail = float(drift.abs().max())  # how far the function still is from its asymptotes
    assert float((layer(far) - f(far)).abs().max()) <= layer.certificate.value + tail + 1e-12


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float32, 24), (torch.float16, 11), (torch.bfloat16, 8)])
@pytest.mark.parametrize("degree", [12, 40])
def test_rounding_costs_a_few_units_of_the_last_digit(dtype, digits, degree):
    layer = MinimaxActivation("gelu", degree=degree)
    x = (4.0 * torch.randn(4000)).to(dtype)
    y, exact = layer(x), layer(x.double())
    assert y.dtype == dtype
    assert float(((y.double() - exact).abs() - 2.0**-digits * exact.abs()).max()) <= 4e-6


@pytest.mark.parametrize("name", ["gelu", "tanh", "abs", "x - x**3 / 10"])
def test_it_is_continuous_and_goes_on_straight(name):
    layer = MinimaxActivation(name, degree=9, interval=(-3.0, 2.5))
    for end in (-3.0, 2.5):
        at = torch.tensor([end - 1e-9, end, end + 1e-9], dtype=torch.float64)
        assert float(layer(at).diff().abs().max()) < 1e-6
    outside = layer(torch.tensor([-5.0, -4.0, -3.0, 2.5, 3.5, 4.5], dtype=torch.float64))
    left, right = {"gelu": (0.0, 1.0), "abs": (-1.0, 1.0)}.get(name, (0.0, 0.0))
    assert outside.diff().tolist() == pytest.approx([left, left, float(outside[3] - outside[2]), right, right])
    leaky = MinimaxActivation(name, degree=9, interval=(-3.0, 2.5), slopes=(0.25, -0.5))
    steps = leaky(torch.tensor([-5.0, -4.0, -3.0, 2.5, 3.5], dtype=torch.float64)).diff()
    assert steps[[0, 1, 3]].tolist() == pytest.approx([0.25, 0.25, -0.5])


def test_infinite_and_missing_numbers():
    ends = torch.tensor([-torch.inf, torch.inf, torch.nan])
    gelu, tanh = MinimaxActivation("gelu", degree=8), MinimaxActivation("tanh", degree=9)
    assert gelu(ends)[1] == torch.inf
    assert abs(float(gelu(ends)[0])) <= gelu.certificate.value
    assert tanh(ends)[:2].tolist() == pytest.approx([-1.0, 1.0], abs=tanh.certificate.value)
    assert torch.isnan(gelu(ends)[2])


@pytest.mark.parametrize("name", ["gelu", "tanh", "abs", "exp(-x**2)", "exp(-x) + x"])
def test_gradients_of_both_orders(name):
    layer = MinimaxActivation(name, degree=7, interval=(-2.0, 2.0))
    x = torch.tensor([-5.0, -2.1, -1.9, -0.3, 0.7, 1.95, 2.2, 9.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))
    each = torch.func.vmap(torch.func.grad(layer))(x.detach())
    layer(x).sum().backward()
    assert torch.equal(each, x.grad)


def test_training_keeps_the_input_alone():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.shape) or tensor, lambda tensor: tensor
    ):
        MinimaxActivation("gelu", degree=30)(torch.randn(5, 7, requires_grad=True))
    assert kept == [(5, 7)]


def test_it_replaces_gelu_in_a_model():
    def model(activation):
        return torch.nn.Sequential(torch.nn.Linear(6, 5), activation, torch.nn.Linear(5, 3))

    original, swapped = model(torch.nn.GELU()), model(MinimaxActivation("gelu", degree=24))
    swapped.load_state_dict(original.state_dict())
    x = torch.randn(40, 6)
    assert torch.allclose(original(x), swapped(x), atol=1e-3)
    assert swapped[1].state_dict() == {}
    assert swapped.bfloat16()(x.bfloat16()).dtype == torch.bfloat16
    assert "(1): MinimaxActivation('gelu', degree=24, interval=(-8, 8), error 0.00063159)" in repr(swapped)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch's own compiler does
def test_copies_and_compiled_code_do_the_same():
    layer = MinimaxActivation("silu", degree=10, interval=(-6.0, 6.0))
    x = (4.0 * torch.randn(200)).requires_grad_()
    y = layer(x)
    (expected,) = torch.autograd.grad(y.sum(), x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x), y)
        assert other.certificate == layer.certificate
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    assert torch.allclose(compiled, y, atol=1e-6)
    assert torch.allclose(torch.autograd.grad(compiled.sum(), x)[0], expected, atol=1e-6)


def test_shapes_and_refusals():
    layer = MinimaxActivation("gelu", degree=4)
    assert layer(torch.zeros(())).shape == ()
    assert layer(torch.zeros(0, 3)).shape == (0, 3)
    with pytest.raises(DTypeError, match=r"x\.float\(\)"):
        layer(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(OptionError, match="slopes"):
        MinimaxActivation("gelu", degree=4, slopes=(0.0, float("nan")))
    with pytest.raises(OptionError):
        MinimaxActivation("gelu", degree=4, interval=(1.0, -1.0))
    assert "largest of samples" in repr(MinimaxActivation(np.cos, degree=4, interval=(-1.0, 1.0)))


def test_a_polynomial_is_taken_as_it_is():
    layer = MinimaxActivation("gelu", degree=13, interval=(-4.0, 4.0))
    x = torch.linspace(-4, 4, 101, dtype=torch.float64)
    assert np.array_equal(layer(x).numpy(), layer.polynomial(x.numpy()))
    best = minimax.polynomial("gelu", 13, (-4.0, 4.0))
    assert layer.certificate == best.certificate


def test_what_the_readme_promises_in_pytorch_is_there():
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert {room for room, _ in rows} == {"lowrank", "minimax", "balance", "memory", "integers", "compress"}
    for room, cell in rows:
        names = re.findall(r"`(\w+)\.(\w+)`", cell)
        assert names, f"{room} has nothing in PyTorch"
        assert all(isinstance(getattr(getattr(infimum, module), name), type) for module, name in names)
