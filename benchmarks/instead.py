"""When to use a peer instead: where one is faster, or good enough, with the figures of the stored results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tables import quality_text


class Case(NamedTuple):
    """A case for a peer: what it is called, when to use it, and the comparison in the stored results that shows it."""

    peer: str
    when: str
    file: str
    problem: str
    input: str
    task: str
    contender: str


CASES = (
    Case(
        "`torch.svd_lowrank` with `q = rank + 10`",
        "a low-rank approximation 0.2 to 4 % above the optimum will do, unproved",
        *("lowrank", "svd", "slow 4000 x 3000 float64", "rank 50", "torch.svd_lowrank, q=k+10"),
    ),
    Case(
        '`scipy.sparse.linalg.svds(solver="propack")`',
        "single precision, a small rank, exact to rounding, no proof",
        *("lowrank", "svd", "kernel 1797 x 1797 float32", "rank 50", "scipy svds, propack"),
    ),
    Case(
        "`numpy.linalg.pinv`",
        "the rank is not in doubt: it returns the same matrix, without the proof",
        *("lowrank", "pinv", "rank-deficient 800 x 400 float64", "default cut", "numpy.linalg.pinv"),
    ),
    Case(
        "`sklearn.kernel_approximation.Nystroem`",
        "many cheap features: uniform landmarks, an error about a fifth larger",
        *("lowrank", "nystrom", "Gaussian kernel of 1797 digits", "50 landmarks", "sklearn Nystroem"),
    ),
    Case(
        "`scipy.linalg.interpolative.interp_decomp`",
        "a small matrix, columns up to 10 % worse",
        *("columns", "interpolative", "image 427 x 640 float64", "rank 50", "scipy interp_decomp, rand=False"),
    ),
    Case(
        "`scipy.linalg.qr(pivoting=True)`",
        "the columns alone, of a matrix that one factorisation can afford",
        *("columns", "interpolative", "mlp weight 1536 x 384 float64", "rank 200", "scipy qr(pivoting=True)"),
    ),
    Case(
        "the terms of largest `norm(x) * norm(y)`",
        "a product from a part of its terms at once, in a loop, say",
        *("columns", "cr", "Gaussian 500 x 300 x 400", "150 of 300 terms", "norm rule"),
    ),
    Case(
        "`scipy.optimize.linear_sum_assignment`",
        "one column for each of fewer than about 100 rows, again and again, and the permutation is all you want",
        *("balance", "assign", "distances 64 x 64", "least total", "scipy linear_sum_assignment"),
    ),
    Case(
        "pm-remez (Rust)",
        "a polynomial in double precision, unproved, errors well above rounding",
        *("minimax", "minimax", "gelu(x) on [-8, 8]", "degree 20", "pm-remez (Rust)"),
    ),
    Case(
        "interpolation at Chebyshev points",
        "about twice the least error will do",
        *("minimax", "minimax", "sigmoid(x) on [-8, 8]", "degree 40", "numpy, Chebyshev interpolation"),
    ),
    Case(
        "the search over b of {post}`9775`, in NumPy",
        "n = ab + c for single numbers up to 10^12",
        *("integers", "split", "200 random numbers from 10^12", "", "post 9775, NumPy"),
    ),
)
HEADER = ("instead of ours", "when", "time ratio", "error / floor", "ours", "measured on")


def found(case: Case, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the stored row of the peer, and of ours in the same comparison; the task may be given by its beginning."""
    rows = json.loads((folder / f"{case.file}.json").read_text(encoding="utf-8"))["rows"]
    same = [row for row in rows if (row["problem"], row["input"]) == (case.problem, case.input)]
    same = [row for row in same if row["task"].startswith(case.task)]
    (peer,) = (row for row in same if row["contender"] == case.contender)
    return peer, same[0]


def markdown(folder: Path) -> str:
    """Return the table; ours is the first row of each comparison."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---|--:|--:|--:|---|"]
    for case in CASES:
        peer, ours = found(case, folder)
        figures = f"{peer['time_ratio']['median']:.2g}", quality_text(peer), quality_text(ours)
        place = f"{case.problem}: {case.input}" + (f", {case.task}" if case.task else "")
        lines.append("| " + " | ".join((case.peer, case.when, *figures, place)) + " |")
    return "\n".join(lines) + "\n"
