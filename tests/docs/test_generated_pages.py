"""Pages that are written from the code: the ground's helpers, and the table of problems."""

import ast
import importlib.util
from pathlib import Path

import pytest

import infimum
from infimum.problems import PROBLEMS

SOURCE = Path(infimum.__file__).parent
PAGES = Path(__file__).parents[2] / "docs" / "_ext" / "register_pages.py"


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("register_pages", PAGES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_the_ground_names_every_helper(pages):
    page = pages.ground()
    for path in SOURCE.glob("_[a-z]*.py"):
        assert f"## infimum.{path.stem}\n" in page
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                assert f"`{node.name}`\n: {ast.get_docstring(node).splitlines()[0][:30]}" in page, node.name


def test_the_table_of_problems_ends_with_compression(pages):
    rows = pages.problem_table().splitlines()
    assert len(rows) == 2 + len(PROBLEMS) + 1
    assert rows[-1].startswith("| [compress](/compress.md) |")
