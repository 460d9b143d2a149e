"""Refitting: no worse on text that made nothing, the same places and sizes, and every claim follows."""

# ruff: noqa: F811 (a fixture that is imported is named again by every test that takes it)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from infimum.compress.menu.forms import StoredForm  # noqa: E402
from infimum.compress.menu.rounded_menu import left_of  # noqa: E402
from infimum.compress.menu.written_output import WrittenOutput  # noqa: E402
from infimum.compress.refit import places_of  # noqa: E402
from infimum.compress.rewritten import tunable_forms  # noqa: E402
from infimum.compress.search.distance import Distance  # noqa: E402
from infimum.compress.search.refitting import Inputs, Place, Refitting, matrix_of  # noqa: E402
from infimum.errors import CheckpointError, OptionError  # noqa: E402
from tests.compress.rewritten_outputs import CASES, TEXT, models, outputs, sizes  # noqa: E402, F401


@pytest.mark.parametrize("name", CASES)
def test_what_is_refitted_is_no_worse_and_verified(name: str, outputs: dict[str, Path], tmp_path: Path) -> None:
    refitted = compress.refit(outputs[name], tmp_path / "new")
    assert refitted.after < refitted.before or refitted.layers == 0
    if name in ("bits", "packed"):
        assert refitted.layers > 0
    derived, claimed = compress.verify(refitted.out), refitted.certificate
    assert claimed.lower_bound <= derived.lower_bound <= derived.value <= claimed.value
    assert sizes(refitted.out) == sizes(outputs[name]), "the files are as long as before"
    before, after = (dict(compress.load(folder).state_dict()) for folder in (outputs[name], refitted.out))
    assert before.keys() == after.keys()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert bool(changed) == bool(refitted.layers)
    assert {key.rpartition(".")[2] for key in changed} <= {
        *("integers", "scales", "zeros", "rows", "coefficients", "order", "left", "right", "weight"),
    }


def opened(out: Path) -> Refitting:
    output = WrittenOutput.open(out, None)
    task, forms = output.task(None), tunable_forms(output)
    return Refitting(task, places_of(output, task, forms), forms)


def test_every_layer_that_was_changed_is_nearer(outputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """By definition: tr(G E E') on the half that judges, from the sums of what reaches the layer in both models."""
    refitting, made = opened(outputs["bits"]), Refitting._made
    task, compared = refitting._task, [0]

    def checked(self: Refitting, place: Place, form: StoredForm, halves: tuple[Inputs, Inputs]) -> StoredForm | None:
        new = made(self, place, form, halves)
        layer, (rows, columns) = place.part.layer, place.part.places
        G = left_of(task.judges(layer)[0])[np.ix_(rows, rows)]
        W = task.checkpoint.weight(layer).double().numpy()[rows]
        cross, square = halves[1].cross[:, columns], halves[1].square[np.ix_(columns, columns)]

        def lost(of: StoredForm) -> float:
            Q = matrix_of(place, of)
            return float(np.trace(G @ (Q @ square @ Q.T - W @ cross @ Q.T - Q @ cross.T @ W.T)))

        if new is not None:
            compared[0] += 1
            assert lost(new) < lost(form)
        return new

    monkeypatch.setattr(Refitting, "_made", checked)
    refitting.run(None)
    assert compared[0] == refitting.changed > 0


def test_the_sums_are_those_of_what_reaches_the_layers(
    models: dict[str, Path], outputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every layer left as it is, the inputs of the compressed model are those of the folder when it is loaded."""
    refitting = opened(outputs["packed"])
    places, seen = refitting._places, {}

    def keep(self: Refitting, place: Place, form: StoredForm, halves: tuple[Inputs, Inputs]) -> None:
        seen[place.part.layer.name] = halves

    monkeypatch.setattr(Refitting, "_made", keep)
    refitting.run(None)
    assert seen.keys() == places.keys()
    dense, small = compress.load_any(models["llama"]), compress.load_any(outputs["packed"])
    halves = refitting._task.moments.tokens.halves()
    for half, tokens in enumerate(halves):
        inputs: dict[tuple[str, str], list[Any]] = {}
        for kind, model in (("dense", dense), ("small", small)):
            for name in places:
                model.get_submodule(name).register_forward_pre_hook(
                    lambda _, args, key=(kind, name), into=inputs: into.setdefault(key, []).append(args[0])
                )
        with torch.no_grad():
            for ids, mask in tokens.batches(4):
                before = len(inputs.get(("dense", next(iter(places))), []))
                dense(input_ids=ids, attention_mask=mask)
                small(input_ids=ids, attention_mask=mask)
                for values in inputs.values():
                    assert len(values) == before + 1
                    values[-1] = values[-1][mask.bool()].double().numpy()
        for name, sums in seen.items():
            x, y = (np.concatenate(inputs[kind, name]) for kind in ("dense", "small"))
            scale = np.linalg.norm(x) * np.linalg.norm(y)
            np.testing.assert_allclose(sums[half].cross, x.T @ y, rtol=0.0, atol=2e-5 * float(scale))
            np.testing.assert_allclose(sums[half].square, y.T @ y, rtol=0.0, atol=2e-5 * float(scale))
        for model in (dense, small):
            for name in places:
                model.get_submodule(name)._forward_pre_hooks.clear()


def test_nothing_worse_is_written(outputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the judge of single layers takes for better can be worse as a whole: then all is as it was."""
    distances = iter((1.0, 2.0))
    monkeypatch.setattr(Distance, "mean", lambda *_: next(distances))
    refitted = compress.refit(outputs["bits"], tmp_path / "new")
    assert (refitted.before, refitted.after, refitted.layers) == (1.0, 1.0, 0)
    before, after = (compress.load(folder).state_dict() for folder in (outputs["bits"], refitted.out))
    assert all(torch.equal(before[key], after[key]) for key in before)
    compress.verify(refitted.out)


def test_what_is_refitted_can_be_refitted_and_healed(outputs: dict[str, Path], tmp_path: Path) -> None:
    first = compress.refit(outputs["packed"], tmp_path / "a")
    again = compress.refit(outputs["packed"], tmp_path / "b")
    one, other = (compress.load(folder).state_dict() for folder in (first.out, again.out))
    assert all(torch.equal(one[key], other[key]) for key in one)
    second = compress.refit(first.out, tmp_path / "c")
    assert second.before == pytest.approx(first.after, rel=1e-6)
    compress.verify(second.out)
    healed = compress.heal(first.out, tmp_path / "d", steps=3, text=TEXT)
    assert healed.after <= healed.before
    compress.verify(healed.out)


def test_embeddings_of_few_bits_stay(models: dict[str, Path], tmp_path: Path) -> None:
    plan = compress.plan(models["llama"], calib=TEXT, of="bytes", remove=0.72, menu=("bits",))
    out = plan.save(tmp_path / "out")
    refitted = compress.refit(out, tmp_path / "new")
    before, after = (compress.load(folder).state_dict() for folder in (out, refitted.out))
    names = [key for key in before if "embed" in key]
    assert names
    assert all(torch.equal(before[key], after[key]) for key in names)
    compress.verify(refitted.out)


def test_wrong_folders(models: dict[str, Path], outputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="exists already"):
        compress.refit(outputs["bits"], tmp_path)
    with pytest.raises(CheckpointError, match=r"has no infimum\.json"):
        compress.refit(models["bert"], tmp_path / "a")
    plain = compress.plan(models["bert"], calib=TEXT, plain=True).save(tmp_path / "plain")
    with pytest.raises(OptionError, match="nothing that can be changed"):
        compress.refit(plain, tmp_path / "a")
    assert not (tmp_path / "a").exists()
