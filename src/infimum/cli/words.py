"""How the words of a command line become numbers, and what is said of a word that cannot."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any, Final, Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    ConsumeMultipleError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    UnusedCliTokensError,
    convert,
    validators,
)

from infimum.cli.formats.limits import SEPARATOR
from infimum.cli.formats.opening import STANDARD_INPUT
from infimum.errors import OptionError

LIST = re.compile(r"[-+.\de]+(,[-+.\de]+)+")  # numbers with commas between them
# 1000000, 1_000_000, 1e6, 1.5e3, 2.0; the other ways to write a whole number in Python begin with 0x, 0o, 0b
DECIMAL = re.compile(r"([-+]?)(\d+(?:_\d+)*)(?:\.(\d*))?(?:e\+?(\d{1,4}))?", re.ASCII | re.IGNORECASE)
ADDRESS = re.compile(r"(?:-[^=]*=)?(([a-z][a-z\d+.-]+)://.*)", re.ASCII | re.DOTALL | re.IGNORECASE)
VALUE = "\0"  # before a word that begins with a hyphen and is no option: no word of a shell can begin so
INSIDE = f"{STANDARD_INPUT}{SEPARATOR}"  # how one of several arrays in standard input is named
DIGITS = 4300  # of the largest number that Python reads
NUMBERS = {frozenset({int}): "a whole number", frozenset({float}): "a number"}
REMOVE = 0.2  # the budget of `compress` where none is given, and what it counts:
OF: Final = "linear"


def typed(annotation: Any, tokens: Sequence[Any]) -> Any:
    """Read words as the type of a parameter: as cyclopts does, but a whole number must be one."""
    return convert(annotation, tokens, converter=_one)


def _one(kind: Any, text: str) -> Any:
    return whole(text) if kind is int else convert(kind, [text.removeprefix(VALUE)])


def whole(text: str) -> int:
    """Read a whole number, exactly: 1e6 is one, 10.6 is none.

    Raises
    ------
    ValueError
        The text is none, or has more digits than Python reads.
    """
    match = DECIMAL.fullmatch(text)
    if match is None:
        return int(text, 0)  # 0x10, or a ValueError
    sign, digits, fraction, exponent = match[1], match[2], (match[3] or "").rstrip("0"), int(match[4] or 0)
    if len(fraction) > exponent or len(digits) + exponent > DIGITS:
        raise ValueError(text)
    return int(f"{sign}{digits}{fraction.ljust(exponent, '0')}")


READING = Parameter(converter=typed)  # of every command
SEED = Parameter(validator=validators.Number(gte=0))  # no generator begins below 0
ABOVE_0 = Parameter(validator=validators.Number(gt=0))


def prepared(arguments: Sequence[str]) -> list[str]:
    """Return the words of a command line as cyclopts understands what is meant."""
    return with_lists(with_standard_input(with_stdout(arguments)))


def refuse_addresses(arguments: Sequence[str]) -> None:
    """Raise `OptionError` for a word that names something elsewhere: every file and folder is one of this machine."""
    for match in filter(None, map(ADDRESS.fullmatch, arguments)):
        if match[2].lower() == "file":
            raise OptionError(f"{match[1]} is an address: give the path of the file, without file://")
        raise OptionError(
            f"{match[1]} is an address, and nothing is downloaded: fetch it first (a file with curl -LO ADDRESS, a "
            "model with hf download NAME --local-dir FOLDER), and give the file or folder"
        )


def with_stdout(arguments: Sequence[str]) -> list[str]:
    """Let a bare ``--json`` mean ``--json -``."""
    pairs = itertools.pairwise([*arguments, "--"])
    return ["--json=-" if token == "--json" and after.startswith("--") else token for token, after in pairs]


def with_standard_input(arguments: Sequence[str]) -> list[str]:
    """Let ``-`` and ``-::NAME`` be files, not options."""
    return [f"{VALUE}{token}" if token == STANDARD_INPUT or token.startswith(INSIDE) else token for token in arguments]


def with_lists(arguments: Sequence[str]) -> list[str]:
    """Let ``--cost 1,1,2`` mean ``--cost 1 1 2``."""
    tokens: list[str] = []
    for token in arguments:
        flag, _, values = token.rpartition("=") if token.startswith("--") else ("", "", token)
        listed = LIST.fullmatch(values)
        tokens += [*([flag] if flag else []), *values.split(",")] if listed else [token]
    return tokens


def usage(error: CycloptsError) -> str:
    """Say in one sentence what is wrong with a command line."""
    return with_help(_wrong(error), error.command_chain or ())


def with_help(wrong: str, commands: Sequence[str]) -> str:
    """Add to a sentence about wrong usage where the right one is told."""
    wrong = wrong if wrong.endswith("...") else wrong.rstrip(".")
    return f"{wrong}{' See' if wrong.endswith('?') else '; see'} {' '.join(('infimum', *commands))} --help".replace(
        VALUE, ""
    )


def _wrong(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument {(error.unused_tokens or [''])[0].removeprefix(VALUE)!r}"
    if error.argument is None:
        return str(error)
    if isinstance(error, MissingArgumentError) and not isinstance(error, ConsumeMultipleError):
        return _missing(error, error.argument)
    if isinstance(error, CoercionError) and error.token is not None:
        name, word = error.token.keyword or error.argument.name, error.token.value.removeprefix(VALUE)
        kind, choices = NUMBERS.get(frozenset(_kinds(error.target_type))), _choices(error.argument.hint)
        if choices:
            return f"{name} must be one of {', '.join(map(repr, choices))}, got {word!r}"
        if kind is not None:
            return f"{name} takes {kind}, got {word!r}"
    return str(error)


def _missing(error: MissingArgumentError, argument: Any) -> str:
    count, _ = argument.token_count()
    name = error.keyword or next((token.keyword for token in argument.tokens if token.keyword), None)
    if name is None and not argument.tokens:
        return f"{argument.name} is missing"
    found = len(error.tokens_so_far) % count
    return f"{name or argument.name} takes {'a value' if count == 1 else f'{count} values'}, got {found or 'none'}"


def _kinds(annotation: Any) -> set[Any]:
    """Return the types that an annotation is made of, without None."""
    members = get_args(annotation)
    return set().union(*map(_kinds, members)) if members else {annotation} - {type(None), ...}


def _choices(annotation: Any) -> tuple[Any, ...]:
    """Return the words that an annotation lists."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(itertools.chain.from_iterable(map(_choices, get_args(annotation))))


def wanted_size(size: str | None, remove: float, target: float | None, of: str) -> float | None:
    """Return the wanted bytes of the files, if any; refuse two budgets at a time, of what was given otherwise."""
    given = {"--size": size is not None, "--target-objective": target is not None, "--remove": remove != REMOVE}
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise OptionError(f"one budget was expected, got {' and '.join(names)}; leave all but one of them away")
    if size is None:
        return None
    if of != OF:
        raise OptionError("--size counts the bytes of the files; leave --of away, which says what --remove counts")
    return _parse_size(size)


def _parse_size(text: str) -> float:
    """Read a number of bytes, such as 200MB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *(B|kB|MB|GB)", text.strip(), re.IGNORECASE)
    if match is None:
        raise OptionError(f"a size such as 200MB was expected (B, kB, MB or GB), got {text}")
    return float(match[1]) * 1000.0 ** ("b", "kb", "mb", "gb").index(match[2].lower())
