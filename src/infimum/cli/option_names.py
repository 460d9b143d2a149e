"""The messages of the library name parameters; the command line says the same of its files and options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cyclopts import App

from infimum.problems import PROBLEMS

QUOTED = r"(?<!\w)'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""  # words of the user: they stay as they came
OPEN, CLOSED = r"(?<![\w./\\=-])", r"(?![\w/\\-]|\.\w)"  # no part of another name, of a path, or of an option
VALUE = r"\((?:'[^']*'(?:, |,(?=\)))?)+\)|'[^']*'|[^\s,;:()]+"
# A name that is a word of English, too, is meant as a name where something is said or asked of it.
ASKED = r"(?=(?:\[\d+\])? (?:must|says|has|leave)\b)"
FIRST = r"(?=(?:\[\d+\])?(?: and \w+ (?:must|leave)\b|: ))"
CERTAIN = ("dtype", "rng", "f", "A", "B", "K", "M", "X", "Y")  # these are no words of English
GIVE = re.compile(r"\bgive [^;:]+")
GIVEN = rf"(?:{'|'.join(f'(?<={word} )' for word in ('give', 'either', 'or', 'and', 'both', 'without', ','))})"


def with_option_names(message: str, names: Mapping[str, str]) -> str:
    """Put the names of files and options, given by parameter, in place of those of the parameters.

    ``rank=3`` becomes ``--rank 3``, and ``tol=None`` ``no --tol``; what stands in quotes is left alone.
    """
    if not names:
        return message
    certain = [name for name in names if "_" in name or name in CERTAIN]
    every, sure = ("|".join(map(re.escape, sorted(listed, key=len, reverse=True))) for listed in (names, certain))

    def spelt(match: re.Match[str]) -> str:
        if match["parameter"]:
            return _assigned(names[match["parameter"]], match["value"])
        return names[match["name"]] if match["name"] else match[0]

    def within(text: str, name: str) -> str:
        assigned = rf"{OPEN}(?P<parameter>{every})=(?P<value>{VALUE})"
        return re.sub(rf"{QUOTED}|{assigned}|{OPEN}(?<!the )(?P<name>{name})", spelt, text)

    asked = rf"(?:{every}){CLOSED}{ASKED}|(?<!.)(?:{every}){FIRST}"
    message = within(message, rf"(?:{sure}){CLOSED}|{asked}" if sure else asked)
    return GIVE.sub(lambda match: within(match[0], rf"{GIVEN}(?:{every}){CLOSED}"), message)


def _assigned(option: str, value: str) -> str:
    if value in ("None", "False"):
        return f"no {option}"
    return option if value == "True" else f"{option} {re.sub(r'''[()' ]|,(?=[)])''', '', value)}"


def options_of(app: App, words: Sequence[str]) -> dict[str, str]:
    """Return how the command that is meant names its parameters, and other problems their commands."""
    _, apps, _ = app.parse_commands(words)
    if apps[-1].default_command is None:
        return {}
    arguments = apps[-1].assemble_argument_collection()
    functions = {problem.name.rpartition(".")[2]: f"infimum {problem.command}" for problem in PROBLEMS}
    return {
        **{name: command for name, command in functions.items() if "_" in name},
        **{argument.field_info.name: argument.names[0] for argument in arguments if argument.names != ("*",)},
    }
