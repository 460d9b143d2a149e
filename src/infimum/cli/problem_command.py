"""One command per registered problem, made from the signature and the docstring of its solver."""

from __future__ import annotations

import inspect
import re
import time
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import scipy.sparse
from cyclopts import Group, Parameter
from docstring_parser import DocstringStyle, parse

from infimum._arrays import HasShape
from infimum.cli import screen
from infimum.cli.formats.input_file import Named
from infimum.cli.formats.opening import STANDARD_INPUT
from infimum.cli.names import names_of
from infimum.cli.outputs import STDOUT, Outputs
from infimum.cli.read import KINDS, read_named
from infimum.cli.words import SEED, typed
from infimum.problems import Problem
from infimum.proof import wording
from infimum.report import plain_text

SCALARS = (int, float, str, bool)
OPTIONS = Group("Options", sort_key=1)
SEED_HELP = "Seed of the random numbers; the same seed gives the same answer."


@dataclass(frozen=True)
class Argument:
    """One parameter of a solver: how it is read from the command line."""

    name: str
    annotation: Any  # what is parsed; None: a file that holds an array
    axes: int | None  # of the array, where the docstring gives its shape
    help: str
    default: Any = inspect.Parameter.empty
    words: tuple[str, ...] = ()  # what may stand in place of a file
    sparse: bool = False  # whether zeros that are not stored stay so
    whole: bool = False  # whether the array holds integers

    def read(self, token: str) -> Any:
        """Read the value from its text on the command line."""
        if token in self.words:
            return token
        if self.annotation is None:
            return read_named(token, self.axes, sparse=self.sparse, whole=self.whole)
        return typed(self.annotation, [token])


def arguments_of(problem: Problem) -> dict[str, Argument]:
    """Describe the parameters of a solver that a command line can give; `rng` becomes a seed."""
    hints = typing.get_type_hints(problem.solve)
    documentation = {
        name.strip(): entry
        for entry in parse(inspect.getdoc(problem.solve) or "", style=DocstringStyle.NUMPYDOC).params
        for name in entry.arg_name.split(",")
    }
    arguments = {}
    for name, parameter in inspect.signature(problem.solve).parameters.items():
        entry = documentation.get(name)
        text = _plain(entry.description) if entry else ""
        if name == "rng":
            arguments[name] = Argument(name, Annotated[int, SEED], None, SEED_HELP, 0)
            continue
        is_data = problem.arrays and name in problem.inputs
        hint = hints.get(name, Any)
        is_file = _holds_array(hint) and (is_data or not _readable(hint))
        annotation = None if is_file else _readable(hint)
        if annotation is None and not is_file:
            if parameter.default is parameter.empty:
                raise TypeError(f"{problem.name}: the command line cannot read {name}: {hint}")
            continue
        axes = re.search(r"\(([^()]*)\)", entry.type_name or "") if entry else None
        count = len([axis for axis in axes[1].split(",") if axis.strip()]) if axes else None
        words = tuple(word for word in get_args(_readable(hint)) if is_file and isinstance(word, str))
        sparse = is_data and problem.sparse
        whole = entry is not None and bool(re.search(r"of int", entry.type_name or ""))
        arguments[name] = Argument(name, annotation, count, text, parameter.default, words, sparse, whole)
    return arguments


def command_for(problem: Problem) -> Callable[..., int]:
    """Return the function behind ``infimum <problem>``, for cyclopts."""
    arguments = arguments_of(problem)

    def command(*data: str, outputs: Outputs | None = None, **options: Any) -> int:
        return solve_and_write(problem, data, options, outputs or Outputs())

    command.__doc__ = _summary(problem)
    command.__name__ = problem.command.replace("-", "_")
    command.__signature__ = _signature(problem, arguments)  # type: ignore[attr-defined]
    return command


def _signature(problem: Problem, arguments: dict[str, Argument]) -> inspect.Signature:
    kinds = inspect.Parameter
    parameters = []
    annotation: Any
    for name in problem.inputs:
        argument = arguments[name]
        if argument.annotation is None:
            label = "FILE" if len(problem.inputs) == 1 else f"{name}-FILE"
            words = "".join(f"{word}, or a file. " for word in argument.words)
            help_text = f"{argument.help} {words}{KINDS}. FILE::NAME names one of several arrays in a file.".strip()
            annotation = Annotated[str, Parameter(name=label, help=help_text)]
        else:
            annotation = Annotated[argument.annotation, Parameter(name=name, help=argument.help)]
        parameters.append(kinds(name, kinds.POSITIONAL_ONLY, annotation=annotation))
    for name, argument in arguments.items():
        if name in problem.inputs:
            continue
        flag = "--seed" if name == "rng" else f"--{name.replace('_', '-')}"
        parsed: Any = str | None if argument.annotation is None else argument.annotation
        option = Parameter(
            name=flag,
            help=argument.help,
            group=OPTIONS,
            negative_iterable="",
            show_default=argument.default is not None,
        )
        parameters.append(
            kinds(name, kinds.KEYWORD_ONLY, default=argument.default, annotation=Annotated[parsed, option])
        )
    parameters.append(kinds("outputs", kinds.KEYWORD_ONLY, default=None, annotation=Outputs | None))
    return inspect.Signature(parameters)


def solve_and_write(problem: Problem, data: tuple[str, ...], options: dict[str, Any], outputs: Outputs) -> int:
    """Solve a problem on data as the command line gives them, and write and show the answer."""
    arguments = arguments_of(problem)
    outputs.check()
    with screen.progress("reading", outputs):
        read = [_load(arguments[name], item) for name, item in zip(problem.inputs, data, strict=True)]
        # options that were not given are not passed on by cyclopts, and the default seed is not the solver's
        defaults = {name: argument.default for name, argument in arguments.items() if name not in problem.inputs}
        options = {name: bare(_load(arguments[name], item)) for name, item in {**defaults, **options}.items()}
    inputs = [bare(item) for item in read]
    with screen.progress(f"solving {problem.name}", outputs) as on_progress:
        if "on_progress" in inspect.signature(problem.solve).parameters:
            options["on_progress"] = on_progress
        start = time.perf_counter()
        result = problem.solve(*inputs, **options)
        seconds = time.perf_counter() - start
    names = names_of(problem, result, read)
    source = ", ".join(_described(item, value) for item, value in zip(data, read, strict=True))
    answer = plain_text.answer(result, names)
    details: dict[str, Any] = {"source": source, "answer": answer, "seconds": seconds}
    details["data"] = [str(item) for item in data]
    if outputs.report is not None and problem.comparison is not None:
        with screen.progress("comparing for the report", outputs):
            details["comparison"] = problem.comparison(result, *inputs)
    with screen.progress("writing", outputs):
        written = outputs.write(result, names, **details)
    if not outputs.quiet and outputs.json != STDOUT:
        rows = {"problem": problem.minimises, "input": source, "answer": answer}
        rows.update(screen.certificate_rows(result.certificate), time=f"{seconds:.3g} s")
        if written:
            rows["written"] = ", ".join(map(str, written))
        console = screen.console()
        console.print(screen.facts(rows))
        console.print(f"\n{wording.sentence(result.certificate)}")
    return 0


def bare(item: Any) -> Any:
    """Return what is read without the names of its rows and columns."""
    return item.array if isinstance(item, Named) else item


def _load(argument: Argument, item: Any) -> Any:
    return argument.read(item) if argument.annotation is None and isinstance(item, str) else item


def _described(item: Any, value: Any) -> str:
    if not isinstance(value, Named):
        return str(item)
    array = value.array
    stored = f", {array.nnz:,} entries stored" if scipy.sparse.issparse(array) else ""
    named = [axis for axis, names in (("rows", value.rows), ("columns", value.columns)) if names is not None]
    named_text = f", {' and '.join(named)} named" if named else ""
    called = "standard input" if item == STANDARD_INPUT else item
    return f"{called} ({' x '.join(map(str, array.shape))}, {array.dtype}{stored}{named_text})"


def _summary(problem: Problem) -> str:
    summary = parse(inspect.getdoc(problem.solve) or "", style=DocstringStyle.NUMPYDOC).short_description
    return f"{_plain(summary)}\n\nMinimises the {problem.minimises}."


def _plain(text: str | None) -> str:
    """Take the markup off a docstring's text, and its line breaks."""
    return " ".join((text or "").replace("``", "").replace("`", "").split())


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _holds_array(annotation: Any) -> bool:
    return not {Any, HasShape}.isdisjoint(_members(annotation))


def _readable(annotation: Any) -> Any:
    """Return the part of an annotation that a command line can give; None when there is none."""
    members = [member for member in _members(annotation) if member in SCALARS or _readable_container(member)]
    if not members:
        return None
    optional = (None,) if type(None) in _members(annotation) else ()
    return Union[(*members, *optional)]


def _readable_container(member: Any) -> bool:
    if get_origin(member) is Literal:
        return True
    items = [item for item in get_args(member) if item is not Ellipsis]
    return get_origin(member) in (tuple, list) and all(item in SCALARS for item in items)
