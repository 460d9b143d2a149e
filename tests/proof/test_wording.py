"""A value that is the largest of samples is called so wherever it is printed; nothing else is."""

import dataclasses
import json
from typing import get_args

import numpy as np
import pytest
from matplotlib.figure import Figure

import infimum
from infimum import problems, report
from infimum.cli import screen
from infimum.proof import wording
from infimum.proof.certificate import Certificate, Rigour

SAMPLED = Certificate(0.25, 0.125, "alternation", "sampled")
KINDS = [name for name in get_args(Rigour) if name != "sampled"]


def certificate(rigour):
    return Certificate(0.25, 0.125, "alternation", rigour, 0.5 if rigour == "probable" else 1.0)


def test_text_has_no_chain_of_inequalities():
    assert str(SAMPLED) == "0.125 <= optimum; largest of samples 0.25 (alternation, sampled)"
    assert wording.sentence(SAMPLED) == (
        "The largest error found in samples is 0.25; between them it may be larger. "
        "Proved is that no admissible answer is better than 0.125."
    )
    assert wording.sentence(dataclasses.replace(SAMPLED, lower_bound=0.0)).endswith("0, could be proved.")
    equal = dataclasses.replace(SAMPLED, lower_bound=0.25)
    assert "optimum" not in wording.sentence(equal), "equal numbers prove no optimum"


@pytest.mark.parametrize("rigour", KINDS)
def test_all_other_rigours_keep_it(rigour):
    text = str(certificate(rigour))
    assert text.startswith("0.125 <= optimum <= 0.25 (alternation")
    for words in (text, wording.sentence(certificate(rigour)), wording.error_and_floor(certificate(rigour))):
        assert "sampl" not in words
    assert wording.value_label(certificate(rigour)) == "value"


def test_every_rigour_is_explained():
    assert wording.RIGOUR.keys() == set(get_args(Rigour))
    for name, text in wording.RIGOUR.items():
        assert text.startswith(f"{name}: ")


@pytest.mark.parametrize(
    "words",
    [
        wording.value_label(SAMPLED),
        wording.value_text(SAMPLED),
        wording.value_cell(SAMPLED),
        wording.gap_label(SAMPLED),
        wording.error_label(SAMPLED),
        wording.error_and_floor(SAMPLED),
        wording.rigour(SAMPLED),
    ],
)
def test_every_place_names_the_samples(words):
    assert "sampl" in words


@pytest.fixture
def result():
    """Return an answer for a function that is known by its values only."""
    return infimum.minimax.polynomial(lambda x: np.exp(np.sin(3 * x)), 3)


def test_a_python_function_is_sampled(result):
    assert result.certificate.rigour == "sampled"
    assert "largest of samples" in str(result.certificate)


def test_table_of_the_command_line():
    rows = screen.certificate_rows(SAMPLED)
    assert rows["value, largest of samples"] == "0.25"
    assert rows["rigour"] == "sampled"
    assert "value" not in rows
    assert "gap" not in rows


def test_report_and_json(result, tmp_path):
    # a report draws the answer, for which the function is asked: an expression stands for it here
    drawn = dataclasses.replace(result, f="exp(sin(3*x))")
    page = report.write(drawn, tmp_path / "r.html").read_text(encoding="utf-8")
    for text in ("largest of samples", "between them it may be larger", "sampled: the lower bound is proved"):
        assert text in page
    for text in ("still be gained", "it is an optimum", "the loss of the answer, measured", "out of reach"):
        assert text not in page
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["certificate"]["rigour"] == "sampled"
    assert "largest error found in samples" in content["claim"]
    assert content["ruler"] is None
    assert json.loads(drawn.to_json())["certificate"]["rigour"] == "sampled"


def test_plot(result):
    axes = Figure().subplots()
    result.plot(axes, f=lambda x: np.exp(np.sin(3 * x)))
    assert "sampled" in axes.get_title()


def test_demo(monkeypatch, capsys, result):
    problem = dataclasses.replace(
        problems.get("minimax"), solve=lambda f, **options: result, example=lambda: problems.Case(("f",))
    )
    monkeypatch.setattr(problems, "PROBLEMS", (problem,))
    monkeypatch.setenv("COLUMNS", "200")
    from infimum.cli.demo import solve_problems
    from infimum.cli.screen import Talk

    solve_problems(Talk(quiet=True))
    assert f"{result.certificate.value:.6g} (sampled)" in capsys.readouterr().out


def test_generated_code(result):
    for source in (result.to_c(), result.to_numpy()):
        assert "of samples is" in source
        assert "proven)" not in source
