"""The command of every registered problem: made from the register, run on files, written to files."""

import dataclasses
import inspect
import json
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from safetensors.numpy import load_file

import infimum
from infimum import problems
from infimum.cli.problem_command import arguments_of
from infimum.problems import PROBLEMS
from infimum.proof.result import Result
from tests.contract.center import TOY
from tests.contract.surface import data_tokens, option_tokens

# the command of one problem is written by hand: tests/cli/test_minimax.py
MADE_COMMANDS = [problem for problem in PROBLEMS if problem.name != "minimax.polynomial"]


@pytest.mark.parametrize("problem", MADE_COMMANDS, ids=lambda problem: problem.name)
def test_every_problem_has_a_command(problem, run, tmp_path):
    case = problem.tiny(np.random.default_rng(0))
    seeded = {"rng": 0} if "rng" in inspect.signature(problem.solve).parameters else {}
    result = problem.solve(*case.inputs, **{**seeded, **case.options})
    path, files = tmp_path / "result.json", data_tokens(problem, case, tmp_path)
    outcome = run(problem.command, *files, *option_tokens(case), "--json", path)
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    assert f"{result.certificate.value:.6g}" in outcome.out
    assert infimum.from_json(path.read_text()).certificate == result.certificate


@pytest.mark.parametrize("problem", MADE_COMMANDS, ids=lambda problem: problem.name)
def test_every_option_is_explained(problem, run):
    outcome = run(problem.command, "--help")
    assert outcome.status == 0
    for argument in arguments_of(problem).values():
        assert argument.help, f"{argument.name} has no description"
        assert argument.help.split()[0] in outcome.out


def test_ninth_problem_appears_by_itself(run, tmp_path, monkeypatch):
    monkeypatch.setattr(problems, "PROBLEMS", (*PROBLEMS, TOY))
    (tmp_path / "points.csv").write_text("0\n1\n4\n")
    assert "center" in run("--help").out
    outcome = run("center", tmp_path / "points.csv", "--json", tmp_path / "r.json")
    assert outcome.status == 0, outcome.err
    assert "point 2" in outcome.out
    assert run("verify", tmp_path / "r.json", tmp_path / "points.csv").status == 0


def test_table(run, file):
    outcome = run("svd", file, "--rank", 2)
    assert outcome.status == 0
    value = infimum.lowrank.svd(np.load(file), rank=2).certificate.value
    for word in (f"{value:.6g}", "eckart_young", "rounded", "7 x 5, float64", "No admissible answer can be better"):
        assert word in outcome.out
    assert outcome.err == ""


def test_all_outputs(run, file, tmp_path):
    names = ["r.json", "r.html", "r.png", "r.npz"]
    paths = [tmp_path / "out" / name for name in names]
    (tmp_path / "out").mkdir()
    options = dict(zip(("--json", "--report", "--plot", "--save"), paths, strict=True))
    # the report's data would stand in r.json as well
    clash = run("interpolative", file, "--rank", 2, *(item for pair in options.items() for item in pair))
    assert clash.status == 2
    assert "same name" in clash.err
    assert list((tmp_path / "out").iterdir()) == []
    options["--report"] = tmp_path / "out" / "report.html"
    outcome = run("interpolative", file, "--rank", 2, *(item for pair in options.items() for item in pair))
    assert outcome.status == 0, outcome.err
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"r.json", "report.html", "report.json", "report.result.json", "r.png", "r.npz"}
    result: Any = infimum.from_json(paths[0].read_text())
    with np.load(paths[3]) as arrays:
        assert np.array_equal(arrays["columns"], result.columns)
        assert np.array_equal(arrays["coefficients"], result.coefficients)
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    assert infimum.from_json((tmp_path / "out" / "report.result.json").read_text()).to_json() == result.to_json()


@pytest.mark.parametrize("suffix", [".mtx", ".npz"])
def test_sparse_files_stay_sparse(run, tmp_path, matrix, suffix, monkeypatch):
    sparse, path = scipy.sparse.csr_array(matrix * (matrix > 0)), tmp_path / f"m{suffix}"
    scipy.io.mmwrite(path, sparse) if suffix == ".mtx" else scipy.sparse.save_npz(path, sparse)
    result = tmp_path / "result.json"
    monkeypatch.setattr("infimum.proof.operators.sparse.EXPLICIT", 1)  # it is not filled either
    for command in ("svd", "interpolative", "cur"):
        outcome = run(command, path, "--rank", "2", "--json", result, "--report", tmp_path / "r.html", "--force")
        assert outcome.status == 0, outcome.err
        assert f"m{suffix} (7 x 5, float64, {sparse.nnz} entries stored)" in outcome.out
        assert run("verify", result, path).status == 0
    outcome = run("pinv", path)
    assert outcome.status == 0, outcome.err
    assert f"m{suffix} (7 x 5, float64)" in outcome.out


def test_vector_on_the_right(run, tmp_path, file, matrix):
    np.save(tmp_path / "b.npy", matrix.sum(axis=1))
    outcome = run("solve", file, tmp_path / "b.npy", "--json", "-")
    assert outcome.status == 0, outcome.err
    result: Any = infimum.from_json(outcome.out)
    np.testing.assert_allclose(result.matrix, np.ones(5), rtol=1e-9)


def test_save_keeps_dtype_and_numbers(run, tmp_path, matrix):
    np.save(tmp_path / "f.npy", matrix.astype(np.float32))
    path = tmp_path / "p.safetensors"
    assert run("pinv", tmp_path / "f.npy", "--save", path).status == 0
    arrays = load_file(path)
    assert arrays["matrix"].dtype == np.float32
    assert arrays["rank"] == 5


def test_complex_answers_need_npz(run, tmp_path, matrix):
    np.save(tmp_path / "c.npy", matrix * (1 + 1j))
    outcome = run("pinv", tmp_path / "c.npy", "--save", tmp_path / "p.safetensors")
    assert outcome.status == 1
    assert "save as .npz" in outcome.err
    assert not (tmp_path / "p.safetensors").exists()
    assert run("pinv", tmp_path / "c.npy", "--save", tmp_path / "p.npz").status == 0


@pytest.mark.parametrize("arguments", [["--json"], ["--json", "-"], ["--json", "--quiet"], ["--json=-"]])
def test_json_to_stdout(run, file, arguments):
    outcome = run("svd", file, "--rank", 2, *arguments)
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["problem"] == "lowrank.svd"


def test_same_seed_same_answer(run, file):
    texts = [
        run("svd", file, "--rank", 2, "--method", "randomized", *seed, "--json").out for seed in ([], ["--seed=0"])
    ]
    assert texts[0] == texts[1]
    assert texts[0] != run("svd", file, "--rank", 2, "--method", "randomized", "--seed", 1, "--json").out


def test_names_are_printed_as_they_are(run, tmp_path, matrix):
    path = tmp_path / "[bold]:smile:.npy"
    np.save(path, matrix)
    assert "[bold]:smile:.npy" in run("svd", path, "--rank", 2).out


def test_quiet(run, file):
    assert run("svd", file, "--rank", 2, "--quiet") == (0, "", "")


# ------------------------------------------------------------------ problems of other kinds


@dataclasses.dataclass(frozen=True)
class Parts(Result):
    problem = "toy.parts"
    inputs: ClassVar[tuple[str, ...]] = ("n",)
    parts: tuple[int, ...]


def split(
    n: int,
    weights: Any | None = None,
    *,
    pieces: int = 2,
    window: tuple[float, float] = (0.0, 1.0),
    rule: Literal["even", "odd"] = "even",
    start: int | Literal["auto"] = "auto",
    exact: bool = False,
    score: Callable[[int], float] | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Parts:
    """Split a whole number into equal parts.

    Parameters
    ----------
    n : int
        The number.
    weights : array (k,), optional
        A weight for each part.
    pieces, window, rule, start, exact, score, on_progress
        Choices.
    """
    on_progress("splitting", 1, 1)
    assert score is None
    seen = (n, None if weights is None else weights.tolist(), pieces, window, rule, start, exact)
    return Parts(parts=(repr(seen),), certificate=infimum.Certificate(n, n, "toy", "exact"))


SPLIT = dataclasses.replace(
    TOY, name="toy.parts", solve=split, result=Parts, arrays=False, answer_text=lambda r: "parts"
)


@pytest.fixture
def with_split(monkeypatch):
    monkeypatch.setattr(problems, "PROBLEMS", (*PROBLEMS, SPLIT))


@pytest.mark.usefixtures("with_split")
def test_numbers_choices_and_optional_files(run, tmp_path):
    (tmp_path / "w.csv").write_text("1,2,3\n")
    given = ["--weights", tmp_path / "w.csv", "--pieces=3", "--window", 0.5, 2, "--rule=odd", "--start=7", "--exact"]
    outcome = run("parts", 130, *given, "--json")
    assert outcome.status == 0, outcome.err
    seen = "(130, [1.0, 2.0, 3.0], 3, (0.5, 2.0), 'odd', 7, True)"
    assert json.loads(outcome.out)["answer"]["parts"] == [seen]
    listed = [token for token in given if token not in (0.5, 2)]
    listed.insert(listed.index("--window") + 1, "0.5,2")
    assert json.loads(run("parts", 130, *listed, "--json").out)["answer"]["parts"] == [seen]
    defaults = "(130, None, 2, (0.0, 1.0), 'even', 'auto', False)"
    assert json.loads(run("parts", 130, "--json").out)["answer"]["parts"] == [defaults]
    assert "it is an optimum" in run("parts", 130).out


@pytest.mark.usefixtures("with_split")
def test_what_a_command_line_cannot_give_is_left_out(run):
    assert "--score" not in run("parts", "--help").out
    assert run("parts", "many").status == 2


def test_unreadable_required_parameter_is_noticed():
    def solve(function: Callable[[float], float]) -> Parts: ...

    broken = dataclasses.replace(SPLIT, solve=solve)
    with pytest.raises(TypeError, match="cannot read function"):
        arguments_of(broken)
