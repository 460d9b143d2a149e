"""A stranger's first hour: what is built, installed, run, typed, put into a notebook, and checked.

Everything happens in clean environments that know the wheel and not this checkout. `make test-all` runs it.
"""

import csv
import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.acceptance.environments import ROOT, VERSIONS, Environment, interpreter

pytestmark = pytest.mark.slow

PICTURE = re.compile(r"<svg.*?</svg>|<img[^>]*>", re.DOTALL)
LONGEST_OUTPUT = 2000  # characters, of the text in a cell


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Return the folder with the archive of the source and the wheel, built as they would be published."""
    folder = tmp_path_factory.mktemp("packages")
    tools = Environment(folder / "tools")
    tools.install("--group", f"{ROOT / 'pyproject.toml'}:package")
    tools.run("python", "-m", "build", "--outdir", str(folder), str(ROOT))
    return folder, tools


@pytest.fixture(scope="module")
def wheel(packages):
    return next(packages[0].glob("*.whl"))


@pytest.fixture(scope="module")
def user(wheel, tmp_path_factory):
    """Return the environment of somebody who works with the command line, notebooks, tables and a type checker."""
    environment = Environment(tmp_path_factory.mktemp("user") / "venv")
    environment.install(f"{wheel}[cli,enclosures]", "mypy", "nbclient", "ipykernel", "pandas")
    return environment


def test_the_packages_are_fit_to_be_published(packages):
    folder, tools = packages
    archives = [str(path) for pattern in ("*.whl", "*.tar.gz") for path in folder.glob(pattern)]
    assert len(archives) == 2
    assert "FAILED" not in tools.run("twine", "check", "--strict", *archives)
    assert "OK" in tools.run("check-wheel-contents", str(next(folder.glob("*.whl"))))
    assert "Valid file" in tools.run("validate-pyproject", str(ROOT / "pyproject.toml"))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_readme_and_the_core_on_every_python(version, wheel, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    environment = Environment(tmp_path / "venv", python)
    environment.install(str(wheel))
    shutil.copy(ROOT / "tests" / "acceptance" / "run_readme.py", tmp_path)
    said = environment.run("python", str(tmp_path / "run_readme.py"), str(ROOT / "README.md"), cwd=tmp_path)
    assert f"1 block(s) of {ROOT / 'README.md'} ran as printed, Python {version}." in said
    installed = environment.run("python", "-m", "pip", "list", "--format", "freeze")
    assert not re.search(r"^(torch|matplotlib|cyclopts|jinja2)==", installed, re.MULTILINE)
    environment.install(f"{wheel}[cli,enclosures]", "--group", f"{ROOT / 'pyproject.toml'}:test")
    shutil.copytree(ROOT / "tests", tmp_path / "tests")  # beside no source: the tests meet the wheel
    for name in ("pyproject.toml", "docs", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    chosen = ["tests/contract/test_register.py", "-k", "numpy or array_api_strict or verify or json or command"]
    said = environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, cwd=tmp_path)
    assert re.search(r"^\d{3} passed", said, re.MULTILINE), said


def test_the_commands_of_the_readme_are_there(user):
    named = re.findall(r"^\$ (make [\w-]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(named) == 3
    for command in named:  # what they do is tested elsewhere; here, that there is a rule and what it needs
        subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, check=True)
    said = user.run("infimum", "--help")
    assert all(command in said for command in ("svd", "minimax", "balance", "compress", "verify", "demo"))


USER_FILE = """
import numpy as np

import infimum

M = np.eye(4)
result = infimum.lowrank.svd(M, rank="two")  # arg-type
best = infimum.minimax.polynomial("exp(x)", degree=5, interval=(0.0, 1.0))  # call-arg
print(infimum.lowrank.svd("M.npy", 2))  # arg-type
print(infimum.verify(M, result))  # arg-type
print(infimum.lowrank.sdv(M, 2))  # attr-defined
print(result.singular_values)  # attr-defined
print(result.certificate.lower_bound + best.certificate.value, result.U, infimum.verify(result, M).gap)
print(infimum.lowrank.pinv([[1.0, 2], [3, 4]]), infimum.balance.balanced_topk(M, 1, load=(0, 2)).loads)
print(infimum.minimax.polynomial(np.exp, 3, [(0.0, 1.0), (2.0, 3.0)]), infimum.memory.report([0.1] * 5, 0.1))
print(infimum.minimax.polynomial(np.exp, 3, np.array([0.0, 1.0]), breakpoints=np.array([0.5])))
print(infimum.minimax.polynomial(np.tan, system=np.array([1, 3])), infimum.memory.report(np.ones(5), 0.1))
"""


@pytest.mark.parametrize("options", [(), ("--strict",)])
def test_a_type_checker_finds_what_is_misused(user, tmp_path, options):
    (tmp_path / "mine.py").write_text(USER_FILE, encoding="utf-8")
    said = user.run("mypy", "--cache-dir", str(tmp_path / "cache"), *options, "mine.py", cwd=tmp_path, status=1)
    found = re.findall(r"^mine\.py:(\d+): error: .*\[([\w-]+)\]$", said, re.MULTILINE)
    lines = enumerate(USER_FILE.splitlines(), 1)
    assert found == [(str(number), line.rpartition("# ")[2]) for number, line in lines if "  # " in line], said


NOTEBOOK = """
import sys
import nbformat
from nbclient import NotebookClient
from infimum.problems import PROBLEMS

cells = ["import infimum\\nfrom infimum.problems import PROBLEMS"]
for index, problem in enumerate(PROBLEMS):
    cells.append(f"case = PROBLEMS[{index}].example()\\nPROBLEMS[{index}].solve(*case.inputs, **case.options)")
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
NotebookClient(notebook, timeout=300).execute()
nbformat.write(notebook, sys.argv[1])
print(len(cells))
"""


def test_a_notebook_shows_every_result_in_short(user, tmp_path):
    (tmp_path / "make.py").write_text(NOTEBOOK, encoding="utf-8")
    count = int(user.run("python", "make.py", "answers.ipynb", cwd=tmp_path))
    notebook = json.loads((tmp_path / "answers.ipynb").read_text(encoding="utf-8"))
    shown = [output for cell in notebook["cells"] for output in cell["outputs"]]
    assert len(shown) == count - 1
    for output in shown:
        assert output["output_type"] == "execute_result", output
        for kind, lines in output["data"].items():
            text = "".join(lines)
            assert len(PICTURE.sub("", text)) < LONGEST_OUTPUT, (kind, text[:300])


def test_a_report_is_checked_by_the_line_that_it_prints(user, tmp_path):
    np.save(tmp_path / "M.npy", np.random.default_rng(0).standard_normal((30, 20)))
    user.run("infimum", "interpolative", "M.npy", "--rank", "5", "--report", "report.html", cwd=tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    lines = [html.unescape(line) for line in re.findall(r"<pre>(infimum verify .*)</pre>", page)]
    assert len(lines) == 1
    assert "proves what it claims" in user.shell(lines[0], tmp_path)
    np.save(tmp_path / "M.npy", np.zeros((30, 20)))
    with pytest.raises(AssertionError, match="verify"):
        user.shell(lines[0], tmp_path)


TABLE = """
import pandas as pd
import infimum

weights = infimum.sample_data.python_documentation()
frame = pd.DataFrame(weights.weights, index=list(weights.terms), columns=list(weights.topics))
frame.to_csv("topics.csv")
"""


def test_a_table_of_pandas_keeps_its_names(user, tmp_path):
    (tmp_path / "table.py").write_text(TABLE, encoding="utf-8")
    user.run("python", "table.py", cwd=tmp_path)
    said = user.run("infimum", "interpolative", "topics.csv", "--rank", "4", "--json", "result.json", cwd=tmp_path)
    document = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    with (tmp_path / "topics.csv").open(encoding="utf-8", newline="") as file:
        topics = next(csv.reader(file))[1:]
    chosen = [topics[index] for index in document["answer"]["columns"]["data"]]
    assert document["names"] == {"columns": chosen}
    assert all(name in said for name in chosen)
    assert "proves what it claims" in user.run("infimum", "verify", "result.json", "topics.csv", cwd=tmp_path)
