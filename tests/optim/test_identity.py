"""The unrolling identity on real optimizers: final weights rebuilt from initialisation, updates and memory weights.

The updates are computed again from the optimizer's state, never from how the weights moved.
"""

import numpy as np
import pytest
import torch

from infimum import memory

STEPS = 300
TOLERANCE = {torch.float64: 1e-12, torch.float32: 3e-6}


def schedule(largest=0.05):
    step = np.arange(STEPS)
    lr = largest * (0.6 + 0.4 * np.sin(step / 17.0)) * np.minimum(1.0, (step + 1) / 20)
    return lr, 0.3 * (1.0 + 0.5 * np.cos(step / 29.0))


def adamw(parameter, lr, decay):
    return torch.optim.AdamW([parameter], lr=lr, weight_decay=decay, betas=(0.9, 0.95))


def muon(adjust):
    def made(parameter, lr, decay):
        return torch.optim.Muon([parameter], lr=lr, weight_decay=decay, adjust_lr_fn=adjust)

    return made


def sgd(parameter, lr, decay):
    return torch.optim.SGD([parameter], lr=lr, weight_decay=decay)


def adam_update(optimizer, parameter):
    state, group = optimizer.state[parameter], optimizer.param_groups[0]
    step = state["step"].item()
    mean = state["exp_avg"].double() / (1 - group["betas"][0] ** step)
    square = state["exp_avg_sq"].double() / (1 - group["betas"][1] ** step)
    return mean / (square.sqrt() + group["eps"])


def muon_update(optimizer, parameter):
    group, buffer = optimizer.param_groups[0], optimizer.state[parameter]["momentum_buffer"]
    lookahead = parameter.grad.lerp(buffer, group["momentum"])
    orthogonal = torch.optim._muon._zeropower_via_newtonschulz(
        lookahead, group["ns_coefficients"], group["ns_steps"], group["eps"]
    )
    rows, columns = parameter.shape
    match_rms = group["adjust_lr_fn"] == "match_rms_adamw"
    factor = 0.2 * max(rows, columns) ** 0.5 if match_rms else max(1.0, rows / columns) ** 0.5
    return orthogonal.double() * factor  # the bfloat16 result is widened before it is scaled


def gradient(optimizer, parameter):
    return parameter.grad.double()


CASES = {
    "AdamW": (adamw, adam_update),
    "Muon": (muon("original"), muon_update),
    "Muon, match_rms_adamw": (muon("match_rms_adamw"), muon_update),
    "SGD": (sgd, gradient),
}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_torch(name, dtype):
    make, update = CASES[name]
    torch.manual_seed(0)
    start = torch.randn(24, 16, dtype=torch.float64).to(dtype)
    target = torch.randn(24, 16, dtype=torch.float64).to(dtype)
    parameter = torch.nn.Parameter(start.clone())
    lr, decay = schedule()
    optimizer = make(parameter, lr[0], decay[0])
    measured = memory.report(lr, decay)
    rebuilt = measured.initial_share * start.double()
    for step in range(STEPS):
        optimizer.param_groups[0].update(lr=lr[step], weight_decay=decay[step])
        noise = torch.randn(24, 16, dtype=torch.float64).to(dtype)
        parameter.grad = (parameter.detach() - target) + 0.5 * noise
        optimizer.step()
        rebuilt -= measured.weights[step] * update(optimizer, parameter)
    error = (parameter.detach().double() - rebuilt).norm() / rebuilt.norm()
    assert error <= TOLERANCE[dtype]


def test_the_exponential_form_is_not_exact():
    """The continuous approximation exp(-sum of lr * weight_decay) of the initial share is visibly off."""
    lr, decay = schedule()
    share = memory.report(lr, decay).initial_share
    assert abs(np.exp(-np.sum(lr * decay)) / share - 1) > 1e-3


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 3e-6)])
def test_optax(dtype, tolerance):
    optax = pytest.importorskip("optax")
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        start = jnp.asarray(rng.standard_normal((24, 16)), dtype=dtype)
        target = jnp.asarray(rng.standard_normal((24, 16)), dtype=dtype)
        lr, decay = schedule()
        tables = [jnp.asarray(table) for table in (lr, decay)]
        optimizer = optax.adamw(
            learning_rate=lambda count: tables[0][count].astype(dtype),
            weight_decay=lambda count: tables[1][count].astype(dtype),
            b2=0.95,
        )
        direction = optax.scale_by_adam(b2=0.95)
        weights, state, twin = start, optimizer.init(start), direction.init(start)
        measured = memory.from_optax(lambda count: lr[count], lambda count: decay[count], STEPS)
        rebuilt = measured.initial_share * np.asarray(start, dtype=float)
        for step in range(STEPS):
            grads = weights - target + 0.5 * jnp.asarray(rng.standard_normal((24, 16)), dtype=dtype)
            update, twin = direction.update(grads, twin)
            change, state = optimizer.update(grads, state, weights)
            weights = optax.apply_updates(weights, change)
            rebuilt -= measured.weights[step] * np.asarray(update, dtype=float)
        error = np.linalg.norm(np.asarray(weights, dtype=float) - rebuilt) / np.linalg.norm(rebuilt)
        assert error <= tolerance


def test_bfloat16_loses_small_decay():
    """lr * weight_decay = 3e-5 does nothing to bfloat16 parameters; the report says so."""
    decayed = {}
    for dtype in (torch.bfloat16, torch.float32):
        parameter = torch.nn.Parameter(torch.linspace(0.5, 2.0, 101).to(dtype))
        start = parameter.detach().clone()
        optimizer = torch.optim.AdamW([parameter], lr=3e-4, weight_decay=0.1)
        for _ in range(200):
            parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
        decayed[dtype] = (parameter.detach().double() / start.double()).mean().item()
    assert decayed[torch.bfloat16] == 1.0
    assert abs(decayed[torch.float32] - (1 - 3e-5) ** 200) < 2e-5
    (warning,) = memory.report(np.full(200, 3e-4), 0.1).warnings
    assert "kept in bfloat16 or float16 do not decay at 200 of 200 steps" in warning
