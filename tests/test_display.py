"""What stands at the prompt and in a notebook: never a whole array, nothing unescaped, public names only."""

import dataclasses
import importlib
import re

import numpy as np
import pytest
import torch

import infimum
from infimum import _display, balance, compress, memory, minimax, nn, optim
from infimum.compress.measure.text import python_documentation
from infimum.errors import MissingExtraError
from tests.cli.tiny_model import make_tiny_model

WIDE = np.random.default_rng(0).standard_normal((400, 300))


@pytest.mark.parametrize("name", [name for name in infimum._MODULES if name != "proof"])
def test_completion_shows_the_public_names(name):
    module = importlib.import_module(f"infimum.{name}")
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, public) for public in dir(module))
    assert dir(infimum) == sorted(infimum.__all__)


def test_arrays_are_shown_by_shape_and_dtype():
    result = infimum.lowrank.interpolative(torch.from_numpy(WIDE).float(), rank=50)
    assert "coefficients=(50, 300) float32" in repr(result)
    assert len(repr(result)) < 300
    listed = _display.described([1.0, 2, "three"]), _display.described(list(range(9))), _display.described(10**900)
    assert listed == ("(1, 2, three)", "9 in all", f"a whole number of {(10**900).bit_length()} bits")


def test_text_of_strangers_is_escaped_and_short():
    best = minimax.polynomial("exp(x)", 2)
    page = dataclasses.replace(best, f="<script>" + "&" * 5000)._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;&amp;" in page
    assert len(page.split("<img")[0]) < 2000
    assert "f=\\x1b[2J" in repr(dataclasses.replace(best, f="\x1b[2J"))
    grid = _display.grid(["a"], [["x" * 100] for _ in range(100)])
    assert len(grid) < 2000
    assert grid.endswith("<tr><th>...</th></tr></table>")


def test_without_a_picture_the_table_stands_alone(monkeypatch):
    result = infimum.lowrank.svd(WIDE, rank=2)
    assert "<img" in result._repr_html_()
    black_box = minimax.polynomial(np.exp, 2)  # the function is not in the answer, so it cannot be drawn
    assert black_box._repr_html_().endswith("</table>")
    monkeypatch.setattr(_display, "DRAWN", 100)
    assert "<img" not in result._repr_html_(), "what takes seconds is drawn on demand only"
    monkeypatch.undo()

    def missing(module, extra):
        raise MissingExtraError(module)

    monkeypatch.setattr(_display, "optional", missing)
    assert result._repr_html_().endswith("</table>")


def records():
    scores = np.random.default_rng(0).random((64, 8))
    yield memory.report(memory.lr_table("cosine", 1000, peak=1e-3), 0.1)
    yield minimax.check([1.0, 1.0], "exp(x)")
    yield minimax.degree_for("exp(x)", 1e-3)
    yield balance.sampling_noise(100, 8, 2)
    yield balance.bias_precision(np.linspace(6.0, 7.0, 100))
    yield balance.routing_certificate(scores, np.zeros(8), 2)
    yield optim.verify_memory(torch.optim.AdamW(torch.nn.Linear(4, 3).parameters(), weight_decay=0.1))
    yield nn.BalancedRouter(8, 4, 2)(torch.randn(100, 8))
    yield nn.BalancedVQ(4, 4)(torch.randn(100, 4))


@pytest.mark.parametrize("record", list(records()), ids=lambda record: type(record).__name__)
def test_measurements_and_comparisons(record):
    text, page = repr(record), record._repr_html_()
    assert text.startswith(f"{type(record).__name__}(")
    assert len(text) < 600
    assert f">{type(record).__name__}</caption>" in page
    assert len(re.sub("<img.*?>", "", page)) < 2000


def test_rules_are_a_table():
    rules = balance.compare_rules(np.random.default_rng(0).random((64, 8)), 2, steps=20)
    lines = repr(rules).splitlines()
    assert len(lines) == len(rules) + 1
    assert all(row.rule in line for row, line in zip(rules, lines[1:], strict=True))
    assert rules._repr_html_().count("<tr>") == len(lines)


def test_plans(tmp_path):
    model = make_tiny_model(tmp_path / "model")
    plan = compress.plan(model, remove=0.25, calib=python_documentation(held_out=False)[:40], menu=("ranks",))
    assert repr(plan).startswith(f"Plan(model=model, removed={plan.removed:,} of {plan.linear_size:,} numbers (")
    assert str(plan.certificate) in repr(plan)
    assert "<img" in plan._repr_html_()
    axes = plan.plot()
    assert axes.get_xlabel() == "removed, per cent of the linear weights"
    for record in (plan.moments, plan.moments.tokens, plan.checkpoint, plan.table[0]):
        assert len(repr(record)) < 300
        assert type(record).__name__ in record._repr_html_()
