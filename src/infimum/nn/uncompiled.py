"""What a compiler must not look into; a module of its own, since keeping the compiler away loads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


@torch.compiler.disable  # type: ignore[untyped-decorator]
def uncompiled(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function as it is, in a break of the graph."""
    return call(*arguments)
