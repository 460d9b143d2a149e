"""Answers of the minimax room that were changed: a claim that does not follow is refused, in one line and soon."""

import dataclasses
import json

import numpy as np
import pytest

import infimum
from infimum import minimax
from infimum.errors import FileFormatError, VerificationError

TINY = "exp(x)/10**17"


def array(values, **other):
    return {"dtype": "float64", "shape": list(np.shape(values)), "data": np.asarray(values).tolist()} | other


@pytest.fixture(scope="module")
def documents():
    return {
        "polynomial": ("exp", json.loads(minimax.polynomial("exp", 5).to_json())),
        "rational": ("exp", json.loads(minimax.rational("exp", (2, 2)).to_json())),
        "rounded": (TINY, json.loads(minimax.rounded(TINY, 2, (0.0, 1.0), dtype="float32").to_json())),
        "sampled": (np.tanh, json.loads(minimax.polynomial(np.tanh, 4).to_json())),
    }


def changed(document, place, value):
    copy = json.loads(json.dumps(document))
    part = copy
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value(part[place[-1]]) if callable(value) else value
    return json.dumps(copy)


VALUE, BOUND = ("certificate", "value"), ("certificate", "lower_bound")
POINTS = ("certificate", "witness", "points")
CHANGES = [
    ("rounded", VALUE, 1e-30),
    ("rounded", VALUE, lambda v: v * (1.0 - 1e-12)),
    ("rounded", VALUE, lambda v: v * (1.0 - 1e-3)),
    ("rounded", BOUND, lambda v: v * (1.0 + 1e-12)),
    ("rounded", ("answer", "formats"), ["bfloat16"] * 3),
    ("rounded", ("answer", "formats"), ["float32"] * 2),
    ("rounded", ("answer", "formats"), [["float32"]] * 3),
    ("rounded", ("answer", "formats"), ["float80"] * 3),
    ("rounded", ("answer", "values"), array([2.0**128, 0.0, 0.0])),
    ("rounded", ("answer", "values"), array([1e-17, 0.0])),
    ("rounded", ("answer", "powers"), [0, True, 2]),
    ("rounded", ("answer", "powers"), [0, 1, 3]),
    ("rounded", POINTS, array([0.0, 0.5, 1.0])),
    ("rounded", POINTS, None),
    ("polynomial", VALUE, lambda v: v * (1.0 - 1e-12)),
    ("polynomial", BOUND, lambda v: v * (1.0 + 1e-12)),
    ("polynomial", ("certificate", "rigour"), "rounded"),
    ("polynomial", ("certificate", "theorem"), "vallee_poussin"),
    ("polynomial", ("certificate", "witness"), {}),
    ("polynomial", POINTS, array([[-1.0, 1.0]])),
    ("polynomial", POINTS, array(np.linspace(-1.0, 1.0, 7), dtype="float32")),
    ("polynomial", POINTS, array(np.linspace(1.0, -1.0, 7))),
    ("polynomial", POINTS, array([-1.0, -1.0, -0.5, 0.0, 0.5, 0.8, 1.0])),
    ("polynomial", POINTS, array(np.linspace(-1.0, 1.5, 7))),
    ("polynomial", POINTS, {"dtype": "int64", "shape": [7], "data": [-3, -2, -1, 0, 1, 2, 3]}),
    ("polynomial", ("answer", "expansion"), array(np.zeros((1, 6)))),
    ("polynomial", ("answer", "expansion"), array(np.zeros((1, 5)))),
    ("polynomial", ("answer", "expansion"), array(np.zeros((0, 6)))),
    ("polynomial", ("answer", "expansion"), array(np.ones((1000, 6)))),
    ("polynomial", ("answer", "expansion"), {"dtype": "complex128", "shape": [1, 6], "data": [[[1.0, 2.0]] * 6]}),
    ("polynomial", ("answer", "interval"), [-1.0, 1.0000001]),
    ("polynomial", ("answer", "interval"), [-1.0, True]),
    ("polynomial", ("answer", "powers"), [False, True, 2, 3, 4, 5]),
    ("polynomial", ("answer", "signs"), lambda s: [-v for v in s]),
    ("polynomial", ("answer", "signs"), lambda s: [True if v == 1 else v for v in s]),
    ("polynomial", ("answer", "signs"), lambda s: s[:-1]),
    ("polynomial", ("answer", "signs"), "1"),
    ("polynomial", ("answer", "degree"), 10**9),
    ("polynomial", ("answer", "degree"), 2000),
    ("polynomial", ("answer", "degree"), 5.0),
    ("polynomial", ("answer", "degree"), True),
    ("polynomial", ("answer", "degree"), -1),
    ("polynomial", ("answer", "domain"), [[-1.0, 1.0]] * 100_000),
    ("polynomial", ("answer", "domain"), [[-1.0, 0.5]]),
    ("polynomial", ("answer", "domain"), [["a", "b"]]),
    ("polynomial", ("answer", "domain"), [[False, True]]),
    ("polynomial", ("answer", "domain"), [[-1.0, 0.0, 1.0]]),
    ("polynomial", ("answer", "domain"), []),
    ("polynomial", ("answer", "breakpoints"), np.linspace(-1.0, 1.0, 200_000).tolist()),
    ("polynomial", ("answer", "breakpoints"), [True]),
    ("polynomial", ("answer", "breakpoints"), ["0.5"]),
    ("polynomial", ("answer", "tol"), 1e-300),
    ("polynomial", ("answer", "tol"), 10),
    ("polynomial", ("answer", "tol"), None),
    ("polynomial", ("answer", "relative"), "no"),
    ("polynomial", ("answer", "relative"), True),
    ("polynomial", ("answer", "relative"), 0),
    ("polynomial", ("answer", "weight"), "(" * 100_000),
    ("polynomial", ("answer", "weight"), "(" * 3_000 + "x" + ")" * 900),
    ("polynomial", ("answer", "weight"), "-" * 3_999 + "1"),
    ("polynomial", ("answer", "weight"), "10**10**10"),
    ("polynomial", ("answer", "weight"), "9" * 3_999),
    ("polynomial", ("answer", "weight"), "-1"),
    ("polynomial", ("answer", "weight"), "1/2"),
    ("polynomial", ("answer", "weight"), "2"),
    ("polynomial", ("answer", "weight"), {"a": 1}),
    ("polynomial", ("answer", "weight"), [[1.0, 2.0], [3.0, 4.0]]),
    ("polynomial", ("answer", "system"), ["1"] * 100_000),
    ("polynomial", ("answer", "system"), {"a": 1}),
    ("polynomial", ("answer", "system"), "odd"),
    ("polynomial", ("answer", "system"), None),
    ("polynomial", ("answer", "f"), "cos"),
    ("polynomial", ("answer", "f"), ["exp(x)"]),
    ("rational", VALUE, lambda v: v * (1.0 - 1e-12)),
    ("rational", BOUND, lambda v: v * (1.0 + 1e-12)),
    ("rational", ("answer", "type"), [2, 2.0]),
    ("rational", ("answer", "type"), [400, 2]),
    ("rational", ("answer", "type"), [3, 3]),
    ("rational", ("answer", "type"), [1, 2]),
    ("rational", ("answer", "type"), [2]),
    ("rational", ("answer", "numerator"), array([])),
    ("rational", ("answer", "denominator"), array([[0.0, 1.0]])),
    ("rational", ("answer", "denominator"), array([[0.1, 1.0, 0.0]])),
    ("rational", ("answer", "denominator"), array([[0.0, 0.0, 0.0]])),
    ("rational", ("answer", "domain"), [[0.0, 0.5]]),
    ("rational", ("answer", "domain"), [-1.0, 1.0]),
    ("rational", ("answer", "domain"), [[-1.0]]),
    ("rational", ("answer", "weight"), "(" * 100_000),
    ("rational", ("answer", "breakpoints"), np.linspace(-1.0, 1.0, 200_000).tolist()),
    ("rational", POINTS, array(np.linspace(-1.0, 1.0, 10_000))),
    ("rational", POINTS, array([])),
    ("rational", ("answer", "tol"), 0.0),
    ("sampled", VALUE, lambda v: v * (1.0 - 1e-5)),
    ("sampled", BOUND, lambda v: v * (1.0 + 1e-5)),
    ("sampled", ("certificate", "rigour"), "enclosed"),
    ("sampled", ("certificate", "rigour"), "rounded"),
    ("sampled", ("answer", "breakpoints"), np.linspace(-1.0, 1.0, 200_000).tolist()),
    ("sampled", ("answer", "domain"), [[-2.0, 2.0]]),
    ("sampled", POINTS, array([1.0, 0.5, 0.2])),
    ("sampled", POINTS, array([1e-200, 2e-200, 1.0])),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_changes_are_refused(documents, number):
    name, place, value = CHANGES[number]
    f, document = documents[name]
    infimum.verify(infimum.from_json(json.dumps(document)), f)
    with pytest.raises((VerificationError, FileFormatError)) as caught:
        infimum.verify(infimum.from_json(changed(document, place, value)), f)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_numbers_that_limit_the_work_are_named(documents):
    f, document = documents["polynomial"]
    many = np.linspace(-1.0, 1.0, 200_000).tolist()
    with pytest.raises(VerificationError, match="200000"):
        infimum.verify(infimum.from_json(changed(document, ("answer", "breakpoints"), many)), f)
    with pytest.raises(infimum.errors.OptionError, match="5000"):
        minimax.polynomial("exp", 5, breakpoints=np.linspace(-1.0, 1.0, 5000))


def test_weaker_claims_are_true_and_accepted(documents):
    f, document = documents["polynomial"]
    for place, factor in ((VALUE, 1.5), (BOUND, 0.5)):
        infimum.verify(infimum.from_json(changed(document, place, lambda v, by=factor: v * by)), f)


@pytest.mark.parametrize("part", ["numerator", "denominator"])
def test_coefficients_that_a_cast_would_round_are_refused(part):
    result = infimum.minimax.rational("x", (1, 1), (0.5, 1.0))
    wide = np.asarray(getattr(result, part), dtype=np.longdouble)
    with pytest.raises(VerificationError, match="float64"):
        infimum.verify(dataclasses.replace(result, **{part: wide}), "x")


@pytest.mark.parametrize("f", ["0", "max(x,0)", "relu(x)"])
def test_no_relative_error_where_f_vanishes_on_an_interval(f):
    with pytest.raises(infimum.errors.OptionError, match="f vanishes"):
        infimum.minimax.polynomial(f, 2, (-1, 1), relative=True)
