"""Text from inputs and files in generated source: it stays text, whatever it says."""

import ast
import dataclasses
import json
import subprocess

import pytest

import infimum
from infimum import minimax
from infimum.errors import InfimumError, OptionError
from infimum.minimax.codegen import readable
from tests.minimax.compiled import HAS_COMPILER

pytest.importorskip("flint")

HOSTILE = (
    '"""\nimport os; os.system("true")\n"""',
    'exp"""+__import__("os").system("true")+"""',
    "*/ int main(void) { return 0; } /*",
    "**/ #include <stdlib.h>\n/**",
    "x\\",
    'x\\"""',
    "??/\n*??/\n/ int leak; /*",
    "line\r\nimport os",
    "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g",
    "\u202e\u2066 fr\u0456end\u200b",
    "\x00\x1b[31m\ud800",
    "'''\nimport os\n'''",
    "{name} %s \\N{LATIN SMALL LETTER A} \\x41",
    "\\\n#define x y",
)
TARGETS = ("c", "numpy", "torch", "triton")


@pytest.fixture(scope="module")
def result():
    return minimax.polynomial("sin", 5, (-1.0, 1.0), system="odd", weight="1 + x**2")


def written(result, target, **options):
    return getattr(result, f"to_{target}")("float32", **options)


def skeleton(source):
    """The statements of Python code, without the texts of docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def without_comments(source, folder):
    (folder / "code.c").write_text(source)
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-trigraphs", "-E", "-P", "code.c"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["f", "weight"])
@pytest.mark.parametrize("target", TARGETS)
def test_hostile_text_stays_in_the_comment(result, target, field, text, tmp_path):
    plain, hostile = written(result, target), written(dataclasses.replace(result, **{field: text}), target)
    assert hostile != plain
    assert hostile.isascii()
    assert all(line.isprintable() for line in hostile.split("\n"))
    assert len(hostile.splitlines()) == len(plain.splitlines())
    if target != "c":
        assert skeleton(hostile) == skeleton(plain)
        return
    assert (hostile.count("/*"), hostile.count("*/")) == (1, 1)
    assert hostile.partition("*/")[2] == plain.partition("*/")[2]
    if HAS_COMPILER:
        assert without_comments(hostile, tmp_path) == without_comments(plain, tmp_path)


@pytest.mark.parametrize("target", TARGETS)
def test_a_hostile_file_runs_nothing(result, target):
    for text in HOSTILE[:-1]:
        document = json.loads(result.to_json())
        document["answer"]["f"] = text
        try:
            read = infimum.from_json(json.dumps(document))
        except InfimumError:
            continue
        hostile = written(read, target)
        assert hostile.partition("*/")[2] == written(result, target).partition("*/")[2] if target == "c" else True
        assert target == "c" or skeleton(hostile) == skeleton(written(result, target))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "field",
    [
        {"domain": (('"""\nimport os\n"""', "*/ int leak; /*"),)},
        {"domain": ((float("nan"), 1.0),)},
        {"domain": ((1.0, -1.0),)},
        {"powers": (1, 3, 10**9)},
        {"powers": (1, 3, 3)},
        {"powers": (1, 3, -1)},
        {"powers": ("x", "import os", "*/")},
    ],
)
def test_fields_of_the_wrong_kind_are_refused(result, target, field):
    with pytest.raises((InfimumError, AttributeError, TypeError)):
        written(dataclasses.replace(result, **field), target)


def test_a_callable_with_a_hostile_name():
    def function(x):
        return x**2

    function.__name__ = '"""\nimport os\n"""'
    result = minimax.polynomial(function, 2)
    for target in TARGETS[1:]:
        assert "\nimport os" not in written(result, target)
        ast.parse(written(result, target))
    assert "\nimport os" not in result.to_c("float32")


def test_ordinary_text_is_left_as_it_is():
    text = "|f - p| <= 1.5e-07 on [-1.0, 1.0]: (x**2 + exp(-x)/3)*(x - 1), w = 1 + x % 2 & 'a' $ @ ~ `b` # {c}; d ! ^"
    assert readable(text) == text
    assert readable('"') == "<U+0022>"
    assert readable("\U0001f600\\?") == "<U+1F600><U+005C><U+003F>"
    assert readable("/*/ **/ /*") == "/ * / ** / / *"


NAMES = (
    *("", "2p", "a b", "p(x):\n  import os", "p;", "é", "p\n", "x", "y", "t", "np", "tl", "torch", "triton"),
    *("lambda", "None", "float", "_Bool", "_Complex", "__debug__", "__attribute__", "_Generic", "class", "new"),
    *("asm", "template", "bool", "true", "nullptr", "constexpr", 3, None, b"p", ("p",)),
)


@pytest.mark.parametrize("name", NAMES, ids=repr)
@pytest.mark.parametrize("target", TARGETS)
def test_names_that_are_no_function_names(result, target, name):
    with pytest.raises(OptionError, match="name must be an identifier"):
        written(result, target, name=name)


@pytest.mark.parametrize("name", ["p", "gelu", "_p", "t2", "a0_1", "match", "sin7", "X"])
def test_names_that_are(result, name, tmp_path):
    for target in TARGETS[1:]:
        tree = ast.parse(written(result, target, name=name))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert names == [name, f"{name}_kernel"][: 2 if target == "triton" else 1]
    if HAS_COMPILER:
        (tmp_path / "code.c").write_text(written(result, "c", name=name))
        subprocess.run(["gcc", "-std=c99", "-Werror", "-c", "code.c"], cwd=tmp_path, check=True)
