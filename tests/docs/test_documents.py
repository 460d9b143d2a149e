"""Every Python block of the documents and every docstring example runs, and prints what it says it prints."""

import contextlib
import doctest
import importlib.util
import io
import pkgutil
import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

import infimum

ROOT = Path(__file__).parents[2]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PRINTED = "__printed__"


def run(example):
    """Run a block and keep what it printed for the output block that may follow."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        PythonEvaluator()(example)
    example.namespace[PRINTED] = printed.getvalue()


def compare(example):
    """Compare an output block with what the block above it printed."""
    if PRINTED not in example.namespace:
        return "an output block must follow the Python block that prints it"
    printed = example.namespace.pop(PRINTED)
    checker = doctest.OutputChecker()
    wanted = doctest.Example("", str(example.parsed))
    return (
        None if checker.check_output(wanted.want, printed, FLAGS) else checker.output_difference(wanted, printed, FLAGS)
    )


blocks = PythonCodeBlockParser(doctest_optionflags=FLAGS)
blocks.codeblock_parser = CodeBlockParser("python", run)
sybil = Sybil(parsers=[blocks, CodeBlockParser("output", compare), SkipParser()])


def evaluate(document):
    """Run the blocks of a document from top to bottom, in one namespace."""
    for example in document:
        example.evaluate()


def documents():
    """Yield the documents that hold Python blocks, without those that the documentation build writes."""
    written = re.compile(r"docs/(_build|_generated|gallery|api/generated)/")
    for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]:
        name = path.relative_to(ROOT).as_posix()
        if not written.match(name) and any(sybil.parse(path)):
            yield pytest.param(path, id=name)


@pytest.fixture(autouse=True)
def no_window():
    matplotlib.use("agg")
    yield
    plt.close("all")


@pytest.mark.parametrize("path", list(documents()))
def test_document(path):
    evaluate(sybil.parse(path))


def modules():
    """Yield the modules of infimum whose docstrings hold examples."""
    for info in pkgutil.walk_packages(infimum.__path__, "infimum."):
        source = Path(importlib.util.find_spec(info.name).origin)
        if ">>> " in source.read_text(encoding="utf-8"):
            yield info.name


@pytest.mark.parametrize("name", list(modules()))
def test_docstrings(name):
    outcome = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert outcome.attempted, f"{name} shows '>>> ' outside a docstring"
    assert not outcome.failed


@pytest.fixture
def document(tmp_path):
    def written(text):
        path = tmp_path / "page.md"
        path.write_text(text)
        return sybil.parse(path)

    return written


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1)\n```\n```output\n2\n```\n",
        "```python\n>>> 1 + 1\n3\n```\n",
        "```{code-cell} python\n:tags: [hide-input]\n\nassert False\n```\n",
        "```output\n2\n```\n",
    ],
)
def test_a_wrong_document_is_found(document, text):
    with pytest.raises(AssertionError):
        evaluate(document(text))
