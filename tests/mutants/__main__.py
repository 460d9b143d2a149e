"""``python -m tests.mutants [theorem ...]``: which mutants of the theorems no test notices."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # before NumPy is loaded: a fork keeps no threads
    os.environ[name] = "1"

from tests.mutants.driver import Outcome, run  # noqa: E402
from tests.mutants.table import MORE  # noqa: E402

ROOT = Path(__file__).parents[2]
THEOREMS = ROOT / "src" / "infimum" / "proof" / "theorems"
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
GOAL = 0.95


def equivalent(theorem: str) -> set[tuple[str, str]]:
    """Read the listed changes that change nothing that a test could see, or that cost time alone."""
    found, here, before = set(), "", ""
    for line in EQUIVALENT.read_text().splitlines():
        if line.startswith("["):
            here = line.strip("[]")
        elif line.startswith("- "):
            before = line[2:]
        elif line.startswith("+ ") and here == theorem:
            found.add((before, line[2:]))
    return found


def show(outcome: Outcome) -> float:
    """Print what became of the mutants of a theorem; return the share that was noticed."""
    noticed = len(outcome.killed) + len(outcome.endless)
    real = noticed + len(outcome.survived)
    share = noticed / real if real else 0.0
    print(
        f"{outcome.theorem}: {real + len(outcome.equivalent)} mutants, {len(outcome.equivalent)} equivalent, "
        f"{noticed} killed ({len(outcome.endless)} by the time limit), {len(outcome.survived)} survive: {share:.1%} "
        f"({outcome.tests} tests, {outcome.seconds:.0f} s)"
    )
    for mutant in outcome.survived:
        print(f"  line {mutant.line}\n- {mutant.before}\n+ {mutant.after}")
    sys.stdout.flush()
    return share


def main() -> int:
    """Run the mutants of the named theorems, or of all; fail below the goal."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("theorems", nargs="*", help="names of theorems (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--own", action="store_true", help="only the theorem's own tests")
    options = parser.parse_args()
    names = options.theorems or sorted(path.stem for path in THEOREMS.glob("[!_]*.py"))
    shares = {}
    for name in names:
        own = [f"tests/theorems/test_{name}.py"]
        paths = [path for path in own + ([] if options.own else MORE.get(name, [])) if Path(path).exists()]
        shares[name] = show(run(name, paths, equivalent(name), options.jobs)) if paths else 0.0
    short = [name for name, share in shares.items() if share < GOAL]
    print(f"below {GOAL:.0%}: {', '.join(short) or 'none'}")
    return len(short) > 0


if __name__ == "__main__":
    sys.exit(main())
