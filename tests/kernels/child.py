"""Solve and verify in a process of its own, whose BLAS kernel and threads the environment decides.

``python -m tests.kernels.child CASES RESULTS`` reads commands from its standard input: "solve" writes the results of
all cases to RESULTS, "verify FILE" verifies those in FILE, and prints what was refused as one line of JSON.
"""

from __future__ import annotations

import inspect
import json
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

import infimum
from infimum import errors
from infimum.problems import PROBLEMS

SOLVERS = {problem.name: problem.solve for problem in PROBLEMS}


def solve(cases: list[Any]) -> list[str | None]:
    """Results as JSON; None where the input is refused with a clear error."""
    results: list[str | None] = []
    for name, case in cases:
        solver = SOLVERS[name]
        seeded = {"rng": 0} if "rng" in inspect.signature(solver).parameters else {}
        try:
            results.append(solver(*case.inputs, **seeded, **case.options).to_json())
        except errors.FalseCertificateError as error:
            results.append(f"false: {error}")
        except errors.InfimumError:
            results.append(None)
        except Exception as error:  # a raw error is a finding, too
            results.append(f"false: {type(error).__name__}: {error}")
    return results


def verify(cases: list[Any], results: list[str | None]) -> list[tuple[int, str, str]]:
    refused = []
    for index, ((name, case), text) in enumerate(zip(cases, results, strict=True)):
        if text is None:
            continue
        try:
            infimum.verify(infimum.from_json(text), *case.inputs)
        except Exception as error:
            refused.append((index, name, text if text.startswith("false") else f"{type(error).__name__}: {error}"))
    return refused


def main() -> None:
    warnings.simplefilter("ignore")
    cases = pickle.loads(Path(sys.argv[1]).read_bytes())
    np.ones((64, 64)) @ np.ones((64, 64))  # a kernel that this processor cannot run ends the process here
    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    print(json.dumps(sorted({pool.get("architecture", "") for pool in blas})), flush=True)
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        if command == "solve":
            results = solve(cases)
            Path(sys.argv[2]).write_text(json.dumps(results))
            print(json.dumps(sum(text is not None for text in results)), flush=True)
        else:
            print(json.dumps(verify(cases, json.loads(Path(path).read_text()))), flush=True)


if __name__ == "__main__":
    main()
