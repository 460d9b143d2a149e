"""llama.cpp, as the package xllamacpp brings it along: its C functions, by which every token of a text is scored."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOM = 1024  # bytes for a structure of parameters that is passed on unread: more than any version takes
CONTEXT, BATCH, MICRO = range(3)  # places of the first numbers among the parameters of a context


class Parameters(ctypes.Structure):
    """Parameters of a model or a context."""

    _fields_ = (("numbers", ctypes.c_uint32 * (ROOM // 4)),)


class Batch(ctypes.Structure):
    """Tokens, and for which of them logits are wanted."""

    _fields_ = (
        ("count", ctypes.c_int32),
        ("tokens", ctypes.POINTER(ctypes.c_int32)),
        ("embeddings", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
        ("sequence_counts", ctypes.c_void_p),
        ("sequences", ctypes.c_void_p),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


class Engine:
    """A GGUF file in llama.cpp, on one thread."""

    def __init__(self, library: Path, file: Path, longest: int) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.llama_log_set(SILENT, None)
        self._model = self._call(
            "llama_model_load_from_file", ctypes.c_void_p, str(file).encode(), self._default("llama_model")
        )
        assert self._model, f"llama.cpp does not read {file}"
        parameters = self._default("llama_context")
        for place in (CONTEXT, BATCH, MICRO):
            parameters.numbers[place] = longest
        self._context = self._call("llama_init_from_model", ctypes.c_void_p, _pointer(self._model), parameters)
        assert self._context
        self._call("llama_set_n_threads", None, _pointer(self._context), ctypes.c_int32(1), ctypes.c_int32(1))
        self._vocabulary = self._call("llama_model_get_vocab", ctypes.c_void_p, _pointer(self._model))
        self._words = self._call("llama_vocab_n_tokens", ctypes.c_int32, _pointer(self._vocabulary))

    def close(self) -> None:
        """Free the memory."""
        self._call("llama_free", None, _pointer(self._context))
        self._call("llama_model_free", None, _pointer(self._model))

    def logits(self, row: Sequence[int]) -> np.ndarray:
        """Return the logits at every token of a text, (tokens, words)."""
        memory = self._call("llama_get_memory", ctypes.c_void_p, _pointer(self._context))
        if memory:
            self._call("llama_memory_clear", None, _pointer(memory), ctypes.c_bool(True))
        count = len(row)
        wanted = (ctypes.c_int8 * count)(*(1,) * count)
        batch = Batch(count, (ctypes.c_int32 * count)(*row), None, None, None, None, wanted)
        assert self._call("llama_decode", ctypes.c_int32, _pointer(self._context), batch) == 0
        found = self._call("llama_get_logits", ctypes.POINTER(ctypes.c_float), _pointer(self._context))
        return np.ctypeslib.as_array(found, (count, self._words)).copy()

    def tokenize(self, text: str) -> list[int]:
        """Return the tokens of a text, without any put before it."""
        said, most = text.encode(), 4 * len(text) + 8
        found = (ctypes.c_int32 * most)()
        arguments = said, ctypes.c_int32(len(said)), found, ctypes.c_int32(most), ctypes.c_bool(False)
        count = self._call(
            "llama_tokenize", ctypes.c_int32, _pointer(self._vocabulary), *arguments, ctypes.c_bool(False)
        )
        return list(found[:count])

    def _default(self, kind: str) -> Parameters:
        """Return the parameters that a caller starts from; llama.cpp writes as many bytes as it knows of."""
        parameters: Parameters = self._call(f"{kind}_default_params", Parameters)
        return parameters

    def _call(self, name: str, result: Any, *arguments: Any) -> Any:
        function = getattr(self._library, name)
        function.restype = result
        return function(*arguments)


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def SILENT(_level: int, _text: bytes, _data: Any) -> None:  # noqa: N802 (a constant to pass on)
    """Say nothing."""


def _pointer(address: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(address)
