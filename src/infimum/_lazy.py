"""Packages whose public names load on first use (PEP 562), one thread after the other."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

# One lock for all packages: modules of SciPy that import each other in a circle are seen half done by a second thread.
_loading = threading.RLock()


def attach(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package, from the module in which each of its public names stands.

    A name that stands for a module has that module itself as its home.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with _loading:
            home = importlib.import_module(homes[name])
        value = home if homes[name] == f"{package}.{name}" else getattr(home, name)
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: sorted(homes)
