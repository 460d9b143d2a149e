"""The rules of the literature on one fixed batch: how balanced, how good, how far from optimal."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from infimum._arrays import Array, ArrayLike, as_matrix, to_numpy
from infimum._display import grid
from infimum.balance.metrics import max_violation
from infimum.balance.routing import balanced_topk, routing_certificate
from infimum.balance.search.load_windows import Loads

WORK = 4e8  # entries that the updates of one rule may look at, unless the caller says how many there shall be
RULES = (
    ("none", 0.0),
    ("sign", 1e-3),
    ("rms", 1e-3),
    ("sgd", 1.0),
    ("quantile", 0.0),
    ("midpoint", 0.0),
    ("exact", 0.0),
)
COLUMNS = ("rule", "steps at most", "MaxVio", "given up", "proved unavoidable", "gap")

TEXT = """Every rule starts from a zero bias and sees this batch only. MaxVio is that of plain top-k with its bias: the
largest load over its target, less 1. Score given up, and what of it the bias proves to be unavoidable, are fractions of
the score of plain top-k without a bias, after the loads were brought within their limits."""


class RuleOutcome(NamedTuple):
    """What one rule reached, by plain top-k of scores plus bias, and by the balanced assignment repaired from that."""

    rule: str
    steps: int  # updates or sweeps at most
    max_violation: float  # of plain top-k with the bias: (largest load - target) / target, over all experts
    given_up: float  # by the balanced assignment, as a fraction of the score of plain top-k without a bias
    unavoidable: float  # the part of it that the bias proves no assignment can avoid

    @property
    def gap(self) -> float:
        """What a better assignment might still save, as that fraction."""
        return self.given_up - self.unavoidable


class RuleComparison(list[RuleOutcome]):
    """What every rule reached on one batch: a list of `RuleOutcome`, shown as a table."""

    def rows(self) -> list[list[str]]:
        """Return the cells of the table as text, one list for each rule, under `COLUMNS`."""
        return [
            [
                row.rule,
                str(row.steps or "–"),
                f"{row.max_violation:.4f}",
                f"{row.given_up:.4%}",
                f"{row.unavoidable:.4%}",
                f"{row.gap:.1e}",
            ]
            for row in self
        ]

    def __repr__(self) -> str:
        table = [list(COLUMNS), *self.rows()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        cells = ([f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)] for row in table)
        return "\n".join("  ".join(row) for row in cells)

    def _repr_html_(self) -> str:
        return grid(COLUMNS, self.rows())


def compare_rules(scores: ArrayLike, k: int, *, load: Loads | None = None, steps: int | None = None) -> RuleComparison:
    """Run every rule on a batch of scores, from a zero bias.

    Parameters
    ----------
    scores, k, load
        As in `balanced_topk`.
    steps : int, optional
        Updates of the rules at most: 1000, or fewer for large batches, unless given. Sweeps: a tenth of it.

    Returns
    -------
    RuleComparison
        A list of `RuleOutcome`, shown as a table: for "none" (no bias), "sign" and "rms" (rate 1e-3), "sgd" (rate 1),
        "quantile" as published, "midpoint" and "exact".

    Examples
    --------
    >>> import numpy as np, infimum
    >>> scores = np.random.default_rng(0).random((256, 8)) + np.linspace(0, 0.2, 8)
    >>> for row in infimum.balance.compare_rules(scores, 2, steps=100)[::6]:
    ...     print(f"{row.rule:6s} {row.max_violation:.2f}")
    none   0.48
    exact  0.00
    """
    scores = as_matrix(scores, "scores", besides=-np.inf)
    size = int(np.prod(scores.shape))
    if steps is None:
        steps = int(min(1000, max(20, WORK // size)))
    rows = RuleComparison()
    for rule, rate in RULES:
        count = 0 if rule in ("none", "exact") else steps if rate else max(2, steps // 10)
        method: Any = "sign" if rule == "none" else rule  # no step of it
        result = balanced_topk(scores, k, load=load, method=method, steps=count, rate=rate)
        routed = routing_certificate(scores, result.bias, k, load)
        free = result.score + result.certificate.value
        target = to_numpy(result.load).mean(axis=0)
        share = abs(free) or 1.0
        certificate = result.certificate
        rows.append(
            RuleOutcome(
                rule,
                count,
                max_violation(routed.loads, load=target) if target.min() > 0 else float("nan"),
                certificate.value / share,
                certificate.lower_bound / share,
            )
        )
    return rows


def table(result: Any, scores: Array) -> dict[str, Any]:
    """Return the comparison as a table for the report."""
    rows = compare_rules(scores, int(result.experts.shape[1]), load=to_numpy(result.load))
    return {
        "title": "The rules on these scores",
        "text": TEXT,
        "columns": list(COLUMNS),
        "rows": rows.rows(),
    }
