"""Tables in use: what their authors claim of them holds, and some are improved at equal cost."""

import json
import math
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from infimum import minimax

ROWS = {
    row["name"]: row
    for row in json.loads((files("infimum") / "data" / "tables-in-use.json").read_text(encoding="utf-8"))
}
CLAIMED = {  # base-2 logarithms of the errors that comments in the sources give
    "sin, double": -57.8,
    "sin, float": -37.4,
    "cos, float": -34.1,
    "tan, float": -25.5,
    "exp, double": -58.7,
    "exp, float": -27.7,
    "log, double": -58.4,
    "log, float": -34.2,
}


def options(row) -> dict[str, Any]:
    tables = row["tables"]
    if row["dtype"]:
        tables = {name: np.asarray(table, dtype=row["dtype"]) for name, table in tables.items()}
    return {"relative": row["relative"], "tables": tables}


@pytest.mark.parametrize("name", CLAIMED)
def test_what_authors_claim_holds(name):
    row = ROWS[name]
    value = minimax.sup_norm(row["p"], row["f"], row["domain"], **options(row))[1]
    assert math.log2(value) == pytest.approx(CLAIMED[name], abs=0.2)


@pytest.mark.parametrize("name", ["exp, float", "expf", "exp2f", "sinf", "cosf", "exp2 of attention"])
def test_tables_are_improved_at_equal_cost(name):
    row = ROWS[name]
    found = minimax.check(row["p"], row["f"], row["domain"], fixed=row["fixed"], **options(row))
    fixed = dict(row["given"])
    better = minimax.rounded(
        row["f"],
        None,
        row["domain"],
        dtype=row["dtype"],
        system=row["powers"],
        fixed=fixed,
        relative=row["relative"],
    )
    assert better.certificate.value < found.certificate.value
    assert better.certificate.lower_bound == pytest.approx(found.certificate.lower_bound, rel=1e-5)


def test_there_are_enough_of_them():
    assert len(ROWS) >= 25
    assert all(row["source"] and row["domain"][0] < row["domain"][1] for row in ROWS.values())
