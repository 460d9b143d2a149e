"""Nothing that users rely on changes by accident. To change it on purpose: ``python -m tests.frozen``."""

import json
from pathlib import Path

import jsonschema
import pytest

import infimum
from infimum.problems import PROBLEMS
from tests.contract.cases import solve, tiny
from tests.frozen.schema import schema
from tests.frozen.surface import commands, public_names

SURFACE = Path(__file__).parent / "surface.json"
SCHEMA = Path(infimum.__file__).parent / "data" / "result.schema.json"


def frozen(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", public_names())
def test_public_names(module):
    assert public_names()[module] == frozen(SURFACE)["names"].get(module)


@pytest.mark.parametrize("command", commands())
def test_options_of_the_command_line(command):
    assert commands()[command] == frozen(SURFACE)["commands"].get(command)


def test_no_module_and_no_command_went_away():
    assert frozen(SURFACE)["names"].keys() == public_names().keys()
    assert frozen(SURFACE)["commands"].keys() == commands().keys()


def test_the_published_schema_is_that_of_the_classes():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert frozen(SCHEMA) == schema()


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_results_follow_the_schema(problem):
    check = jsonschema.Draft202012Validator(frozen(SCHEMA))
    document = json.loads(solve(problem, tiny(problem)).to_json())
    assert list(check.iter_errors(document)) == []
    field = next(iter(document["answer"]))
    for broken in (
        {**document, "infimum": 2},
        {**document, "problem": "lowrank.other"},
        {**document, "answer": {name: item for name, item in document["answer"].items() if name != field}},
        {**document, "answer": {**document["answer"], "extra": 1}},
        {**document, "certificate": {**document["certificate"], "rigour": "sure"}},
    ):
        assert not check.is_valid(broken)
