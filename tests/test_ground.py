"""The ground: certificates, errors, exact scaling, lazy imports, and the frozen surface."""

import inspect
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import threadpoolctl
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import infimum
from infimum import _arrays, _linalg, _scaling, errors
from infimum._threads import one_thread
from infimum.proof.certificate import Certificate


def test_import_is_light():
    code = (
        "import sys, infimum, infimum.lowrank, infimum.problems;"
        "heavy = {'torch', 'matplotlib', 'rich', 'transformers', 'dask', 'jinja2', 'cyclopts', 'flint', 'safetensors'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_one_thread_lasts_as_long_as_anybody_needs_it():
    """The limit is the process's, so blocks that overlap must neither lift it early nor keep it."""

    def threads():
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before, first, second = threads(), one_thread(), one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == before
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert threads() == before


def test_bare_import_loads_no_room():
    code = "import sys, infimum; print([m for m in sys.modules if m.startswith('infimum.') or m == 'scipy'])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "['infimum._lazy']\n"


def test_layers_load_neither_the_compiler_nor_what_they_do_not_use():
    """To import PyTorch's compiler or SciPy's statistics takes about as long as to import PyTorch itself."""
    code = (
        "import sys, infimum.nn; print([m for m in ('infimum.balance', 'infimum.lowrank') if m in sys.modules])\n"
        "from infimum.nn import *; from infimum.optim import *\n"
        "print([m for m in ('torch._dynamo', 'scipy.stats') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n[]\n"


def test_every_public_name_exists():
    assert infimum.__all__ == sorted(infimum.__all__, key=lambda name: (name.islower(), name))
    for name in infimum.__all__:
        assert getattr(infimum, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        infimum.nonsense  # type: ignore[attr-defined] # noqa: B018


def test_every_error_is_an_infimum_error_and_a_builtin_one():
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass) if item is not errors.InfimumError]
    assert len(classes) >= 13
    for item in classes:
        assert issubclass(item, errors.InfimumError)
        builtin = [base for base in item.__mro__ if base.__module__ == "builtins"]
        assert builtin[0] is not Exception, f"{item.__name__} derives from no specific built-in"
        assert item.__name__ in errors.__doc__


class TestCertificate:
    def test_gap_and_ratio(self):
        certificate = Certificate(3.0, 2.0, "eckart_young", "rounded")
        assert (certificate.gap, certificate.ratio) == (1.0, 1.5)
        assert Certificate(0.0, 0.0, "t", "exact").ratio == 1.0
        assert Certificate(1.0, 0.0, "t", "exact").ratio == math.inf

    @pytest.mark.parametrize(("value", "bound"), [(1.0, 1.1), (math.nan, 0.0), (1.0, math.nan), (math.inf, 0.0)])
    def test_a_false_one_cannot_be_made(self, value, bound):
        with pytest.raises(errors.FalseCertificateError, match="bug in infimum"):
            Certificate(value, bound, "t", "rounded")

    @pytest.mark.parametrize(
        ("rigour", "confidence"), [("sure", 1.0), ("probable", 1.0), ("rounded", 0.9), ("probable", 0.0)]
    )
    def test_rigour_and_confidence_agree(self, rigour, confidence):
        with pytest.raises(errors.OptionError):
            Certificate(1.0, 0.0, "t", rigour, confidence)

    def test_is_frozen_and_readable(self):
        certificate = Certificate(2.0, 1.0, "ritz_block", "probable", 1 - 1e-6)
        with pytest.raises(AttributeError):
            certificate.value = 0.0  # type: ignore[misc]
        assert str(certificate) == "1 <= optimum <= 2 (ritz_block, probable, confidence 1 - 1e-06)"


@given(st.floats(min_value=0, allow_infinity=False, exclude_min=True), st.integers(-2200, 2000))
@example(sys.float_info.max, -2046)
def test_scaling_back_rounds_outwards(value, exponent):
    try:
        up = _scaling.scale_back(value, exponent, toward=math.inf)
    except errors.RangeError:
        return
    down = _scaling.scale_back(value, exponent, toward=0.0)
    assert down <= up
    exact = (lambda x: (x.as_integer_ratio()[0], x.as_integer_ratio()[1]))(value)
    numerator, denominator = exact[0] * 2 ** max(exponent, 0), exact[1] * 2 ** max(-exponent, 0)

    def compare(x):
        a, b = x.as_integer_ratio()
        return a * denominator - numerator * b

    assert compare(down) <= 0 <= compare(up)


@pytest.mark.parametrize("largest", [1e-320, 1e-150, 1.0, 3.7, 1e150, 1.7e308])
def test_working_scale_is_exact(largest):
    M = np.array([[largest, -largest / 3], [0.0, largest / 7]])
    scaled = _arrays.working(M)
    if largest in (1.0, 3.7):  # of ordinary size: nothing is copied
        assert scaled.array is M
        assert scaled.exponent == 0
    else:
        assert 0.5 <= np.max(np.abs(scaled.array)) < 1.0
    assert np.array_equal(_arrays.times_power_of_two(scaled.array, scaled.exponent), M)


@pytest.mark.parametrize("power", [-18, -17, -16, 0, 16, 17])
def test_what_is_of_ordinary_size(power):
    scaled = _arrays.working(np.array([[0.0, -(2.0**power)]]))  # its exponent is one more: 0.5 times 2 to that
    assert scaled.exponent == (0 if -17 <= power < 16 else power + 1)


@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf, complex(0.0, np.nan), complex(-np.inf, 1.0)])
def test_working_refuses_what_is_not_finite(entry):
    for place in (0, 3, 5):
        M = np.ones((2, 3), dtype=complex if isinstance(entry, complex) else float)
        M.flat[place] = entry
        for make in (np.asarray, torch.asarray):
            with pytest.raises(errors.NonFiniteError, match="M must be finite, but 1 of its 6"):
                _arrays.working(make(M), "M")


def test_mixed_libraries_and_devices_are_refused():
    with pytest.raises(errors.LibraryError, match="one library"):
        _arrays.namespace(A=np.eye(2), B=torch.eye(2))
    with pytest.raises(errors.LibraryError, match="one device"):
        _arrays.namespace(A=torch.eye(2), B=torch.eye(2, device="meta"))


def test_json_of_another_version_or_problem_is_refused():
    result = infimum.lowrank.svd(np.eye(2), 1)
    document = json.loads(result.to_json())
    with pytest.raises(errors.FileFormatError, match="version"):
        infimum.from_json(json.dumps({**document, "infimum": 99}))
    with pytest.raises(errors.FileFormatError, match="expected infimum JSON"):
        infimum.from_json("[]")
    with pytest.raises(errors.FileFormatError, match=r"result of lowrank\.pinv"):
        infimum.lowrank.PseudoInverse.from_json(result.to_json())
    with pytest.raises(errors.FileFormatError, match=r"lowrank\.svd"):
        infimum.from_json(json.dumps({**document, "problem": "lowrank.nothing"}))


def test_verify_counts_its_inputs():
    with pytest.raises(errors.VerificationError, match=r"needs the inputs \(M\)"):
        infimum.verify(infimum.lowrank.svd(np.eye(2), 1))


@pytest.mark.parametrize("name", ["svd", "pinv", "interpolative"])
def test_plots_draw_on_given_axes(name):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    problem = infimum.problems.get(name)
    case = problem.tiny(np.random.default_rng(0))
    figure, ax = pyplot.subplots()
    assert problem.solve(*case.inputs, **case.options).plot(ax=ax) is ax
    figure.canvas.draw()
    pyplot.close(figure)


def orthonormal(rows, columns):
    return np.linalg.qr(np.random.default_rng(1).standard_normal((rows, columns)))[0]


@pytest.mark.parametrize("make", [np.asarray, torch.asarray, lambda A: A * (1 + 2j)])
def test_a_thin_svd_is_orthonormal_and_exact(make):
    rng = np.random.default_rng(0)
    tall = rng.standard_normal((900, 8)) * np.logspace(0, -200, 8)  # columns of any length, far from dependent
    dependent = tall.copy()
    dependent[:, 1] = dependent[:, 0] * (1.0 + 1e-9)
    zero = tall.copy()
    zero[:, 3] = 0.0
    skew = rng.standard_normal((900, 8)) @ (np.eye(8) + 0.3)  # no columns of one length that are nearly orthogonal
    square, single = rng.standard_normal((30, 20)), rng.standard_normal((50, 1))
    for A in (tall, skew, dependent, zero, square, single, orthonormal(900, 8)):
        U, s, Wh = _linalg.thin_svd(make(A))
        assert type(U) is type(make(A))
        whole, U, s, Wh = np.asarray(make(A)), np.asarray(U), np.asarray(s), np.asarray(Wh)
        assert np.linalg.norm(U.conj().T @ U - np.eye(U.shape[1])) <= 1e-13
        assert np.linalg.norm(Wh @ Wh.conj().T - np.eye(U.shape[1])) <= 1e-13
        assert np.all(np.diff(s) <= 0.0)
        assert s == pytest.approx(np.linalg.svd(whole, compute_uv=False), rel=1e-12, abs=1e-13 * s[0])
        assert np.linalg.norm((U * s) @ Wh - whole) <= 1e-13 * np.linalg.norm(whole)


@pytest.mark.parametrize("make", [np.asarray, torch.asarray])
def test_the_sum_of_terms_of_any_length(make):
    """Terms whose factors can be squared, and others beside them: too long, too short, or zero."""
    left = np.array([[3.0, 1e-250, 0.0, 1e200], [4.0, 0.0, 0.0, 0.0]])
    right = np.array([[0.0, 2.0], [1e250, 0.0], [1.0, 1.0], [0.0, 1e-200]])
    assert _linalg.sum_of_terms(make(left), make(right)) == pytest.approx(10.0 + 1.0 + 0.0 + 1.0, rel=1e-14)
    assert _linalg.sum_of_terms(make(left[:, :1]), make(right[:1])) == pytest.approx(10.0, rel=1e-15)
    tall = np.random.default_rng(0).standard_normal((40_000, 3))
    expected = float(np.linalg.norm(tall, axis=0).sum())
    assert _linalg.sum_of_terms(make(tall), make(np.eye(3))) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (200, 200), (40_000, 5), (5, 40_000), (3, 70_000)])
def test_frobenius_of_any_shape(shape):
    M = np.random.default_rng(0).standard_normal(shape)
    for array in (M, torch.asarray(M), np.asfortranarray(M), M * (0.6 + 0.8j)):
        assert _linalg.frobenius(array) == pytest.approx(np.linalg.norm(M), rel=1e-14)
