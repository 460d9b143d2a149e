"""Fields of svd, interpolative and cur that are not what they should be are refused, in memory and from JSON."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import infimum
from infimum.errors import FileFormatError, VerificationError
from tests.accepted import accepted

M = np.random.default_rng(0).standard_normal((9, 7))
RESULTS: dict[str, Any] = {
    "svd": infimum.lowrank.svd(M, 3),
    "interpolative": infimum.lowrank.interpolative(M, 3),
    "rows": infimum.lowrank.interpolative(M, 3, axis=0),
    "cur": infimum.lowrank.cur(M, rows=2, columns=3),
}
SWAP = [1, 0, 2]
CHANGES = [
    ("svd", {"s": RESULTS["svd"].s[SWAP], "U": RESULTS["svd"].U[:, SWAP], "Vh": RESULTS["svd"].Vh[SWAP]}),
    ("svd", {"s": -RESULTS["svd"].s, "U": -RESULTS["svd"].U}),
    ("svd", {"s": RESULTS["svd"].s + 0j}),
    ("svd", {"s": RESULTS["svd"].s[:, None]}),
    ("svd", {"U": RESULTS["svd"].U + 1e-3j}),
    ("svd", {"U": RESULTS["svd"].U * 2.0, "s": RESULTS["svd"].s / 2.0}),
    ("svd", {"U": RESULTS["svd"].U[:, :2]}),
    ("svd", {"Vh": RESULTS["svd"].Vh.T}),
    ("svd", {"Vh": None}),
    ("svd", {"s": np.array([1, 1, 1])}),
    ("interpolative", {"columns": RESULTS["interpolative"].columns.astype(float)}),
    ("interpolative", {"columns": RESULTS["interpolative"].columns - 7}),
    ("interpolative", {"columns": RESULTS["interpolative"].columns[[0, 0, 1]]}),
    ("interpolative", {"columns": RESULTS["interpolative"].columns[SWAP]}),
    ("interpolative", {"columns": RESULTS["interpolative"].columns > 2}),
    ("interpolative", {"columns": None}),
    ("interpolative", {"rows": np.arange(3)}),
    ("interpolative", {"skeleton": RESULTS["interpolative"].skeleton + 1j}),
    ("interpolative", {"skeleton": RESULTS["interpolative"].skeleton.astype(np.float32)}),
    ("interpolative", {"coefficients": RESULTS["interpolative"].coefficients + 1e-9j}),
    ("interpolative", {"coefficients": RESULTS["interpolative"].coefficients[:, :1]}),
    ("rows", {"coefficients": RESULTS["rows"].coefficients[:1]}),
    ("rows", {"skeleton": RESULTS["rows"].skeleton[:, ::-1]}),
    ("cur", {"core": RESULTS["cur"].core.T}),
    ("cur", {"core": RESULTS["cur"].core + 1e-3j}),
    ("cur", {"core": RESULTS["cur"].core[:1, :1]}),
    ("cur", {"rows": RESULTS["cur"].rows[::-1]}),
    ("cur", {"rows": RESULTS["cur"].columns}),
    ("cur", {"C": RESULTS["cur"].C * 2.0, "core": RESULTS["cur"].core / 2.0}),
    ("cur", {"R": None}),
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CHANGES)])
def test_changed_fields_are_refused(name, change):
    forged = dataclasses.replace(RESULTS[name], **change)
    with pytest.raises(VerificationError):
        infimum.verify(forged, M)
    with pytest.raises((VerificationError, FileFormatError)):
        infimum.verify(infimum.from_json(forged.to_json()), M)


def test_honest_ones_are_accepted():
    for result in RESULTS.values():
        accepted(result, M)
        accepted(infimum.from_json(result.to_json()), M)
