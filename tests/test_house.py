"""The house: sizes that read well, names that stand once, and nobody who repeats the name of a theorem."""

import ast
import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest

import infimum
from infimum.proof import theorems

ROOT = Path(__file__).parents[1]
SOURCE = Path(infimum.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
LONGEST_FILE = 300  # lines, all of them
LONGEST_FUNCTION = 40  # lines of code in its body: signature, docstring, comments and blank lines do not count
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
THEOREMS = [module.name for module in pkgutil.iter_modules(theorems.__path__)]


def name_of(path):
    return path.relative_to(SOURCE).as_posix()


def without_docstring(body):
    """Return the statements of a body but for the docstring."""
    first = body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[is_docstring:]


def lines_of_code(function, lines):
    """Count the lines in the body of a function that hold code, those of nested functions included."""
    body = without_docstring(function.body)
    if not body:
        return 0
    held = (lines[number - 1].strip() for number in range(body[0].lineno, function.end_lineno + 1))
    return sum(bool(line) and not line.startswith("#") for line in held)


def test_files_are_short():
    long = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: count for name, count in long.items() if count > LONGEST_FILE} == {}


def test_functions_are_short():
    long = {}
    for path, tree in TREES.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(tree):
            if isinstance(node, DEFINITIONS) and (count := lines_of_code(node, lines)) > LONGEST_FUNCTION:
                long[f"{name_of(path)}:{node.name}"] = count
    assert long == {}


def strings(tree):
    """Yield the string constants of a module that are no docstrings, with their lines."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, *DEFINITIONS))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value, node.lineno


@pytest.mark.parametrize("name", THEOREMS)
def test_every_theorem_states_its_name_and_has_a_page_and_tests(name):
    assert name == importlib.import_module(f"{theorems.__name__}.{name}").THEOREM
    assert (ROOT / "docs" / "theorems" / f"{name}.md").is_file()
    assert (ROOT / "tests" / "theorems" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("name", THEOREMS)
def test_every_theorem_has_its_hypotheses_in_the_table_and_a_test_that_breaks_them(name):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| {name}(?: \([a-z]+\))? \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert rows, f"CONTRIBUTING.md lists no hypotheses of {name}"
    tests = (ROOT / "tests" / "theorems" / f"test_{name}.py").read_text(encoding="utf-8")
    for _, named in rows:
        assert all(f"def {test}(" in tests for test in re.findall(r"`(\w+)`", named)), named


def exported(tree):
    """Return the names in the ``__all__`` of a module: a public function may have the name of a theorem."""
    lists = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    return {name for names in lists for name in ast.literal_eval(names)}


METHODS = {"gram"}  # also what a caller writes for a method of `svd`


def test_the_name_of_a_theorem_stands_once():
    repeated = [
        f"{name_of(path)}:{line} {text!r}"
        for path, tree in TREES.items()
        for text, line in strings(tree)
        if text in THEOREMS
        and text not in exported(tree)
        and not (path.stem == text and path.parent.name == "theorems")
        and text not in METHODS
    ]
    assert repeated == []


MOST = 3  # modules that may define one name: a name that many share says nothing, such as certify, claim, solve
SHARED = {"lower_bound", "ask"}  # what theorems have in common, called by the name of the module: gram.lower_bound


def test_no_name_stands_in_many_modules():
    defined = Counter(
        node.name.lstrip("_")
        for tree in TREES.values()
        for node in tree.body
        if isinstance(node, (*DEFINITIONS, ast.ClassDef))
        and node.name.strip("_")  # not the _ of singledispatch
        and not node.name.startswith("__")  # what the language names
    )
    assert {name: count for name, count in defined.items() if count > MOST and name not in SHARED} == {}


def test_no_function_only_hands_its_arguments_on():
    idle = []
    for path, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, DEFINITIONS) and not node.decorator_list and hands_on(node):
                idle.append(f"{name_of(path)}:{node.name}")
    assert idle == []


def hands_on(function):
    body, arguments = without_docstring(function.body), [argument.arg for argument in function.args.args]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or not isinstance(body[0].value, ast.Call):
        return False
    call = body[0].value
    handed = [item.id if isinstance(item, ast.Name) else None for item in call.args]
    return isinstance(call.func, ast.Name) and bool(arguments) and handed == arguments and not call.keywords
