"""``python -m benchmarks [NAME ...]``: run the named benchmark modules, or all, and store what was measured.

``python -m benchmarks compare A B`` shows what changed between two stored runs.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

import benchmarks
from benchmarks import compare, harness, machine, records, tables


def names() -> list[str]:
    """Return the modules that define ``comparisons()``."""
    found = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__"]
    return [name for name in found if hasattr(importlib.import_module(f"benchmarks.{name}"), "comparisons")]


def main() -> int:
    """Run, print, store; or compare what is stored."""
    if sys.argv[1:2] == ["compare"]:
        return compare.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmark modules (default: all)")
    parser.add_argument("--threads", type=int, default=1, help="threads of BLAS and PyTorch (default: 1)")
    parser.add_argument("--dry-run", action="store_true", help="print, but keep the stored results")
    arguments = parser.parse_args()
    known = names()
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; known: {', '.join(known)}")
    for name in arguments.names or known:
        document = measure(name, arguments.threads)
        if not arguments.dry_run:
            records.write(records.RESULTS / f"{name}.json", document)
    return 0


def measure(name: str, threads: int) -> dict[str, object]:
    """Run one benchmark module, printing each comparison as it ends."""
    setting = machine.describe(threads)
    print(f"{name}: {setting['processor']}, {setting['cores']} cores, {threads} thread(s); {setting['versions']}")
    rows = []
    for comparison in importlib.import_module(f"benchmarks.{name}").comparisons():
        rows += harness.run(comparison, threads)
        print(tables.plain(rows[-len(comparison.contenders) :]), flush=True)
    return {"name": name, "machine": setting, "rows": rows}


if __name__ == "__main__":
    sys.exit(main())
