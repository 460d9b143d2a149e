"""Muon and its orthogonalisation: PyTorch's bits with its coefficients, certified errors with a schedule."""

import copy
import io
import math

import pytest
import torch

from infimum import memory, minimax, optim
from infimum.errors import DTypeError, LibraryError, NonFiniteError, OptionError, ShapeError

TRIPLE = (3.4445, -4.7750, 2.0315)
SHAPES = ((8, 8), (12, 5), (3, 40))


def parameters(dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in SHAPES]


def train(optimizer, steps, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
        optimizer.step()


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("rule", [None, "original", "match_rms_adamw"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_every_bit_of_torch(dtype, rule, nesterov):
    if dtype == torch.bfloat16 and not nesterov:
        pytest.skip("torch.optim.Muon divides its momentum buffer in place there")
    options = {"lr": 0.02, "weight_decay": 0.3, "nesterov": nesterov, "adjust_lr_fn": rule}
    ours, theirs, tabled = (parameters(dtype) for _ in range(3))
    train(optim.Muon(ours, **options, schedule=None), 4)
    train(torch.optim.Muon(theirs, **options), 4)
    train(optim.Muon(tabled, **options, schedule=[TRIPLE] * 5), 4)
    assert same(ours, theirs)
    assert same(tabled, theirs)


def test_buffer_is_not_overwritten():
    """In bfloat16 without Nesterov's momentum the update is the buffer itself, which must survive the step."""
    ours = parameters(torch.bfloat16)
    optimizer = optim.Muon(ours, nesterov=False, momentum=0.5)
    train(optimizer, 1)
    expected = (0.5 * ours[0].grad.float()).bfloat16()
    assert torch.equal(optimizer.state[ours[0]]["momentum_buffer"], expected)


def saved(optimizer):
    """Through a file, as checkpoints go."""
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_checkpoints_go_both_ways():
    theirs, ours = parameters(), parameters()
    old, new = torch.optim.Muon(theirs, momentum=0.9), optim.Muon(ours, schedule=None)
    train(old, 3)
    new.load_state_dict(saved(old))
    for a, b in zip(ours, theirs, strict=True):
        a.data.copy_(b)
    train(old, 2, seed=5)
    train(new, 2, seed=5)
    assert same(ours, theirs)
    third = parameters()
    back = torch.optim.Muon(third)
    back.load_state_dict(saved(new))
    for a, b in zip(third, ours, strict=True):
        a.data.copy_(b)
    train(back, 2, seed=7)
    train(new, 2, seed=7)
    assert same(third, ours)


def test_schedule_survives_checkpoints():
    schedule = minimax.msign_schedule(1e-2, 3)
    optimizer = optim.Muon(parameters(), schedule=schedule)
    optimizer.load_state_dict(saved(torch.optim.Muon(parameters())))
    assert optimizer.param_groups[0]["schedule"] == schedule.coefficients
    fresh = optim.Muon(parameters())
    fresh.load_state_dict(saved(optimizer))
    assert fresh.param_groups[0]["schedule"] == schedule.coefficients


def test_groups_may_have_their_own_schedule():
    first, second, third = parameters()
    optimizer = optim.Muon([{"params": [first, second]}, {"params": [third], "schedule": [(1.5, -0.5)] * 4}])
    assert [group["schedule"] for group in optimizer.param_groups] == [
        optim.default_schedule().coefficients,
        ((1.5, -0.5),) * 4,
    ]
    train(optimizer, 2)
    twin = copy.deepcopy(optimizer)
    assert twin.param_groups[1]["schedule"] == ((1.5, -0.5),) * 4


def test_the_table_is_certified_unless_coefficients_are_given():
    def rows(**options):
        return optim.Muon(parameters(), **options).param_groups[0]["schedule"]

    assert rows() == optim.default_schedule(5).coefficients
    assert rows(ns_steps=7) == optim.default_schedule(7).coefficients
    assert rows(schedule=None) is None
    assert rows(ns_steps=0) is None
    assert rows(ns_coefficients=(3.0, -3.2, 1.2)) is None
    with pytest.raises(OptionError, match="certified"):
        rows(schedule="best")


@pytest.mark.parametrize("steps", [3, 5, 6, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_nothing_ends_far_above_1(steps, dtype):
    schedule = optim.default_schedule(steps)
    assert schedule.certificate.value <= 0.03
    for M in matrices_of_all_kinds().values():
        values = torch.linalg.svdvals(optim.orthogonalize(M, schedule, dtype=dtype).double())
        assert float(values.max()) <= 1.05


def matrices_of_all_kinds():
    draw = torch.Generator().manual_seed(0)
    found = {"Gaussian": torch.randn(128, 128, generator=draw), "4 to 1": torch.randn(256, 64, generator=draw)}
    for exponent in (2, 4, 6):
        U, V = (torch.linalg.qr(torch.randn(128, 128, generator=draw))[0] for _ in range(2))
        found[f"condition 1e{exponent}"] = (U * torch.logspace(0, -exponent, 128)) @ V
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_five_steps_are_nearer_than_those_of_torch_on_all_kinds_of_matrices(dtype):
    for M in matrices_of_all_kinds().values():
        U, _, Vh = torch.linalg.svd(M.double(), full_matrices=False)
        ours, torchs = (
            float(torch.linalg.matrix_norm(optim.orthogonalize(M, rows, dtype=dtype).double() - U @ Vh))
            for rows in (None, [TRIPLE] * 5)
        )
        assert ours < torchs


def test_closure_and_missing_gradients():
    layer = torch.nn.Linear(4, 3, bias=False)
    idle = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = optim.Muon([layer.weight, idle], lr=0.01, schedule=optim.default_schedule())

    def closure():
        optimizer.zero_grad()
        loss = layer(torch.ones(2, 4)).square().sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(4)]
    assert losses[-1] < losses[0]
    assert torch.equal(idle, torch.ones(2, 2))


def test_memory_of_the_schedule_applies():
    optimizer = optim.Muon(parameters(), lr=0.02, weight_decay=0.1, schedule=optim.default_schedule())
    assert optim.verify_memory(optimizer).decay_error < 1e-12
    designed = memory.design("uniform", 20, max_lr=0.02, weight_decay=0.1, warmup=2)
    scheduler = optim.MemoryLR(optimizer, designed)
    train(optimizer, 1)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(float(designed.lr[1]))


def test_tensor_learning_rate():
    ours, theirs = parameters(), parameters()
    train(optim.Muon(ours, lr=torch.tensor(0.02), schedule=None), 2)
    train(torch.optim.Muon(theirs, lr=torch.tensor(0.02)), 2)
    assert same(ours, theirs)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"lr": -1.0}, OptionError),
        ({"lr": torch.ones(2)}, ShapeError),
        ({"momentum": -0.1}, OptionError),
        ({"weight_decay": -0.1}, OptionError),
        ({"weight_decay": math.nan}, OptionError),
        ({"eps": 0.0}, OptionError),
        ({"ns_steps": 100}, OptionError),
        ({"ns_steps": 2.5}, DTypeError),
        ({"ns_coefficients": (1.0, 2.0)}, OptionError),
        ({"ns_coefficients": [(1.0, 2.0, 3.0)]}, DTypeError),
        ({"adjust_lr_fn": "adam"}, OptionError),
        ({"schedule": []}, OptionError),
        ({"schedule": [(1.0, math.inf)]}, NonFiniteError),
        ({"schedule": (3.4445, -4.7750, 2.0315)}, DTypeError),
        ({"schedule": minimax.root_schedule(3, steps=2)}, OptionError),
    ],
)
def test_bad_options(options, error):
    with pytest.raises(error):
        optim.Muon(parameters(), **options)


def test_bad_parameters():
    with pytest.raises(ShapeError):
        optim.Muon([torch.nn.Parameter(torch.ones(3))])
    with pytest.raises(DTypeError):
        optim.Muon([torch.nn.Parameter(torch.ones(2, 2, dtype=torch.complex64))])
    optimizer = optim.Muon(parameters())
    with pytest.raises(ShapeError):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
    assert len(optimizer.param_groups) == 1
    embedding = torch.nn.Embedding(4, 3, sparse=True)
    optimizer = optim.Muon(embedding.parameters())
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(DTypeError):
        optimizer.step()


# ------------------------------------------------------------------ orthogonalize


@pytest.mark.parametrize("shape", [(6, 6), (20, 7), (7, 20), (2, 3, 6, 9), (4, 9, 5)], ids=str)
@pytest.mark.parametrize("degree", [1, 3, 5, 7, 9])
def test_error_of_singular_values(shape, degree):
    generator = torch.Generator().manual_seed(0)
    M = torch.randn(shape, generator=generator, dtype=torch.float64)
    values = torch.linalg.svdvals(M) / torch.linalg.vector_norm(M, dim=(-2, -1))[..., None]
    schedule = minimax.msign_schedule(float(values.min()) * 0.999, 2 if degree > 1 else 1, degree)
    X = optim.orthogonalize(M, schedule)
    assert (X.shape, X.dtype) == (M.shape, M.dtype)
    assert (torch.linalg.svdvals(X) - 1).abs().max() <= schedule.certificate.value + 1e-12
    U, s, Vh = torch.linalg.svd(M / torch.linalg.vector_norm(M, dim=(-2, -1), keepdim=True), full_matrices=False)
    torch.testing.assert_close(X, U @ torch.diag_embed(schedule(s)) @ Vh, rtol=0, atol=1e-11)


def test_batch_is_each_matrix_alone():
    M = torch.randn(5, 8, 3, generator=torch.Generator().manual_seed(0))
    alone = torch.stack([optim.orthogonalize(one) for one in M])
    torch.testing.assert_close(optim.orthogonalize(M), alone, rtol=0, atol=1e-4)


def test_low_precision():
    M = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    X = optim.orthogonalize(M, dtype=torch.bfloat16)
    assert X.dtype == torch.float32
    assert torch.equal(X, X.bfloat16().float())
    error = (torch.linalg.svdvals(X) - 1).abs().max()
    assert error <= minimax.verify_schedule(optim.default_schedule(), 1e-3, noise=2.0**-7).certificate.value
    half = optim.orthogonalize(M.bfloat16())
    assert half.dtype == torch.bfloat16


def test_input_is_left_alone():
    M = torch.randn(4, 3, requires_grad=True)
    before = M.detach().clone()
    assert not optim.orthogonalize(M).requires_grad
    assert torch.equal(M, before)
    zero = torch.zeros(3, 3)
    assert torch.equal(optim.orthogonalize(zero), zero)


@pytest.mark.parametrize(
    ("M", "options", "error"),
    [
        ([[1.0]], {}, LibraryError),
        (torch.ones(3), {}, ShapeError),
        (torch.ones(0, 3), {}, ShapeError),
        (torch.ones(2, 2, dtype=torch.int64), {}, DTypeError),
        (torch.ones(2, 2, dtype=torch.complex64), {}, DTypeError),
        (torch.full((2, 2), math.nan), {}, NonFiniteError),
        (torch.ones(2, 2), {"dtype": torch.int8}, DTypeError),
        (torch.ones(2, 2), {"eps": 0.0}, OptionError),
        (torch.ones(2, 2), {"schedule": (1.5, -0.5)}, DTypeError),
    ],
)
def test_bad_arguments(M, options, error):
    with pytest.raises(error):
        optim.orthogonalize(M, **options)


@pytest.mark.slow  # the compiler takes most of it
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch's own compiler does
@pytest.mark.parametrize("kind", [torch.tensor, float])
def test_learning_rates_are_compiled_once(kind):
    """The first step makes the state, the second is the graph of all that follow, whatever their rates."""
    from torch._dynamo.utils import counters

    compiled, plain = parameters()[:1], parameters()[:1]
    optimizers = [optim.Muon(params, lr=kind(0.1), foreach=True) for params in (compiled, plain)]
    torch._dynamo.reset()
    counters.clear()
    step = torch.compile(optimizers[0].step, backend="aot_eager", fullgraph=True)
    generator = torch.Generator().manual_seed(2)
    for rate in (0.1, 0.05, 0.02, 0.01):
        for ours, theirs in zip(compiled, plain, strict=True):
            ours.grad = torch.randn(ours.shape, generator=generator)
            theirs.grad = ours.grad.clone()
        for optimizer in optimizers:  # as schedulers do
            group = optimizer.param_groups[0]
            group["lr"] = group["lr"].fill_(rate) if kind is torch.tensor else rate
        step()
        optimizers[1].step()
    assert counters["stats"]["unique_graphs"] == 2
    off = [float((ours - theirs).detach().abs().max()) for ours, theirs in zip(compiled, plain, strict=True)]
    assert max(off) < 1e-3, off  # products in bfloat16 need not round alike
