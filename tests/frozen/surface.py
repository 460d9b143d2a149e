"""The public names with their parameters, and the commands with their options, as they are now."""

import importlib
import inspect
import types
from typing import Any

import infimum
from infimum.cli.app import build_app

HELP = ("--help", "-h", "--version")


def public_names():
    """Return the public names of each public module; of functions their parameters."""
    modules = [infimum, *(item for item in map(loaded, infimum.__all__) if item is not None)]
    return {
        module.__name__: {name: parameters(getattr(module, name)) for name in sorted(module.__all__)}
        for module in modules
        if hasattr(module, "__all__")
    }


def loaded(name):
    item = getattr(infimum, name)
    return importlib.import_module(item.__name__) if isinstance(item, types.ModuleType) else None


def parameters(item):
    """Return what may be given to a function or class, after the star by name only; of anything else its kind."""
    if not inspect.isfunction(item) and not inspect.isclass(item):
        return "module" if inspect.ismodule(item) else "value"
    if inspect.isclass(item) and issubclass(item, (Exception, list)):
        return "class"
    given = inspect.signature(item).parameters.values()
    star = [f"*{entry.name}" for entry in given if entry.kind is entry.VAR_POSITIONAL]
    positional = [entry.name for entry in given if entry.kind is entry.POSITIONAL_OR_KEYWORD]
    by_name = [entry.name for entry in given if entry.kind is entry.KEYWORD_ONLY]
    return ", ".join([*positional, *(star or ["*"] if by_name else star), *by_name])


def commands(app=None, before=()):
    """Return the options of each command."""
    app = app or build_app()
    found: dict[str, Any] = {}
    for name in sorted(set(app) - set(HELP)):
        sub, path = app[name], (*before, name)
        if set(sub) - set(HELP):
            found |= commands(sub, path)
        else:
            found[" ".join(path)] = options(sub)
    return found


def options(command):
    """Return the names of the options, and of the arguments in capitals."""
    return sorted(name for argument in command.assemble_argument_collection() for name in argument.names)
