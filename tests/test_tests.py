"""The tests themselves: each of them can fail by an assertion, its own or that of a helper."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(TESTS.rglob("*.py"))}
ASSERTING = ("raises", "warns", "fail", "check_call")
GIVEN = {"check"}  # what a parametrised test is given and calls


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def asserts(function):
    """Tell whether a function asserts by itself: a program run with check=True asserts that it ends well."""
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Attribute) and (node.attr in ASSERTING or node.attr.startswith("assert_")))
        or (isinstance(node, ast.keyword) and node.arg == "check" and getattr(node.value, "value", False) is True)
        for node in ast.walk(function)
    )


def names(node):
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}


def helpers():
    """Return the names of the functions beside the tests that assert, or call one that does, by file."""
    plain = [f for tree in TREES.values() for f in functions(tree) if not f.name.startswith("test_")]
    found = {f.name for f in plain if asserts(f)}
    while more := {f.name for f in plain if names(f) & found} - found:
        found |= more
    return {path: found & (defined(tree) | GIVEN) for path, tree in TREES.items()}


def defined(tree):
    """Return what a file defines, or imports from other files of the tests."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {alias.name for node in imports if (node.module or "").startswith("tests") for alias in node.names}
    return imported | {function.name for function in functions(tree)}


def test_every_test_asserts_something():
    known = helpers()
    silent = [
        f"{path.relative_to(TESTS).as_posix()}:{function.name}"
        for path, tree in TREES.items()
        for function in functions(tree)
        if function.name.startswith("test_") and not asserts(function) and not names(function) & (known[path] | GIVEN)
    ]
    assert silent == []
