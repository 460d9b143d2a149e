"""The report of a schedule's memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from infimum.memory import MemoryReport
from infimum.proof.theorems import unrolling
from infimum.report import plain_text


def drawings(measured: MemoryReport) -> dict[str, Callable[[Any], Any]]:
    """Return the pictures by name, as functions that draw on axes."""
    return {
        "weights": measured.plot,
        "cumulative": measured.plot_cumulative,
        "schedule": measured.plot_schedule,
        "rms": measured.plot_rms,
    }


def content(measured: MemoryReport, source: str = "") -> dict[str, Any]:
    """Gather what the report says, as plain data."""
    return {
        "source": source,
        "steps": measured.steps,
        "initial_share": measured.initial_share,
        "effective": measured.effective_batches / measured.steps,
        "period": measured.period(),
        "total_variation": measured.total_variation,
        **json.loads(measured.to_json()),
        "theorem_page": plain_text.theorem_page(unrolling.THEOREM),
        "theorem_name": unrolling.THEOREM,
        "versions": plain_text.versions("numpy"),
    }
