"""What the figures were measured on."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import threadpoolctl

PACKAGES = ("infimum", "numpy", "scipy", "torch", "scikit-learn", "fbpca", "dask")


def describe(threads: int) -> dict[str, object]:
    """Return the date, the commit, the machine, the versions and the number of threads."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    blas = {f"{pool['internal_api']} {pool.get('version') or ''}".strip() for pool in threadpoolctl.threadpool_info()}
    return {
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "blas": sorted(blas),
        "versions": versions,
    }


def _commit() -> str:
    """Return the commit of the code, "-dirty" where files were changed since; "unknown" outside of a repository."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    description = Path("/proc/cpuinfo")
    if description.exists():
        for line in description.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
