"""The entry itself, and what belongs to it: documentation, theorem, tests, benchmark."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

from numpydoc.docscrape import FunctionDoc

from infimum.problems import Problem
from infimum.proof.result import Result
from tests.contract.cases import ROOT, solve, tiny


def check_entry(problem: Problem) -> None:
    """Every field is filled in, and the inputs are parameters of the solver."""
    room, _, function = problem.name.partition(".")
    assert room
    assert function, "the name must be room.function"
    assert problem.result.problem == problem.name, "the result class must name its problem"
    assert issubclass(problem.result, Result)
    parameters = inspect.signature(problem.solve).parameters
    assert problem.inputs
    for name in problem.inputs:
        assert name in parameters, f"{name} is not a parameter of {problem.name}"
    for text in (problem.minimises, problem.example_text):
        assert text.strip(), "a line of text is missing"
    if "rng" in parameters:
        assert parameters["rng"].kind is inspect.Parameter.KEYWORD_ONLY, "rng must be keyword-only (SPEC 7)"


def check_docstring(problem: Problem) -> None:
    """The docstring says what is minimised, documents every parameter, the errors, and names its sources."""
    doc = FunctionDoc(problem.solve)
    assert doc["Summary"], "no summary line"
    assert "inimis" in (inspect.getdoc(problem.solve) or ""), "the docstring must say what is minimised"
    documented = {name.strip() for entry in doc["Parameters"] for name in entry.name.split(",")}
    missing = set(inspect.signature(problem.solve).parameters) - documented
    assert not missing, f"parameters without a description: {sorted(missing)}"
    for section in ("Returns", "Raises", "References", "Examples"):
        assert doc[section], f"no section {section}"


def check_docs_pages(problem: Problem, root: Path = ROOT) -> None:
    """The problem has a page, and a line in the guide to choosing a function."""
    page = root / "docs" / "problems" / f"{problem.command}.md"
    assert page.is_file(), f"missing page docs/problems/{problem.command}.md"
    guide = (root / "docs" / "how-to-choose.md").read_text(encoding="utf-8")
    assert re.search(rf"infimum\.{re.escape(problem.name)}\b", guide), (
        f"docs/how-to-choose.md has no line for {problem.name}"
    )


def check_theorems(problem: Problem, root: Path = ROOT) -> None:
    """Every theorem that a result names has a module, which states its name, and a page."""
    for case in (problem.example(), tiny(problem)):
        theorem = solve(problem, case).certificate.theorem
        module = importlib.import_module(f"infimum.proof.theorems.{theorem}")
        assert theorem == module.THEOREM, f"infimum.proof.theorems.{theorem} must state THEOREM = {theorem!r}"
        assert (root / "docs" / "theorems" / f"{theorem}.md").is_file(), f"missing page docs/theorems/{theorem}.md"


def check_tests(problem: Problem, root: Path = ROOT) -> None:
    """The module of the solver has a file of tests in the folder of its room."""
    room, module = problem.name.partition(".")[0], inspect.unwrap(problem.solve).__module__.rpartition(".")[2]
    path = root / "tests" / room / f"test_{module}.py"
    assert path.is_file(), f"missing tests/{room}/test_{module}.py"


def check_benchmark(problem: Problem, root: Path = ROOT) -> None:
    """A benchmark compares the problem's solver with its peers."""
    assert problem.command in benchmarked(root), (
        f"no benchmark: no Comparison(problem={problem.command!r}) in benchmarks/"
    )


def benchmarked(root: Path) -> set[str]:
    """Return the problems that comparisons name; read, not run, for their peers may not be installed."""
    return {
        str(keyword.value.value)
        for path in sorted((root / "benchmarks").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Comparison"
        for keyword in node.keywords
        if keyword.arg == "problem" and isinstance(keyword.value, ast.Constant)
    }
