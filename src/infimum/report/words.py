"""Numbers and certificates in words: the same sentences on the terminal and in the reports."""

from __future__ import annotations

import dataclasses
import math
import platform
from importlib import metadata
from typing import Any

import numpy as np

from infimum._arrays import is_array, to_numpy
from infimum.proof.certificate import Certificate
from infimum.proof.result import Result

RIGOUR = {
    "exact": "exact: integers, rationals or an identity, no rounding anywhere",
    "enclosed": "enclosed: every rounding was taken outwards (ball arithmetic)",
    "rounded": "rounded: a deterministic theorem in floating point, less a stated allowance for rounding",
    "probable": "probable: true with the stated confidence, over random draws that are independent of the input",
}


def number(value: float) -> str:
    """Six significant digits; whole numbers in full."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def ratio(certificate: Certificate) -> str:
    """Value over lower bound, with the distance from 1 where six digits do not show it."""
    excess = certificate.ratio - 1.0
    if math.isinf(excess):
        return "unbounded"
    return f"1 + {excess:.1e}" if 0.0 < excess < 1e-4 else f"{certificate.ratio:.6g}"


def rigour(certificate: Certificate) -> str:
    """Name the rigour of a certificate, with its confidence where that is below 1."""
    if certificate.confidence == 1.0:
        return certificate.rigour
    return f"{certificate.rigour}, confidence 1 - {1.0 - certificate.confidence:.0e}"


def claim(certificate: Certificate) -> str:
    """Say in one or two sentences what the certificate proves."""
    value, bound, gap = certificate.value, certificate.lower_bound, certificate.gap
    reached = f"The answer reaches {number(value)}."
    if gap == 0:
        return f"{reached} No admissible answer can be better: it is an optimum."
    if bound == 0:
        return f"{reached} No better lower bound than the trivial one, 0, could be proved."
    share = gap / abs(value)
    chance = "" if certificate.confidence == 1.0 else f"With probability 1 - {1.0 - certificate.confidence:.0e}, "
    nobody = f"{chance}{'no' if chance else 'No'} admissible answer can be better"
    if share < 1e-9 and isinstance(gap, float):
        return f"{reached} {nobody} by more than {share:.1e} of that: optimal up to rounding."
    return (
        f"{reached} {nobody} than {number(bound)}: "
        f"at most {number(gap)} ({100 * share:.3g} % of the value) could still be gained."
    )


def answer(result: Result) -> str:
    """Describe the answer in one line: numbers and short vectors as they are, larger arrays by their size."""
    fields = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if f.name != "certificate"}
    return "; ".join(f"{name} {_item(item)}" for name, item in fields.items() if item is not None)


def _item(item: Any) -> str:
    if is_array(item):
        item = to_numpy(item)
    elif isinstance(item, list | tuple) and item and all(isinstance(entry, list | tuple) for entry in item):
        shown = ", ".join(str(tuple(entry)) for entry in item[:6])
        return shown if len(item) <= 6 else f"{shown}, ... ({len(item)} in all)"
    elif isinstance(item, list | tuple):
        item = np.asarray(item, dtype=None if all(isinstance(entry, int | float) for entry in item) else object)
    if not isinstance(item, np.ndarray):
        return number(item) if isinstance(item, int | float) and not isinstance(item, bool) else str(item)
    if item.ndim == 1 and item.dtype.kind in "iuf" and item.size:
        shown = ", ".join(f"{entry:.4g}" if item.dtype.kind == "f" else str(entry) for entry in item[:6])
        return f"[{shown}]" if item.size <= 6 else f"[{shown}, ...] ({item.size} in all)"
    return f"({' x '.join(map(str, item.shape))})"


def versions(*packages: str) -> dict[str, str]:
    """Versions of infimum, the packages named, Python and the platform."""
    found = {name: metadata.version(name) for name in ("infimum", *packages)}
    return {**found, "python": platform.python_version(), "platform": platform.platform(terse=True)}


def size(count: float) -> str:
    """Bytes in a unit that reads well (powers of 1000)."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"


def short_kind(kind: str) -> str:
    """Leave out of the name of a kind of layer what stands before the number of its block."""
    return kind.partition("*.")[2] or kind
