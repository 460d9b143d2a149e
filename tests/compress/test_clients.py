"""What others do with a compressed model: adapters of peft, ONNX, export, offloading, saving it once more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from infimum import compress  # noqa: E402
from infimum.errors import MissingExtraError  # noqa: E402
from infimum.nn.linear import REMEDY, LowRankLinear, PivotLinear, QuantizedLinear, QuantizedLowRankLinear  # noqa: E402
from tests.compress.conftest import sentences, tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.test_heads import classifier, pooled  # noqa: E402
from tests.compress.test_names import mixtral  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # what clients use
IDS = torch.arange(2, 26).reshape(2, 12)
OURS = (PivotLinear, LowRankLinear, QuantizedLinear, QuantizedLowRankLinear)
MENUS: dict[str, dict[str, Any]] = {
    "pivot": {"menu": ("ranks",)},
    "factors": {"menu": ("ranks",), "form": "factors"},
    "bits": {"menu": ("bits",), "remove": 0.7},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tiny_llama(tied=False), tmp_path_factory.mktemp("clients") / "llama")


@pytest.fixture(scope="module")
def outputs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root, text, made = tmp_path_factory.mktemp("outputs"), sentences(60, seed=1), {}

    def out(name: str) -> Path:
        if name not in made:
            made[name] = compress.plan(folder, **{"remove": 0.3, "calib": text} | MENUS[name]).save(root / name)
        return made[name]

    return out


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


@pytest.mark.parametrize("name", MENUS)
def test_adapters_of_peft(name: str, outputs: Callable[[str], Path], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model = compress.load(outputs(name))
    before, ours = logits(model), [name for name, module in model.named_modules() if isinstance(module, OURS)]
    torch.manual_seed(0)
    chosen = {"target_modules": "all-linear"} if name == "pivot" else {}  # the same
    adapted = peft.get_peft_model(model, compress.lora_config(model, r=4, task_type="CAUSAL_LM", **chosen))
    torch.testing.assert_close(logits(adapted), before)
    layers = [module for module in adapted.modules() if isinstance(module, peft.tuners.lora.LoraLayer)]
    assert len(layers) == 2 * 7  # all linear layers of two blocks, not the head
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):
        adapted(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
    assert all(p.grad is not None and bool(p.grad.any()) for p in adapted.parameters() if p.requires_grad)
    trained = logits(adapted)
    assert not torch.allclose(trained, before, atol=1e-4)
    adapted.save_pretrained(tmp_path / "adapter")
    other = compress.load(outputs(name))
    again = peft.PeftModel.from_pretrained(other, tmp_path / "adapter", config=compress.lora_config(other, r=4))
    torch.testing.assert_close(logits(again), trained)
    merged = adapted.merge_and_unload()
    torch.testing.assert_close(logits(merged), trained, rtol=1e-4, atol=1e-4)
    merged.save_pretrained(tmp_path / "merged")
    assert REMEDY not in load_file(tmp_path / "merged" / "model.safetensors")
    assert ours
    stock = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    for saved in (compress.load(tmp_path / "merged"), stock):
        torch.testing.assert_close(logits(saved), logits(merged))


def test_adapters_need_peft(outputs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r'pip install "infimum\[peft\]"'):
        compress.lora_config(compress.load(outputs("pivot")))


@pytest.mark.usefixtures("code_cache")
@pytest.mark.parametrize("make", [lambda: classifier("BertForSequenceClassification"), mixtral])
def test_what_is_saved_again_loads_by_the_code_beside_it(make: Callable[[], Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    plan = compress.plan(
        write(make(), tmp_path / "model"), remove=0.3, menu=("ranks",), calib=sentences(40, seed=1), max_tokens=64
    )
    model = compress.load(plan.save(tmp_path / "out"))
    for copy in ("second", "third"):
        model.save_pretrained(tmp_path / copy)
        model = compress.load(tmp_path / copy)
    loader = getattr(transformers, plan.checkpoint.head.loader)
    stock, told = loader.from_pretrained(tmp_path / "third", trust_remote_code=True, output_loading_info=True)
    assert not told["missing_keys"]
    torch.testing.assert_close(logits(stock.eval()), logits(plan.apply(plan.checkpoint.load())))
    head = {name: p for name, p in plan.checkpoint.load().named_parameters() if "classifier" in name}
    assert all(torch.equal(dict(model.named_parameters())[name], value) for name, value in head.items())


@pytest.mark.parametrize("again", [False, True])
def test_the_refusal_of_transformers_names_the_remedy(
    again: bool, outputs: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = outputs("pivot")
    if again:
        compress.load(folder).save_pretrained(tmp_path / "again")
        folder = tmp_path / "again"
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    try:
        with pytest.raises(RuntimeError, match="For details look at the above report"):
            transformers.AutoModelForCausalLM.from_pretrained(folder)
    finally:
        logger.removeHandler(caplog.handler)
    assert "LOAD_WITH_trust_remote_code_OR_BY_infimum_compress_load" in caplog.text


@pytest.mark.usefixtures("code_cache")
@pytest.mark.filterwarnings("ignore:You passed `quantization_config`:UserWarning")
def test_sentence_transformers(tmp_path: Path) -> None:
    library, text = pytest.importorskip("sentence_transformers"), sentences(40, seed=1)
    folder = pooled(write(tiny_bert(), tmp_path / "model"), {"embedding_dimension": 24, "pooling_mode": "mean"})
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 64, "do_lower_case": false}')
    tokens, moments = compress.tokens_for(folder, text), compress.calibrate(folder, text, split=True)
    unpacked = transformers.CompressedTensorsConfig(dequantize=True)
    cases: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "own": ({"menu": ("ranks",)}, {"trust_remote_code": True}),
        "plain": ({"menu": ("ranks",), "plain": True}, {}),
        "packed": ({"format": "compressed-tensors"}, {"model_kwargs": {"quantization_config": unpacked}}),
    }
    for name, (chosen, options) in cases.items():
        out = compress.plan(folder, remove=0.3, moments=moments, **chosen).save(tmp_path / name)
        model = library.SentenceTransformer(str(out), device="cpu", **options)
        found = torch.as_tensor(model.encode(text, normalize_embeddings=True))
        wanted = compress.embeddings(compress.load(out), tokens)
        nearest = (found @ wanted.T).max(dim=1).values  # rows are sorted by their length
        torch.testing.assert_close(nearest, torch.ones(len(text)), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_onnx(outputs: Callable[[str], Path], tmp_path: Path) -> None:
    onnxruntime, _ = pytest.importorskip("onnxruntime"), pytest.importorskip("onnxscript")
    model = compress.load(outputs("pivot"))
    model.config.use_cache = False
    program = torch.onnx.export(model, (), kwargs={"input_ids": IDS}, dynamo=True, verbose=False)
    program.save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found, *_) = session.run(None, {"input_ids": IDS.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), logits(model), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["pivot", pytest.param("bits", marks=pytest.mark.slow)])
def test_export(name: str, outputs: Callable[[str], Path]) -> None:
    model = compress.load(outputs(name))
    model.config.use_cache = False
    program = torch.export.export(model, (), {"input_ids": IDS}, strict=False)
    torch.testing.assert_close(program.module()(input_ids=IDS).logits, logits(model))


@pytest.mark.parametrize("name", ["pivot", "bits"])
def test_weights_that_wait_on_disk(name: str, outputs: Callable[[str], Path], tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    model = compress.load(outputs(name))
    wanted = logits(model)
    accelerate.disk_offload(model, tmp_path / "weights", execution_device="cpu")
    assert torch.equal(logits(model), wanted)
