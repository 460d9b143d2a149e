"""Rounding to few bits as others do it: to nearest and GPTQ, which the demo has too, and the block types of GGUF."""

from __future__ import annotations

import numpy as np

from infimum.cli.uniform_rounding import BITS, DAMPING, GROUPS, Width, gptq, round_to_nearest, widths

__all__ = ["BITS", "DAMPING", "GGUF_TYPES", "GROUPS", "Width", "gguf", "gptq", "round_to_nearest", "widths"]

GGUF_TYPES = {"Q4_0": 4.5, "Q4_1": 5.0, "Q5_0": 5.5, "Q5_1": 6.0, "Q8_0": 8.5}  # bits a weight


def gguf(W: np.ndarray, kind: str) -> np.ndarray:
    """Round as llama.cpp does to a block type, by the quantiser of the package `gguf`."""
    from gguf import GGMLQuantizationType, quants

    of = GGMLQuantizationType[kind]
    return quants.dequantize(quants.quantize(W.astype(np.float32), of), of).astype(np.float64)
