"""Draws that judge a claim follow from what was chosen, bit by bit, or are drawn anew."""

import numpy as np
import pytest
import torch

from infimum.proof import draws

BASIS = np.arange(6.0).reshape(3, 2)


def first(*choice, rng=None):
    return draws.generator(rng, *choice).standard_normal(4).tolist()


def test_the_same_choice_meets_the_same_draws_in_every_library():
    assert first(BASIS, 1e-6) == first(BASIS.copy(order="F"), 1e-6) == first(torch.asarray(BASIS), 1e-6)


@pytest.mark.parametrize(
    "other",
    [
        (np.nextafter(BASIS, 9.0), 1e-6),
        (BASIS.reshape(2, 3), 1e-6),
        (BASIS.astype(np.float32), 1e-6),
        (np.where(BASIS == 0.0, -0.0, BASIS), 1e-6),
        (BASIS, 1e-7),
        (BASIS, 1e-6, 3),
    ],
)
def test_another_choice_meets_other_draws(other):
    assert first(*other) != first(BASIS, 1e-6)


def test_kinds_of_numbers_count():
    assert len({draws.digest(item) for item in (1, 1.0, "1", True)}) == 4


def test_a_verifier_draws_anew():
    assert first(BASIS, rng=1) == first(rng=1) != first(BASIS)
