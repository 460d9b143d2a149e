"""What is written loads: in stock transformers where it is plain, and as often as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.errors import CheckpointError  # noqa: E402
from tests.compress.conftest import LOWER, tiny_llama, write  # noqa: E402
from tests.compress.test_language_models import MODELS  # noqa: E402

IDS = torch.arange(2, 26).reshape(2, 12)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("storage")
    return {"bert": bert} | {name: write(make(), root / name) for name, (make, _) in MODELS.items()}


@pytest.mark.parametrize("name", ["bert", *MODELS])
def test_plain_output_loads_in_stock_transformers(
    name: str, folders: dict[str, Path], text: list[str], tmp_path: Path
) -> None:
    plan = compress.plan(folders[name], remove=0.3, calib=text, plain=True)
    assert any(row.form == "plain" for row in plan.table)
    out = plan.save(tmp_path / "out")
    kind = transformers.AutoModel if name == "bert" else transformers.AutoModelForCausalLM
    stock, report = kind.from_pretrained(out, output_loading_info=True)
    assert not any(report.values())  # nothing missing, unexpected or of another shape
    stored, original = (load_file(folder / "model.safetensors") for folder in (out, folders[name]))
    assert {k: (t.dtype, t.shape) for k, t in stored.items()} == {k: (t.dtype, t.shape) for k, t in original.items()}
    # transformers adds the experts up in another order
    exact = {"rtol": 1e-4, "atol": 1e-4} if name == "experts" else {"rtol": 0.0, "atol": 0.0}
    with torch.no_grad():
        expected = stock.eval()(input_ids=IDS)[0]
        for model in (compress.load(out), plan.apply(plan.checkpoint.load())):
            torch.testing.assert_close(model(input_ids=IDS)[0], expected, **exact)
        assert not torch.allclose(plan.checkpoint.load()(input_ids=IDS)[0], expected)
    again = compress.verify(out)
    assert again.value == pytest.approx(plan.certificate.value, rel=3e-4)
    assert again.lower_bound == pytest.approx(plan.certificate.lower_bound, rel=3e-4)


@pytest.mark.parametrize("remove", [0.01, 0.3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounded_products_keep_their_certificate(
    dtype: torch.dtype, remove: float, text: list[str], tmp_path: Path
) -> None:
    """Where little is removed, rounding can lead back to the original: better than any matrix of that rank."""
    folder = write(tiny_llama().to(dtype), tmp_path / "model")
    factored = compress.plan(folder, remove=remove, calib=text, menu=("ranks",))
    plain = compress.plan(folder, remove=remove, moments=factored.moments, menu=("ranks",), plain=True)
    assert all(row.lower_bound <= row.error for row in plain.table)
    assert 0.0 < plain.certificate.lower_bound < factored.certificate.lower_bound
    assert plain.certificate.value == pytest.approx(factored.certificate.value, rel=0.3)
    out = plain.save(tmp_path / "out")
    assert {tensor.dtype for tensor in load_file(out / "model.safetensors").values()} == {dtype}
    compress.verify(out)


def test_a_product_that_rounds_to_the_original(text: list[str], tmp_path: Path) -> None:
    """Weights of rank 3 but for rounding: the product rounds back to them, better than every matrix of its rank."""
    torch.manual_seed(1)
    model = tiny_llama().to(torch.bfloat16)
    with torch.no_grad():
        for block in model.model.layers:
            weight = block.mlp.up_proj.weight
            exact = 1.5 + 0.05 * torch.randn(len(weight), 2) @ torch.randn(2, weight.shape[1])  # one binade
            weight.copy_(exact.to(torch.bfloat16))
    folder = write(model, tmp_path / "model")
    factored = compress.plan(folder, remove=0.1, calib=text, menu=("ranks",))
    plan = compress.plan(folder, remove=0.1, moments=factored.moments, menu=("ranks",), plain=True)
    pairs = list(zip(plan.table, factored.table, strict=True))
    assert any(0.0 < rounded.error < 1e-6 * exact.error for rounded, exact in pairs)
    assert all(0.0 <= rounded.lower_bound <= rounded.error for rounded, _ in pairs)
    compress.verify(plan.save(tmp_path / "out"))


@pytest.fixture(scope="module")
def outputs(folders: dict[str, Path], text: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("outputs")
    forms = {"bert": "pivot", "llama": "factors", "gpt2": "pivot", "experts": "pivot"}
    return {
        name: compress.plan(folders[name], remove=0.3, calib=text, **LOWER[form]).save(root / name)
        for name, form in forms.items()
    }


@pytest.mark.parametrize("name", ["bert", *MODELS])
def test_loaded_and_saved_twice_has_the_same_bytes(name: str, outputs: dict[str, Path], tmp_path: Path) -> None:
    first = load_file(outputs[name] / "model.safetensors")
    folder, model = outputs[name], compress.load(outputs[name])
    with torch.no_grad():
        expected = model(input_ids=IDS)[0]
    for copy in ("second", "third"):
        compress.load(folder).save_pretrained(tmp_path / copy)
        folder = tmp_path / copy
        saved = load_file(folder / "model.safetensors")
        assert set(saved) == set(first)
        assert all(t.dtype == first[k].dtype and torch.equal(t, first[k]) for k, t in saved.items())
        with torch.no_grad():
            assert torch.equal(compress.load(folder)(input_ids=IDS)[0], expected)
    assert (tmp_path / "second" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    kind = transformers.AutoModel if name == "bert" else transformers.AutoModelForCausalLM
    with pytest.raises(RuntimeError, match="mismatched"):
        kind.from_pretrained(folder)


def test_a_model_in_memory_is_saved_as_one_that_was_loaded(
    folders: dict[str, Path], text: list[str], tmp_path: Path
) -> None:
    plan = compress.plan(folders["llama"], remove=0.3, calib=text, menu=("ranks", "widths"))
    plan.apply(plan.checkpoint.load()).save_pretrained(tmp_path / "model")
    saved, written = load_file(tmp_path / "model" / "model.safetensors"), plan.save(tmp_path / "out")
    assert all(torch.equal(saved[k], t) for k, t in load_file(written / "model.safetensors").items())
    with torch.no_grad():
        assert torch.equal(*(compress.load(folder)(input_ids=IDS)[0] for folder in (written, tmp_path / "model")))


@pytest.mark.usefixtures("code_cache")
@pytest.mark.parametrize("name", ["bert", *MODELS])
def test_factored_output_loads_by_the_code_beside_it(name: str, outputs: dict[str, Path]) -> None:
    kind = transformers.AutoModel if name == "bert" else transformers.AutoModelForCausalLM
    model = kind.from_pretrained(outputs[name], trust_remote_code=True).eval()
    assert type(model).__name__.startswith("Compressed")
    with torch.no_grad():
        assert torch.equal(model(input_ids=IDS)[0], compress.load(outputs[name])(input_ids=IDS)[0])


def test_only_our_folders_are_loaded(folders: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="not written by infimum"):
        compress.load(folders["llama"])
