"""What a stranger brings along is asked for its kind, shape and range before it is used."""

import numpy as np
import pytest
import torch

from infimum.errors import VerificationError
from infimum.proof import evidence

NO_NUMBERS = [True, np.True_, 1j, "1", None, [1.0], np.array(1.0), float("nan"), float("inf"), -float("inf"), 10**400]


@pytest.mark.parametrize("item", NO_NUMBERS, ids=repr)
def test_what_is_no_real_number_is_refused(item):
    with pytest.raises(VerificationError, match="mu must be a"):
        evidence.number("mu", item)


@pytest.mark.parametrize(
    ("limits", "inside", "outside"),
    [
        ({"least": 0.0}, 0.0, -5e-324),
        ({"above": 0.0}, 5e-324, 0.0),
        ({"most": 1.0}, 1.0, np.nextafter(1.0, 2.0)),
        ({"below": 1.0}, np.nextafter(1.0, 0.0), 1.0),
    ],
)
def test_ends_of_a_range_belong_to_it_or_not(limits, inside, outside):
    assert evidence.number("share", inside, **limits) == inside
    with pytest.raises(VerificationError, match="share must be a finite number"):
        evidence.number("share", outside, **limits)


@pytest.mark.parametrize("item", [True, 1.0, "1", None, np.float64(2.0), -1, 11, 2**70])
def test_what_is_no_whole_number_of_the_range_is_refused(item):
    with pytest.raises(VerificationError, match="nodes must be"):
        evidence.whole("nodes", item, least=0, most=10)


def test_whole_numbers_become_those_of_python():
    assert type(evidence.whole("nodes", np.uint8(10), least=0, most=10)) is int


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (np.zeros((3, 1)), "real"),  # would broadcast
        (np.zeros(3), "real"),
        (np.zeros((3, 2), dtype=complex), "real"),
        (np.zeros((3, 2), dtype=bool), "real"),
        (np.zeros((3, 2), dtype=np.int64), "real"),
        (np.zeros((3, 2), dtype=object), "real"),
        (np.full((3, 2), np.nan), "real"),
        (np.full((3, 2), 1j * np.inf), "complex"),
        (np.zeros((3, 2)), "integer"),
        (np.zeros((3, 2), dtype=bool), "integer"),
        (np.ma.masked_array(np.zeros((3, 2)), mask=True), "real"),
        ([[0.0, 0.0]] * 3, "real"),
        (None, "real"),
    ],
)
def test_arrays_of_another_shape_or_kind_are_refused(item, kind):
    with pytest.raises(VerificationError, match="basis"):
        evidence.array("basis", item, (3, 2), kind)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_precision_is_real(dtype):
    assert evidence.array("basis", np.zeros((3, 2), dtype=dtype), (None, 2)).dtype == dtype
    assert evidence.kind_of(torch.zeros(2, dtype=torch.bfloat16)) == "real"
    assert evidence.kind_of(torch.zeros(2, dtype=torch.int8)) == "integer"


def test_arrays_of_a_file_go_to_the_library_of_the_input():
    moved = evidence.array("basis", np.ones((2, 2)), (2, 2), like=torch.zeros(1))
    assert isinstance(moved, torch.Tensor)


@pytest.mark.parametrize("item", [[0, 0], [0, 3], [-1, 0], [[0, 1]], [0.0, 1.0], [True, False]])
def test_indices_are_different_and_in_range(item):
    with pytest.raises(VerificationError, match="columns"):
        evidence.indices("columns", np.array(item), 3)


def test_unsigned_indices_do_not_wrap():
    with pytest.raises(VerificationError, match="below 3"):
        evidence.indices("columns", np.array([2**64 - 1], dtype=np.uint64), 3)
    assert evidence.indices("columns", np.array([2, 0], dtype=np.uint64), 3).tolist() == [2, 0]


def test_errors_repeat_values_in_one_short_line():
    assert len(evidence.shown("x\n" * 1000)) < 100
    assert "\n" not in evidence.shown(["a\nb"])
    assert "bits" in evidence.shown(10**5000)


def test_numbers_that_stand_for_themselves_are_doubles():
    for item in (np.ones(2, dtype=np.longdouble), np.ones(2, dtype=np.float32), torch.ones(2, dtype=torch.float64)):
        with pytest.raises(VerificationError, match="float64"):
            evidence.doubles("numerator", item, (2,))
