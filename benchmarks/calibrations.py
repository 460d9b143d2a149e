"""Calibrations, which take minutes, kept between runs of a benchmark."""

from __future__ import annotations

import dataclasses
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

from infimum.compress import Moments
from infimum.compress.measure.moments import LayerMoments, MomentShelf


def kept(path: Path, calibrate: Callable[[], Moments]) -> Moments:
    """Calibrate, or read what an earlier run has left at `path`."""
    if not path.exists():
        start = time.perf_counter()
        moments = calibrate()
        print(f"calibrated on {moments.tokens.count} tokens in {time.perf_counter() - start:.0f} s", flush=True)
        judge = None if moments.judge is None else dict(moments.judge)
        draft = path.with_suffix(".tmp")
        with draft.open("wb") as handle:
            pickle.dump(dataclasses.replace(moments, layers=dict(moments.layers), judge=judge), handle)
        os.replace(draft, path)
        return moments
    with path.open("rb") as handle:
        found: Moments = pickle.load(handle)
    judge = None if found.judge is None else _shelf(found.judge)
    return dataclasses.replace(found, layers=_shelf(found.layers), judge=judge)


def _shelf(layers: dict[str, LayerMoments]) -> MomentShelf:
    shelf = MomentShelf()
    shelf.add(layers)
    return shelf
