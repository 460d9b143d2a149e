"""Forged answers and witnesses of pinv, solve, cr and nystrom are refused by name; honest ones of any kind are not."""

import dataclasses
import json
import math

import numpy as np
import pytest

import infimum
from infimum import errors, lowrank

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((8, 5)), RNG.standard_normal((8, 9))
X, Y = RNG.standard_normal((6, 7)), RNG.standard_normal((7, 5))
K = RNG.standard_normal((9, 9))
K = K @ K.T


def forged(result, certificate=None, witness=None, **fields):
    """Change fields of the answer, of its certificate and of its witness."""
    proof = dict(result.certificate.witness, **(witness or {}))
    claims = dataclasses.replace(result.certificate, witness=proof, **(certificate or {}))
    return dataclasses.replace(result, certificate=claims, **fields)


def refuse(result, *inputs, match):
    with pytest.raises(errors.VerificationError, match=match):
        infimum.verify(result, *inputs)
    try:
        text = result.to_json()
    except (TypeError, ValueError, AttributeError):
        return  # not even JSON
    with pytest.raises((errors.VerificationError, errors.FileFormatError)):
        infimum.verify(infimum.from_json(text), *inputs)


def test_a_negative_multiplier_proves_nothing():
    honest = lowrank.pinv(A)
    other = -honest.matrix
    loss = float(np.linalg.norm(A @ other - np.eye(8))) * (1.0 + 1e-9)
    for mu in (-1.0, -1e-300, math.nan, math.inf, True, 1j, "1", None, [1.0], 10**400):
        lie = forged(honest, {"value": loss, "lower_bound": 4.57}, {"mu": mu}, matrix=other, penrose=honest.penrose)
        refuse(lie, A, match="mu|Penrose")
        refuse(forged(honest, None, {"mu": mu}), A, match="mu must be")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"matrix": np.zeros((5, 8), dtype=complex)}, "matrix must hold real numbers"),
        ({"matrix": np.zeros((8, 5))}, "matrix must have shape"),
        ({"matrix": np.zeros((5, 8), dtype=int)}, "matrix must hold real numbers"),
        ({"matrix": np.full((5, 8), np.inf)}, "matrix must be finite"),
        ({"rank": 4}, "rank must be from 5 to 5"),
        ({"rank": 5.0}, "rank must be a whole number"),
        ({"rank": True}, "rank must be a whole number"),
        ({"rank": 2**64 + 5}, "rank must be from"),
        ({"rtol": -1e-3}, "rtol must be"),
        ({"rtol": 1.0}, "rtol must be"),
        ({"rtol": False}, "rtol must be"),
        ({"rtol": 0.5}, "rank must be from"),
        ({"singular_values": np.ones(4)}, "singular_values must have shape"),
        ({"singular_values": 1j * np.ones(5)}, "singular_values must hold real"),
        ({"penrose": np.zeros((4, 1))}, "penrose must have shape"),
        ({"penrose": np.full(4, 1e-3)}, "Penrose residuals"),
        ({"penrose": -np.full(4, 1e-3)}, "Penrose residuals"),
        ({"penrose": np.zeros(4, dtype=complex)}, "penrose must hold real"),
    ],
)
def test_parts_of_a_pseudo_inverse(fields, match):
    refuse(forged(lowrank.pinv(A), **fields), A, match=match)


def test_singular_values_descend_and_are_those_of_the_matrix():
    honest = lowrank.pinv(A)
    s = honest.singular_values
    for changed in (s[::-1].copy(), -s, s * (1.0 + 1e-9), s[[1, 0, 2, 3, 4]]):
        refuse(forged(honest, singular_values=changed), A, match="singular_values")


def test_a_dual_is_not_broadcast():
    honest = lowrank.solve(A, B, ridge=1e-3)
    dual = honest.certificate.witness["dual"]
    for lie in (
        dual[:, :1],
        dual[:, 0],
        dual.T,
        dual[:1],
        np.tile(dual, (1, 2)),
        dual + 0j,
        dual.astype(int),
        None,
        1.0,
    ):
        refuse(forged(honest, {"lower_bound": 0.0}, {"dual": lie}), A, B, match="the dual must")


def test_an_imaginary_part_is_not_dropped():
    for options in ({}, {"ridge": 0.1}):
        honest = lowrank.solve(A, B, **options)
        refuse(forged(honest, matrix=honest.matrix + 1e6j), A, B, match="matrix must hold real numbers")
    refuse(forged(lowrank.pinv(A), matrix=lowrank.pinv(A).matrix + 1e6j), A, match="matrix must hold real numbers")
    approximation = lowrank.nystrom(K, 3, rng=0)
    refuse(forged(approximation, factor=approximation.factor + 1e6j), K, match="factor must hold real numbers")
    few = lowrank.cr(X, Y, 3, weights="full")
    for name in ("weights", "C", "R"):
        refuse(forged(few, **{name: getattr(few, name) + 1e6j}), X, Y, match=f"{name} must hold real numbers")


def test_complex_right_hand_sides_keep_their_imaginary_part():
    for left, right in ((A, B + 1j * B[:, ::-1]), (A + 1j * A[::-1], B), (A, (B + 1j)[:, 0])):
        result = lowrank.solve(left, right)
        assert np.iscomplexobj(result.matrix)
        np.testing.assert_allclose(result.matrix, np.linalg.lstsq(left, right)[0], atol=1e-12)
        assert result.certificate.gap < 1e-10
        infimum.verify(infimum.from_json(result.to_json()), left, right)


@pytest.mark.parametrize("ridge", [-1e-3, math.nan, math.inf, True, 1j, "0", None, 10**400])
def test_the_ridge_of_a_solution(ridge):
    refuse(forged(lowrank.solve(A, B, ridge=1e-3), ridge=ridge), A, B, match="ridge must be")


@pytest.mark.parametrize(
    ("fields", "witness", "match"),
    [
        ({"terms": np.array([0, 1, 1])}, {}, "terms must be different"),
        ({"terms": np.array([0, 1, 7])}, {}, "terms must be indices below 7"),
        ({"terms": np.array([0, 1, -1])}, {}, "terms must be indices"),
        ({"terms": np.array([0.0, 1.0, 2.0])}, {}, "terms must hold integer"),
        ({"terms": np.array([0, 1, 2**64 - 5], dtype=np.uint64)}, {}, "terms must be indices"),
        ({"C": X[:, :1]}, {}, "C must have shape"),
        ({"R": Y[:1]}, {}, "R must have shape"),
        ({"weights": np.ones(2)}, {}, "weights must have shape"),
        ({"weights": np.ones((3, 1))}, {}, "weights must have shape"),
        ({"weights": np.ones((1, 3, 3))}, {}, "weights must have shape"),
        ({"weights": 1.0}, {}, "weights must be an array"),
        ({"draws": 3}, {}, "belong together"),
        ({"draws": 3, "deviation": 0.0}, {}, "deviation: claimed"),
        ({"draws": 2, "deviation": 0.0}, {}, "draws must be from 3"),
        ({"draws": 2**70, "deviation": 0.0}, {}, "draws must be from"),
        ({"draws": 3, "deviation": math.nan}, {}, "deviation must be"),
        ({}, {"diagonal": np.full(7, 1.5)}, "the diagonal must hold"),
        ({}, {"diagonal": np.zeros(1)}, "the diagonal must have shape"),
        ({}, {"diagonal": np.zeros(7, dtype=complex)}, "the diagonal must hold"),
        ({}, {"point": np.full(7, -0.1)}, "the point must hold"),
        ({}, {"point": np.zeros((7, 7))}, "the point must have shape"),
        ({}, {"nodes": 10**12}, "nodes must be from"),
        ({}, {"nodes": True}, "nodes must be a whole"),
        ({}, {"nodes": 1e3}, "nodes must be a whole"),
    ],
)
def test_parts_of_a_choice_of_terms(fields, witness, match):
    refuse(forged(lowrank.cr(X, Y, 3), None, witness, **fields), X, Y, match=match)


def test_terms_ascend():
    honest = lowrank.cr(X, Y, 3)
    order = [2, 0, 1]
    lie = forged(honest, terms=honest.terms[order], C=honest.C[:, order], R=honest.R[order])
    refuse(lie, X, Y, match="terms must ascend")


@pytest.mark.parametrize(
    ("fields", "witness", "match"),
    [
        ({"landmarks": np.array([0, 0, 1])}, {}, "landmarks must be different"),
        ({"landmarks": np.array([0, 1, 9])}, {}, "landmarks must be indices"),
        ({"landmarks": np.array([0.0, 1.0, 2.0])}, {}, "landmarks must hold integer"),
        ({"landmarks": np.array([0, 1])}, {}, "factor must have shape"),
        ({"factor": np.ones((9, 1))}, {}, "factor must have shape"),
        ({"factor": np.ones((9, 3), dtype=int)}, {}, "factor must hold real"),
        ({}, {"spectrum": 1}, "failed|landmarks"),
        ({}, {"spectrum": False, "landmarks": np.arange(10)}, "landmarks of the witness"),
        ({}, {"spectrum": False, "landmarks": np.array([0, 0])}, "landmarks of the witness"),
        ({}, {"spectrum": False, "landmarks": np.array([True, False])}, "landmarks of the witness"),
    ],
)
def test_parts_of_a_nystrom_approximation(fields, witness, match):
    refuse(forged(lowrank.nystrom(K, 3, rng=0), None, witness, **fields), K, match=match)


def test_a_witness_of_too_many_landmarks_is_refused_with_the_figure():
    points = RNG.standard_normal((90, 2))
    kernel = lowrank.KernelMatrix(points, lambda P, Q: np.exp(-4.0 * ((P[:, None] - Q[None]) ** 2).sum(axis=2)))
    honest = lowrank.nystrom(kernel, 3, rng=0)
    infimum.verify(honest, kernel)
    refuse(
        forged(honest, None, {"landmarks": np.arange(60)}), kernel, match="their number must be from 0 to 26, got 60"
    )


@pytest.mark.parametrize("margin", [1e-12, 1e-9, 1e-3])
def test_no_claim_is_better_than_what_follows(margin):
    for result, inputs in (
        (lowrank.pinv(A[:, :3]), (A[:, :3],)),
        (lowrank.solve(A, B), (A, B)),
        (lowrank.cr(X, Y, 3), (X, Y)),
        (lowrank.nystrom(K, 3, rng=0), (K,)),
    ):
        derived = infimum.verify(result, *inputs)
        assert derived.value <= result.certificate.value
        assert derived.lower_bound >= result.certificate.lower_bound
        high = derived.lower_bound * (1.0 + margin)
        refuse(forged(result, {"lower_bound": high, "value": high * 2.0}), *inputs, match="lower_bound: claimed")
        refuse(
            forged(result, {"value": derived.value * (1.0 - margin), "lower_bound": 0.0}),
            *inputs,
            match="value: claimed",
        )


# ------------------------------------------------------------------ honest results


@pytest.mark.parametrize(
    "matrix",
    [
        (1e-5 * np.random.default_rng(4).standard_normal((7, 7))).astype("float16"),
        np.ldexp(np.random.default_rng(5).standard_normal((4, 4)), 1021),
        np.diag([1.0, 1e-160]),
        np.diag([1e-300, 1e-10]),
        np.random.default_rng(6).standard_normal((5, 3))[:, [0, 1, 2, 2]],
        1e8 + np.random.default_rng(7).standard_normal((5, 5)),
        np.random.default_rng(8).integers(-3, 4, (4, 3)) * 5e-324 * 2.0**30,
    ],
    ids=["float16 subnormal", "2**1021", "1e-160", "1e-300", "equal columns", "1e8 + noise", "subnormal"],
)
@pytest.mark.parametrize("rtol", [None, 0.0])
def test_what_is_solved_is_verified(matrix, rtol):
    try:
        result = lowrank.pinv(matrix, rtol=rtol)
    except errors.RangeError:  # an entry of the answer does not fit the dtype
        assert float(np.max(np.abs(matrix))) < 1e-3 or rtol == 0.0
        return
    infimum.verify(infimum.from_json(result.to_json()), matrix)
    assert not math.isinf(json.loads(result.to_json())["certificate"]["value"])
