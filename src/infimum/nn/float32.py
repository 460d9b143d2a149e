"""Buffers that keep float32 when a model is moved to 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch


class Float32Buffers(torch.nn.Module):
    """Abstract base: the buffers named in `float32_buffers` change their device in ``.to(...)``, never their digits.

    Those of a 16-bit checkpoint are widened, also where ``assign=True`` puts them in place of the module's own.
    """

    float32_buffers: ClassVar[tuple[str, ...]] = ()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        kept = {name: getattr(self, name) for name in self.float32_buffers}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, before in kept.items():
            after = getattr(self, name)
            if after.dtype != torch.float32:
                setattr(self, name, before.to(after.device, torch.float32))
        return self

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        super()._load_from_state_dict(*arguments, **options)
        for name in self.float32_buffers:  # load_state_dict(assign=True) takes the checkpoint's own
            setattr(self, name, getattr(self, name).float())
