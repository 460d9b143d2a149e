"""The application: which commands there are, and how errors and warnings reach the user."""

from __future__ import annotations

import itertools
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError, UnusedCliTokensError

import infimum
from infimum import problems
from infimum.cli.problem_command import command_for
from infimum.errors import InfimumError

HELP = """Approximation problems, solved with a certificate: how far the answer is from the best possible one.

Every answer comes with a lower bound on what any admissible answer could reach on this input."""

LIST = re.compile(r"[-+.\de]+(,[-+.\de]+)+")  # numbers with commas between them


def build() -> App:
    """Return the application, with one command for every registered problem."""
    from infimum.cli import compress, demo, demo_lm, evaluate, inspect, memory, minimax, msign, verify

    app = App(
        name="infimum",
        help=HELP,
        version=infimum.__version__,
        help_format="plaintext",
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for problem in problems.PROBLEMS:
        if problem.name == "minimax.polynomial":  # its options read better than its parameters
            app.command(minimax.minimax, group="Problems", help_format="plaintext")
        else:
            app.command(command_for(problem), name=problem.command, group="Problems")
    for command in (compress.compress, inspect.inspect, evaluate.evaluate):
        app.command(command, group="Models", help_format="markdown")
    app.command(memory.build())
    app.command(msign.msign, group="Models")
    app.command(verify.verify, group="Proof", help_format="markdown")
    app.command(demo.demo, group="Proof", help_format="markdown")
    app.command(demo_lm.demo_lm, group="Proof", help_format="markdown")
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command; every expected failure ends in one line on stderr."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            status = build()(_with_lists(_with_stdout(arguments)))
            sys.stdout.flush()
        except CycloptsError as error:
            return _fail(_usage(error), 2)
        except InfimumError as error:
            return _fail(str(error), 1)
        except BrokenPipeError:  # the reader of a pipe has gone ("| head"): nobody is left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except OSError as error:
            return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
        except KeyboardInterrupt:
            return _fail("interrupted; nothing was written", 130)
        return int(status or 0)


def _with_stdout(arguments: Sequence[str]) -> list[str]:
    """Let a bare ``--json`` mean ``--json -``."""
    pairs = itertools.pairwise([*arguments, "--"])
    return ["--json=-" if token == "--json" and after.startswith("--") else token for token, after in pairs]


def _with_lists(arguments: Sequence[str]) -> list[str]:
    """Let ``--cost 1,1,2`` mean ``--cost 1 1 2``."""
    tokens: list[str] = []
    for token in arguments:
        flag, _, values = token.rpartition("=") if token.startswith("--") else ("", "", token)
        listed = LIST.fullmatch(values)
        tokens += [*([flag] if flag else []), *values.split(",")] if listed else [token]
    return tokens


def _usage(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        message = f"unexpected argument {(error.unused_tokens or [''])[0]!r}"
    else:
        message = str(error).rstrip(".")
    command = " ".join(("infimum", *(error.command_chain or ())))
    return f"{message}; see {command} --help"


def _fail(message: str, status: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
