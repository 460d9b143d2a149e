"""Putting a mutant in place of a loaded module, function by function, so that whoever imported them sees it."""

from __future__ import annotations

import ast
import sys
import types
from typing import Any


def install(module: types.ModuleType, tree: ast.Module) -> None:
    """Give the functions of a module the code, and its constants the values, of a changed one."""
    changed = types.ModuleType(module.__name__)
    changed.__file__, changed.__package__ = module.__file__, module.__package__
    exec(compile(tree, str(module.__file__), "exec"), changed.__dict__)
    importers = [item for item in sys.modules.values() if isinstance(item, types.ModuleType)]
    for name, new in changed.__dict__.items():
        old = module.__dict__.get(name)
        if name.startswith("__") or getattr(old, "__module__", module.__name__) != module.__name__:
            continue
        if isinstance(old, types.FunctionType):
            _exchange(old, new)
        elif isinstance(old, type):
            _exchange_methods(old, new)
        elif isinstance(old, bool | int | float) and old != new:
            for importer in importers:
                if importer.__dict__.get(name) is old:
                    importer.__dict__[name] = new


def _exchange(old: types.FunctionType, new: types.FunctionType) -> None:
    old = _plain(old)
    new = _plain(new)
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def _plain(function: Any) -> Any:
    """Look below decorators that keep what they wrap."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _exchange_methods(old: type, new: type) -> None:
    for name, item in new.__dict__.items():
        before = old.__dict__.get(name)
        for kind in ("fget", "__func__"):
            item, before = getattr(item, kind, item), getattr(before, kind, before)
        functions = isinstance(before, types.FunctionType) and isinstance(item, types.FunctionType)
        if functions and before.__code__.co_filename == item.__code__.co_filename:  # not what a decorator has made up
            _exchange(before, item)
