"""Markdown tables of the stored figures of models, for the terminal and for the documentation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]


def perplexities(document: Document) -> str:
    """Return the table of perplexities, and that of our certificates."""
    rows = document["rows"]
    fractions = sorted({row["remove"] for row in rows if row["remove"]})
    methods = list(dict.fromkeys(row["method"] for row in rows))
    texts = list(document["held_out"])
    dense = next(row for row in rows if row["method"] == "dense")
    lines = _table(["perplexity on " + " / ".join(texts), *(f"{fraction:.0%}" for fraction in fractions)])
    lines.append(_line(["dense", *[_both([dense], texts)] * len(fractions)]))
    for method in methods:
        if method != "dense":
            found = [[r for r in rows if (r["method"], r["remove"]) == (method, f)] for f in fractions]
            lines.append(_line([method, *(_both(of, texts) if of else "" for of in found)]))
    certified = sorted((row for row in rows if "error" in row and row["method"] == "infimum"), key=_budget)
    lines += ["", *_table(["removed", "seed", "perplexity", "modelled increase", "lower bound", "gap / increase"])]
    for row in certified:
        gap = (row["error"] - row["lower_bound"]) / row["error"]
        figures = (f"{row['error']:.5f}", f"{row['lower_bound']:.5f}", f"{gap:.1e}")
        removed = f"{row['removed'] / document['linear_weights']:.1%}"
        lines.append(_line([removed, str(row["seed"]), _both([row], texts), *figures]))
    return _page(document, lines)


def _budget(row: Mapping[str, Any]) -> tuple[float, int]:
    return row["remove"], row["seed"]


def _both(rows: Sequence[Mapping[str, Any]], texts: Iterable[str]) -> str:
    """Return the figures on all texts; of several seeds the least and the greatest."""
    return " / ".join(_spread([row["perplexity"][text] for row in rows], ".3g") for text in texts)


def similarities(document: Document) -> str:
    """Return the table of cosine similarities of an encoder's embeddings."""
    rows = document["rows"]
    fractions = sorted({row["remove"] for row in rows})
    lines = _table(["mean / least cosine", *(f"{fraction:.0%}" for fraction in fractions)])
    for method in dict.fromkeys(row["method"] for row in rows):
        found = {row["remove"]: row for row in rows if row["method"] == method}
        figures = [f"{found[f]['mean_cosine']:.4f} / {found[f]['least_cosine']:.3f}" for f in fractions]
        lines.append(_line([method, *figures]))
    return _page(document, lines)


def speeds(document: Document) -> str:
    """Return the table of times and memory."""
    lines = _table(["form", "removed", "weights", "512 tokens", "times faster", "one token", "times faster"])
    for row in document["rows"]:
        times = [cell for task in ("passage", "token") for cell in _times(row[task])]
        lines.append(_line([row["form"], f"{row['remove']:.0%}", f"{row['bytes'] / 1e6:.0f} MB", *times]))
    return _page(document, lines)


def _times(task: Mapping[str, Any]) -> tuple[str, str]:
    seconds, ratio = task["seconds"], task["speedup"]
    return (
        f"{1e3 * seconds['median']:.3g} ms",
        f"{ratio['median']:.2f} ({ratio['q1']:.2f} to {ratio['q3']:.2f})",
    )


def steps(document: Document) -> str:
    """Return the table of what a training step pays: medians of interleaved ratios, with the lowest and highest."""
    lines = _table(["what", "ratio", "seconds"])
    for row in document["rows"]:
        ratio = f"{row['ratio']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})"
        lines.append(_line([row["what"], ratio, f"{row['seconds']:.3g}"]))
    return _page(document, lines)


def few_bits(document: Document) -> str:
    """Return the table of methods at equal bytes: cosines of an encoder, what a language model loses in nats."""
    rows = document["rows"]
    dense = next(row for row in rows if row["method"] == "dense")
    budgets = sorted({row["bits"] for row in rows if row["bits"]}, reverse=True)
    encoder = "mean_cosine" in dense
    texts = [] if encoder else list(document["held_out"])
    what = "mean / least cosine" if encoder else "ln(perplexity / dense) on " + " / ".join(texts)
    lines = _table([what, *(f"{bits:g} bits" for bits in budgets)])
    for method in dict.fromkeys(row["method"] for row in rows if row is not dense):
        of = [[row for row in rows if (row["method"], row["bits"]) == (method, bits)] for bits in budgets]
        cells = [(_similar(found) if encoder else _excess(found, dense, texts)) + _used(found) for found in of]
        lines.append(_line([method, *cells]))
    if not encoder:
        lines += ["", "Dense: perplexity " + " / ".join(f"{dense['perplexity'][text]:.2f}" for text in texts) + "."]
    return _page(document, lines)


def judged_errors(document: Document) -> str:
    """Return what one half of the text made, measured by either half and on held-out text, and how the orders agree."""
    rows = sorted(document["rows"], key=lambda row: -row["mean_cosine"])
    quality = [1.0 - row["mean_cosine"] for row in rows]
    lines = _table(["made by one half", "error, that half", "error, other half", "mean cosine", "least"])
    for row in rows:
        errors = (f"{row['made']:.4f}", f"{row['judged']:.4f}")
        lines.append(_line([row["way"], *errors, f"{row['mean_cosine']:.4f}", f"{row['least_cosine']:.3f}"]))
    agreement = [f"{_rank_correlation([row[half] for row in rows], quality):.3f}" for half in ("made", "judged")]
    return _page(document, [*lines, _line([f"rank correlation over {len(rows)}", *agreement, "", ""])])


def _rank_correlation(values: Sequence[float], others: Sequence[float]) -> float:
    """Return Spearman's coefficient; no two values are equal here, which are measured and not counted."""
    ranks = [[sorted(column).index(value) for value in column] for column in (values, others)]
    n = len(values)
    return 1.0 - 6.0 * sum((a - b) ** 2 for a, b in zip(*ranks, strict=True)) / (n * (n * n - 1))


def _similar(rows: Sequence[Mapping[str, Any]]) -> str:
    means, least = ([row[name] for row in rows if name in row] for name in ("mean_cosine", "least_cosine"))
    return f"{_spread(means, '.4f')} / {_spread(least, '.3f')}" if means else ""


def _excess(rows: Sequence[Mapping[str, Any]], dense: Mapping[str, Any], texts: Iterable[str]) -> str:
    """Return what is lost on each text; of several seeds the least and the greatest."""
    losses = [row["perplexity"] for row in rows if "perplexity" in row]
    lost = ([math.log(loss[text] / dense["perplexity"][text]) for loss in losses] for text in texts)
    return " / ".join(_spread(values, ".3f") for values in lost) if losses else ""


def _used(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what was used of a budget, where it is less: a method of few sizes has none that fits."""
    if not rows or rows[0]["used"] > 0.98 * rows[0]["bits"]:
        return ""
    return f" ({rows[0]['used']:.2f})"


def _spread(values: Sequence[float], form: str) -> str:
    low, high = (format(value, form) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


TABLES: dict[str, Callable[[Document], str]] = {
    "compress": similarities,
    "few_bits_minilm": few_bits,
    "few_bits_smollm2": few_bits,
    "judged_errors": judged_errors,
    "language_models": perplexities,
    "model_speed": speeds,
    "steps": steps,
}


def pages(folder: Path) -> dict[str, str]:
    """Return the Markdown of every stored document, by its name."""
    documents = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json")))
    return {document["name"]: TABLES[document["name"]](document) for document in documents}


def _page(document: Document, lines: Iterable[str]) -> str:
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    when = f"{machine['date']}, commit {machine['commit']}"
    setting = f"{when}; {machine['processor']}, {machine['threads']} thread(s); {versions}."
    setting = f"{document['model']}; {setting}" if "model" in document else setting
    return "\n".join([*lines, "", setting, ""])


def _table(header: Sequence[str]) -> list[str]:
    return [_line(header), "|---|" + "--:|" * (len(header) - 1)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
