"""Names of methods stand once: what a signature lists is what the code takes, and what the command line offers."""

import inspect
import re
import typing
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import pytest

from infimum import compress, memory, minimax
from infimum.cli.compress import compress as compress_command
from infimum.cli.memory import design as design_command
from infimum.cli.memory import measure as memory_command
from infimum.cli.minimax import minimax as minimax_command
from infimum.compress.menu.defaults import DAMPING
from infimum.compress.menu.settings import Settings
from infimum.compress.model.heads import Goal
from infimum.errors import OptionError
from infimum.minimax.codegen import WRITERS
from infimum.problems import PROBLEMS
from tests.contract import checks


def choices(annotation):
    """Return the names that an annotation lists, however deep; None where it lists none."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    found = [listed for part in get_args(annotation) if (listed := choices(part))]
    return set().union(*found) if found else None


def named(function):
    """Return the parameters of a function that take one of several names."""
    hints = get_type_hints(function, include_extras=True)
    return {name: listed for name, hint in hints.items() if name != "return" and (listed := choices(hint))}


SOLVERS = [
    pytest.param(problem, name, listed, id=f"{problem.name}-{name}")
    for problem in PROBLEMS
    for name, listed in named(problem.solve).items()
    if name not in problem.inputs
]


@pytest.mark.parametrize(("problem", "name", "listed"), SOLVERS)
def test_a_solver_takes_what_its_signature_lists(problem, name, listed):
    case = checks.tiny(problem)
    with pytest.raises(OptionError) as caught:
        problem.solve(*case.inputs, **{**case.options, name: "nonsense"})
    stated = re.search(r"must be (?:one of )?(.*), got 'nonsense'", str(caught.value))
    assert stated, f"the error lists no choices: {caught.value}"
    assert set(re.findall(r"'[^']*'|\b\d+\b", stated[1])) == set(map(repr, listed))


def same(command, function, *names):
    """The options of a command list the same names, and have the same defaults, as the parameters of a function."""
    offered, taken = named(command), named(function)
    for name in names:
        assert offered[name] == taken[name], name
        default = inspect.signature(function).parameters[name].default
        if default not in (None, inspect.Parameter.empty):
            assert inspect.signature(command).parameters[name].default == default, name


def test_commands_offer_what_the_functions_take():
    same(compress_command, compress.plan, "of", "objective", "allocation", "form", "format")
    same(memory_command, memory.report, "convention")
    same(design_command, memory.design, "objective")
    same(minimax_command, minimax.polynomial, "precision")
    assert named(memory_command)["lr"] == named(memory.lr_table)["shape"]
    assert named(minimax_command)["emit"] == set(WRITERS)


@pytest.mark.parametrize("name", ["remove", "seed", "calib", "plain", "tokens"])
def test_defaults_of_compress_stand_once(name):
    command, function = (inspect.signature(item).parameters[name] for item in (compress_command, compress.plan))
    assert command.default == function.default


def test_tables_of_settings_are_whole():
    assert set(DAMPING) == set(get_args(Goal))
    hints = typing.get_type_hints(Settings)
    assert all(choices(hints[name]) == listed - {"auto"} for name, listed in named(compress.plan).items())


def test_the_helper_sees_through_annotations():
    def function(a: Annotated[Literal["x", "y"] | None, "option"], b: int, c: tuple[Literal[0], Literal[1]]): ...

    assert named(function) == {"a": {"x", "y"}, "c": {0, 1}}
