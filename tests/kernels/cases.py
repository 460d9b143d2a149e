"""Hostile cases of every registered problem: ill-conditioned, rank-deficient, subnormal, huge, in every precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from infimum.problems import PROBLEMS, Case
from tests.lowrank.hostile import FAMILIES, with_spectrum

LARGE = 130  # sides from which on BLAS shares the work among threads
FLOATS = (np.float64, np.float64, np.complex128, np.float32, np.float16, np.complex64)
SCALES = (1.0, 1.0, 1.0, 2.0**1019, 2.0**-1060, 1e-5, 1e150)


def matrix(rng: np.random.Generator, dtypes: tuple[type, ...] = FLOATS) -> np.ndarray:
    """Draw a matrix of a hostile family, seldom a large one, in a precision in which it is finite."""
    dtype = dtypes[int(rng.integers(len(dtypes)))]
    parts = 2 if np.issubdtype(dtype, np.complexfloating) else 1
    kind, (m, n) = int(rng.integers(12)), (int(side) for side in rng.integers(1, 13, 2))
    if kind == 3 and rng.random() < 0.3:
        m, n = (LARGE + int(side) for side in rng.integers(60, size=2))
    drawn = [drawn_matrix(rng, kind, m, n) for _ in range(parts)]
    whole = drawn[0] + 1j * drawn[1] if parts == 2 else drawn[0]
    if kind >= 6:
        whole = whole / (np.max(np.abs(whole)) or 1.0) * SCALES[int(rng.integers(len(SCALES)))]
    limits = np.finfo(dtype)
    if not np.max(np.abs(whole)) <= float(limits.max) / 64 or np.max(np.abs(whole)) < float(limits.smallest_subnormal):
        dtype = np.complex128 if parts == 2 else np.float64
    return whole.astype(dtype)


def drawn_matrix(rng: np.random.Generator, kind: int, m: int, n: int) -> np.ndarray:
    if kind == 0:
        return 1e8 + rng.standard_normal((m, n))
    if kind == 1:  # two equal columns
        return rng.standard_normal((m, n))[:, [0, *range(n)]]
    if kind == 2:
        return with_spectrum(rng, m, n, 10.0 ** -np.arange(0.0, 36.0, 3.0))
    if kind == 3:
        return with_spectrum(rng, m, n, 10.0 ** -(np.arange(m) * rng.uniform(0.0, 0.3)))
    names = [name for name in FAMILIES if name != "mixed scales" or rng.random() < 0.2]
    return FAMILIES[names[int(rng.integers(len(names)))]](rng, m, n)


def kernel(rng: np.random.Generator) -> np.ndarray:
    """Draw a positive semidefinite matrix, most often one of low rank or in half or single precision."""
    if rng.random() < 0.4:
        n = int(rng.choice([6, 30, 90, LARGE]))
        x = rng.standard_normal((n, int(rng.integers(1, 4)))) * 10.0 ** rng.uniform(-3.0, 1.0)
        whole = np.exp(-((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=2))
    else:
        A = matrix(rng, (np.float64, np.complex128)).T
        A = A / (np.max(np.abs(A)) or 1.0)
        whole = A.T @ A.conj()
        whole = (whole + whole.conj().T) / 2 * rng.choice([1.0, 2.0**1000, 2.0**-1000])
    real = not np.iscomplexobj(whole)
    return whole.astype(rng.choice([np.float32, np.float64])) if real and 1e-30 < np.max(whole) < 1e30 else whole


def _rank(rng: np.random.Generator, limit: int) -> int:
    return int(rng.integers(1, limit + 1))


def _svd(rng: np.random.Generator) -> Case:
    M = matrix(rng)
    method = str(rng.choice(["auto", "exact", "gram", "krylov", "randomized"]))
    return Case((M,), {"rank": _rank(rng, min(M.shape)), "method": method})


def _pinv(rng: np.random.Generator) -> Case:
    return Case((matrix(rng),), {"rtol": [None, 0.0, 1e-6][int(rng.integers(3))]})


def _interpolative(rng: np.random.Generator) -> Case:
    M = matrix(rng)
    return Case((M,), {"rank": _rank(rng, min(M.shape))})


def _nystrom(rng: np.random.Generator) -> Case:
    K = kernel(rng)
    method = str(rng.choice(["auto", "rpcholesky", "greedy", "uniform"]))
    return Case((K,), {"rank": _rank(rng, K.shape[0]), "method": method})


def _solve(rng: np.random.Generator) -> Case:
    A = matrix(rng)
    B = rng.standard_normal((A.shape[0], int(rng.integers(1, 4)))) * 10.0 ** rng.integers(-3, 4)
    B = B + 1j * rng.standard_normal(B.shape) if rng.random() < 0.2 else B.astype(A.real.dtype)
    size = float(np.max(np.abs(A)))
    ridge = float(rng.choice([0.0, 1e-8, 1.0])) * size**2 if size < 1e150 else 0.0
    return Case((A, B), {"ridge": ridge, "rtol": [None, 0.0][int(rng.integers(2))]})


def _cr(rng: np.random.Generator) -> Case:
    X, Y = matrix(rng), matrix(rng)
    size, dtype = min(X.shape[1], Y.shape[0], 40), np.result_type(X, Y)
    options: dict[str, Any] = {"weights": str(rng.choice(["none", "none", "sampling", "diagonal", "full"]))}
    if options["weights"] == "none":
        methods = ["auto", "norm", "greedy", "tuple"] + (["exact"] if size < 14 else [])
        options["method"] = str(rng.choice(methods))
    return Case((X[:, :size].astype(dtype), Y[:size].astype(dtype)), {"rank": _rank(rng, size), **options})


def _cur(rng: np.random.Generator) -> Case:
    M = matrix(rng)
    return Case((M,), {"rank": _rank(rng, min(M.shape))})


def _function(rng: np.random.Generator) -> str:
    a, b = rng.uniform(0.2, 3.0, 2)
    forms = ("exp({a:.3f} * x)", "sin({a:.3f} * x) + x", "log(x + {b:.3f} + 1)", "tanh({a:.3f} * x)", "abs(x - 0.3)")
    return str(rng.choice(forms)).format(a=a, b=b)


def _polynomial(rng: np.random.Generator) -> Case:
    return Case((_function(rng),), {"degree": int(rng.integers(1, 12)), "domain": (0.0, 1.0)})


def _rational(rng: np.random.Generator) -> Case:
    f = f"exp({rng.uniform(0.2, 3.0):.3f} * x)"
    return Case((f,), {"type": (int(rng.integers(1, 4)), int(rng.integers(1, 4))), "domain": (0.0, 1.0)})


def _rounded(rng: np.random.Generator) -> Case:
    f = f"exp({rng.uniform(0.2, 3.0):.3f} * x) * 10 ** {int(rng.integers(-3, 3))}"
    dtype = str(rng.choice(["bfloat16", "float16", "float32"]))
    return Case((f,), {"degree": int(rng.integers(1, 4)), "domain": (0.0, 1.0), "dtype": dtype})


def _schedule(rng: np.random.Generator) -> Case:
    options = {"steps": int(rng.integers(1, 5)), "degree": int(rng.choice([3, 5]))}
    return Case((float(10.0 ** rng.uniform(-4.0, -0.5)),), options)


def _scores(rng: np.random.Generator) -> np.ndarray:
    m, n = int(rng.integers(4, 40)), int(rng.integers(2, 9))
    scores = rng.standard_normal((m, n)) if rng.random() < 0.7 else rng.integers(-2, 3, (m, n)).astype(float)
    dtype = rng.choice([np.float64, np.float32, np.float16])
    return (scores * float(rng.choice([1.0, 1e-3, 1e30 if dtype != np.float16 else 1.0]))).astype(dtype)


def _topk(rng: np.random.Generator) -> Case:
    scores = _scores(rng)
    return Case((scores,), {"k": int(rng.integers(1, scores.shape[1] + 1))})


def _threshold(rng: np.random.Generator) -> Case:
    scores = _scores(rng)
    return Case((scores,), {"k": float(rng.uniform(0.2, scores.shape[1]))})


def _assignment(rng: np.random.Generator) -> Case:
    n = int(rng.integers(2, 30))
    return Case((rng.standard_normal((n, n)) * float(rng.choice([1.0, 1e300, 1e-300])),), {})


def _codebook(rng: np.random.Generator) -> Case:
    points = rng.standard_normal((int(rng.integers(4, 40)), int(rng.integers(1, 6))))
    points = points * float(rng.choice([1.0, 1e-20, 1e15])) + float(rng.choice([0.0, 0.0, 1e6]))
    return Case((points.astype(rng.choice([np.float64, np.float32])),), {"n_codes": int(rng.integers(1, 5))})


def _design(rng: np.random.Generator) -> Case:
    target = rng.uniform(0.2, 2.0, int(rng.integers(3, 30)))
    return Case((target,), {"max_lr": float(rng.uniform(0.1, 0.9)), "weight_decay": 1.0, "max_initial_share": 0.5})


def _split(rng: np.random.Generator) -> Case:
    return Case((int(rng.integers(0, 10**9)),), {"cost": tuple(rng.integers(1, 9, size=3).tolist())})


def _split_many(rng: np.random.Generator) -> Case:
    return Case((rng.integers(0, 10**7, size=(2, 3)),), {})


GENERATORS: dict[str, Callable[[np.random.Generator], Case]] = {
    "lowrank.svd": _svd,
    "lowrank.pinv": _pinv,
    "lowrank.interpolative": _interpolative,
    "lowrank.nystrom": _nystrom,
    "lowrank.solve": _solve,
    "lowrank.cr": _cr,
    "lowrank.cur": _cur,
    "minimax.polynomial": _polynomial,
    "minimax.rational": _rational,
    "minimax.rounded": _rounded,
    "minimax.msign_schedule": _schedule,
    "balance.balanced_topk": _topk,
    "balance.threshold_routing": _threshold,
    "balance.linear_assignment": _assignment,
    "balance.balanced_codebook": _codebook,
    "memory.design": _design,
    "integers.product_plus_remainder": _split,
    "integers.product_plus_remainder_many": _split_many,
}
SHARES = {"lowrank": 5}  # how many cases of a room's problems are drawn where others get one


def cases(count: int, seed: int, room: str = "") -> Iterator[tuple[str, Case]]:
    """Yield `count` cases, each problem of the register (or of one room) in its turn."""
    rng = np.random.default_rng(seed)
    most = max(SHARES.values())
    names = [problem.name for problem in PROBLEMS if problem.name.startswith(room)]
    turns = [name for turn in range(most) for name in names if turn < SHARES.get(name.partition(".")[0], 1) or room]
    with np.errstate(all="ignore"):
        for index in range(count):
            name = turns[index % len(turns)]
            yield name, GENERATORS[name](rng)
