"""Halves of a text at the same time: the same moments, one error, and nothing that goes on after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.compress.measure import collect, passes  # noqa: E402
from infimum.compress.measure import side_by_side as module  # noqa: E402
from infimum.compress.measure.progress import Steps  # noqa: E402
from infimum.compress.measure.side_by_side import side_by_side, two_by_two  # noqa: E402
from infimum.compress.model.layer import Layer  # noqa: E402
from infimum.errors import CalibrationError  # noqa: E402
from tests.compress.conftest import sentences, tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.families import Family, inputs_of, make  # noqa: E402


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def in_turn(checkpoint, text, **options):
    torch.set_num_threads(1)
    try:
        return compress.calibrate(checkpoint, text, split=True, **options)
    finally:
        torch.set_num_threads(2)


def same(one, other):
    for some, others in ((one.layers, other.layers), (one.judge, other.judge)):
        assert list(some) == list(others)
        assert len(some) > 0
        for name, moments in some.items():
            for field in ("inputs", "right", "left", "gradient"):
                assert np.array_equal(getattr(moments, field), getattr(others[name], field)), (name, field)


@pytest.fixture
def seen(monkeypatch):
    """Return the names of the threads in which halves were measured."""
    found, make_passes = set(), passes.Collection

    def noted(*arguments, **options):
        found.add(threading.current_thread().name)
        return make_passes(*arguments, **options)

    monkeypatch.setattr(collect, "Collection", noted)
    return found


@pytest.mark.parametrize("make_model", [tiny_bert, tiny_llama])
def test_the_same_moments_as_in_turn(make_model, tmp_path, seen):
    checkpoint = compress.open_checkpoint(write(make_model(), tmp_path / "model"))
    steps: list[tuple[str, int, int]] = []
    together = compress.calibrate(
        checkpoint, sentences(40, 0), split=True, on_progress=lambda *step: steps.append(step)
    )
    assert len(seen) == 2
    assert "MainThread" not in seen
    assert torch.get_num_threads() == 2
    assert steps == [("calibrating", k + 1, 8) for k in range(8)]
    same(together, in_turn(checkpoint, sentences(40, 0)))


# both sides of an encoder-decoder, layers called twice, stacked experts, images
@pytest.mark.parametrize(
    "family",
    [
        Family("t5", "T5ForConditionalGeneration"),
        Family("albert", "AlbertForMaskedLM"),
        Family("mixtral", "MixtralForCausalLM"),
        Family("vit", "ViTForImageClassification"),
    ],
)
def test_the_same_moments_of_unlike_models(family, tmp_path, seen):
    model = make(family)
    checkpoint = compress.open_checkpoint(write(model, tmp_path / "model"))
    given = inputs_of(model)
    same(compress.calibrate(checkpoint, given, split=True), in_turn(checkpoint, given))
    assert len(seen) == 3


def test_moments_that_are_large_are_measured_in_turn(tmp_path, seen, monkeypatch):
    monkeypatch.setattr(collect, "ROOM", 10_000)
    checkpoint = compress.open_checkpoint(write(tiny_llama(), tmp_path / "model"))
    compress.calibrate(checkpoint, sentences(40, 0), split=True)
    assert seen == {"MainThread"}


def test_an_error_of_one_ends_the_other():
    def work(item, go_on):
        if item == 1:
            raise ValueError("the second fails")
        while True:
            go_on()

    with pytest.raises(ValueError, match="the second fails"):
        side_by_side(work, [0, 1])
    assert torch.get_num_threads() == 2


def test_an_interruption_ends_both(monkeypatch):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("infimum.compress.measure.side_by_side.wait", interrupted)

    def work(_item, go_on):
        while True:
            go_on()

    with pytest.raises(KeyboardInterrupt):
        side_by_side(work, [0, 1])
    assert torch.get_num_threads() == 2


def test_an_error_in_the_text_is_told_as_ever(tmp_path: Path):
    checkpoint = compress.open_checkpoint(write(tiny_llama(), tmp_path / "model"))
    with pytest.raises(CalibrationError, match="token ids must be below 64"):
        compress.calibrate(checkpoint, np.full((32, 16), 99), split=True)


@pytest.mark.parametrize(("alone", "most"), [(100, 2), (5, 1)])
def test_two_large_layers_are_not_worked_on_at_a_time(alone, most, monkeypatch):
    monkeypatch.setattr(module, "ALONE", alone)
    inside, seen, steps = [], [], []
    layers = [Layer(str(k), str(k), (2, 3)) for k in range(8)]

    def work(layer):
        inside.append(layer)
        time.sleep(0.01)
        seen.append(len(inside))
        inside.remove(layer)
        return layer.name

    found = two_by_two(work, layers, lambda layer: [layer], Steps(lambda *step: steps.append(step), "working"))
    assert found == [layer.name for layer in layers]
    assert max(seen) == most
    assert steps == [("working", k + 1, 8) for k in range(8)]
