"""Tests of the rooms that also hold a theorem, beside its own ``tests/theorems/test_<theorem>.py``."""

from __future__ import annotations

MORE: dict[str, list[str]] = {
    "assignment_dual": ["tests/balance/test_dual.py"],
    "column_subset": ["tests/lowrank/test_column_subset.py"],
    "product_plus_remainder": ["tests/integers/test_product_plus_remainder.py"],
}
