"""The application: which commands there are, and how errors and warnings reach the user."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError
from rich.console import Console

import infimum
from infimum import problems
from infimum.cli import option_names, processes, screen, words
from infimum.cli.ending import Ended, unwinding
from infimum.cli.problem_command import command_for
from infimum.errors import (
    CheckpointError,
    FileFormatError,
    InfimumError,
    OptionError,
    OutputError,
    RankError,
    VerificationError,
)
from infimum.proof.wording import printable

HELP = """Approximation problems, solved with a certificate: how far the answer is from the best possible one.

Every answer comes with a lower bound on what any admissible answer could reach on this input."""

OF_FILES = (CheckpointError, FileFormatError, OutputError, VerificationError)  # not of arguments


def build_app() -> App:
    """Return the application, with one command for every registered problem."""
    from infimum.cli import compress, demo, demo_lm, evaluate, heal, inspect, memory, minimax, msign, refit, verify

    app = App(
        name="infimum",
        help=HELP,
        version=infimum.__version__,
        help_format="plaintext",
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        default_parameter=words.READING,
        console=Console(**screen.styles()),
    )
    for problem in problems.PROBLEMS:
        if problem.name == "minimax.polynomial":  # its options read better than its parameters
            app.command(minimax.minimax, group="Problems", help_format="plaintext")
        else:
            app.command(command_for(problem), name=problem.command, group="Problems")
    for command in (compress.compress, inspect.inspect, evaluate.evaluate, refit.refit, heal.heal):
        app.command(command, group="Models", help_format="markdown")
    app.command(memory.build_memory())
    app.command(msign.msign, group="Models")
    app.command(verify.verify, group="Proof", help_format="markdown")
    app.command(demo.demo, group="Proof", help_format="markdown")
    app.command(demo_lm.demo_lm, group="Proof", help_format="markdown")
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command; every expected failure ends in one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may hold what the encoding of a terminal does not
            stream.reconfigure(errors="backslashreplace")
    words_given = words.prepared(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            with unwinding():
                app = build_app()
                words.refuse_addresses(arguments)
                status = app(words_given)
                sys.stdout.flush()
            return int(status or 0)
        except CycloptsError as error:
            return _fail(words.usage(error), 2)
        except (OptionError, RankError) as error:  # what only the solver can judge is wrong usage no less
            commands = app.parse_commands(words_given)[0]
            return _fail(words.with_help(_message(error, app, words_given), commands), 2)
        except (InfimumError, OSError, MemoryError) as error:
            return 1 if processes.is_said_by_first(error) else _fail(_message(error, app, words_given), 1)
        except KeyboardInterrupt:
            return _fail("interrupted; no file was left half-written", 130)
        except Ended as error:
            return _fail("ended by a signal; no file was left half-written", error.status)


def _message(error: Exception, app: App, words_given: Sequence[str]) -> str:
    if isinstance(error, OSError) and not isinstance(error, InfimumError):
        _let_go_of_stdout()
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    if isinstance(error, MemoryError):
        return f"this needs more memory than there is ({error or 'no size is known'})"
    if isinstance(error, OF_FILES):
        return str(error)
    return option_names.with_option_names(str(error), option_names.options_of(app, words_given))


def _let_go_of_stdout() -> None:
    """Where stdout takes nothing more (its reader has gone, or its disk is full), nothing is left to be flushed."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, status: int) -> int:
    _say(f"error: {processes.prefix()}{message}")
    return status


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


def _say(message: str) -> None:
    print(printable(" ".join(message.split())), file=sys.stderr)
