"""Random forgeries of all problems: 504 in `make test`, 20,016 in `make test-all`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from infimum import problems
from tests.attack import COUNTS
from tests.attack.forge import Forgery, forge
from tests.attack.honest import pool
from tests.attack.judge import accepted, judge, limited

NAMES = [problem.name for problem in problems.PROBLEMS]
FEW, MANY = 28, 1112  # forged results of a problem


def forgery(name: str, seed: int) -> Forgery:
    rng = np.random.default_rng([NAMES.index(name), seed])
    stranger = NAMES[int(rng.integers(len(NAMES)))]
    with limited():
        return forge(rng, pool(name), pool(stranger))


def attack(name: str, seeds: range) -> None:
    """Verify forged results: count the refused ones, and hold the others against the truth."""
    refused = 0
    for seed in seeds:
        forged = forgery(name, seed)
        try:
            outcome = accepted(forged.text, forged.inputs)
            if outcome is None:
                refused += 1
            else:
                judge(*outcome, forged.inputs)
        except BaseException as error:
            error.add_note(f"forgery({name!r}, {seed})")
            raise
    COUNTS[name] = (refused, len(seeds) - refused)


@pytest.mark.parametrize("name", NAMES)
def test_honest_results_are_true(name: str) -> None:
    for honest in pool(name):
        text = json.dumps(honest.document)
        outcome = accepted(text, honest.inputs)
        assert outcome is not None, "an honest result was refused"
        judge(*outcome, honest.inputs)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_believed_is_true(name: str) -> None:
    attack(name, range(FEW))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_is_believed_is_true_many_times(name: str) -> None:
    attack(name, range(FEW, FEW + MANY))
