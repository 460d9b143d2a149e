"""Where a peer of the low-rank room is hard to beat: single precision, sparse, tall and small matrices, landmarks.

Seconds contain the certificate of each answer. A quality ratio of 1.001 is an answer as accurate as ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils.extmath import randomized_svd

from benchmarks import columns
from benchmarks import lowrank as dense
from benchmarks.harness import Comparison, Contender
from infimum import lowrank


def comparisons() -> Iterator[Comparison]:
    """Yield every situation."""
    for size in (10, 100, 200):
        yield small(size)
    yield single()
    yield columns.interpolative("Gaussian factors", _factors(1500, 1000), 100)
    yield dense.pinv("Gaussian", np.random.default_rng(0).standard_normal((2000, 2000)))
    for points in (6250, 25_000):
        yield landmarks(points)
    for centred in (False, True):
        yield tall(centred)
    yield sparse()


def _factors(rows: int, inner: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    left = rng.standard_normal((rows, inner)) / np.arange(1, inner + 1) ** 0.5
    return left @ rng.standard_normal((inner, inner))


def small(size: int) -> Comparison:
    """Compare on a square Gaussian matrix, a tenth of its rank: what surrounds LAPACK decides here."""
    M, rank = np.random.default_rng(0).standard_normal((size, size)), size // 10
    return _triples(
        M,
        f"Gaussian {size} x {size}",
        rank,
        {
            "infimum": lambda seed: lowrank.svd(M, rank),
            "numpy.linalg.svd": lambda seed: _cut(np.linalg.svd(M, full_matrices=False), rank),
            "scipy.linalg.svd": lambda seed: _cut(scipy.linalg.svd(M, full_matrices=False), rank),
        },
        rounds=101,
    )


def single() -> Comparison:
    """Compare on a large matrix in single precision."""
    M, rank = dense.inputs()["slow"].astype(np.float32), 50
    return _triples(
        M,
        dense.label("slow", M),
        rank,
        {
            "infimum": lambda seed: lowrank.svd(M, rank, rng=seed),
            "scipy svds, propack": lambda seed: scipy.sparse.linalg.svds(M, rank, solver="propack", rng=seed),
            "scipy svds, arpack": lambda seed: scipy.sparse.linalg.svds(M, rank, rng=seed),
            "sklearn randomized_svd": lambda seed: randomized_svd(M, rank, random_state=seed),
        },
    )


def sparse() -> Comparison:
    """Compare on ten million entries in random places; the triples' own accuracy counts, too."""
    rng, rank, shape = np.random.default_rng(0), 20, (1_000_000, 100_000)
    rows, columns_ = (rng.integers(0, size, 10_000_000) for size in shape)
    M = scipy.sparse.csr_array((rng.standard_normal(10_000_000), (rows, columns_)), shape=shape)
    return _triples(
        M,
        "sparse 1,000,000 x 100,000, 1e7 entries",
        rank,
        {
            "infimum": lambda seed: lowrank.svd(M, rank, rng=seed),
            "infimum, accuracy='triples'": lambda seed: lowrank.svd(M, rank, accuracy="triples", rng=seed),
            "scipy svds, arpack": lambda seed: scipy.sparse.linalg.svds(M, rank, rng=seed),
            "scipy svds, propack": lambda seed: scipy.sparse.linalg.svds(M, rank, solver="propack", rng=seed),
        },
        rounds=3,
        seconds=1.0,
    )


def tall(centred: bool) -> Comparison:
    """Compare on two million rows, as they are or less their mean."""
    rng, rank = np.random.default_rng(0), 10
    M = rng.standard_normal((2_000_000, 50)) * np.arange(1, 51) ** -0.5 + float(centred)
    peers: dict[str, Contender] = {
        "numpy.linalg.svd": lambda seed: _cut(np.linalg.svd(M, full_matrices=False), rank),
        "scipy svds, arpack": lambda seed: scipy.sparse.linalg.svds(M, rank, rng=seed),
    }
    if centred:
        peers = {  # the first makes no U
            "sklearn PCA.fit": lambda seed: PCA(rank, svd_solver="covariance_eigh").fit(M).components_,
            "sklearn PCA, fit_transform": lambda seed: _fitted(PCA(rank, svd_solver="covariance_eigh"), M),
        }
    reference = M - M.mean(axis=0) if centred else M

    def loss(answer: Any) -> float:
        Vh = answer if isinstance(answer, np.ndarray) else np.asarray(tuple(answer)[2])
        return float(np.linalg.norm(reference - reference @ Vh.T @ Vh))

    return Comparison(
        problem="svd",
        input="tall 2,000,000 x 50",
        task=f"rank {rank}, {'centred' if centred else 'as it is'}",
        contenders={"infimum": lambda seed: lowrank.svd(M, rank, center=centred), **peers},
        loss=loss,
        floor=lowrank.svd(M, rank, center=centred).certificate.lower_bound,
        certify=lambda result: result.recheck(M),
        rounds=3,
        seconds=1.0,
    )


def landmarks(count: int) -> Comparison:
    """Compare landmarks of a Gaussian kernel; scikit-learn's with more of them, too, to be as accurate as ours."""
    points, rank, gamma = np.random.default_rng(0).standard_normal((count, 10)), 100, 0.05
    kernel = lowrank.KernelMatrix(points, partial(rbf_kernel, gamma=gamma), diagonal=1.0)

    def peer(seed: int, size: int) -> np.ndarray:
        return np.asarray(Nystroem(gamma=gamma, n_components=size, random_state=seed).fit_transform(points))

    def ours(seed: int, method: Any) -> lowrank.Nystrom:
        return lowrank.nystrom(kernel, rank, method=method, rng=seed)

    return Comparison(
        problem="nystrom",
        input=f"Gaussian kernel of {count} points",
        task=f"{rank} landmarks",
        contenders={
            **{f"infimum {method}": partial(ours, method=method) for method in ("auto", "rpcholesky", "uniform")},
            "sklearn Nystroem": partial(peer, size=rank),
            "sklearn Nystroem, a tenth more": partial(peer, size=rank + rank // 10),
            "sklearn Nystroem, a quarter more": partial(peer, size=rank + rank // 4),
        },
        loss=lambda answer: float(count - np.linalg.norm(getattr(answer, "factor", answer)) ** 2),
        floor=lowrank.nystrom(kernel, rank, rng=0).certificate.lower_bound,
        certify=lambda result: result.recheck(kernel),
        rounds=3,
    )


def _fitted(model: PCA, M: np.ndarray) -> tuple[np.ndarray, ...]:
    scores = model.fit_transform(M)
    return scores, model.singular_values_, model.components_


def _cut(parts: tuple[np.ndarray, ...], rank: int) -> tuple[np.ndarray, ...]:
    U, s, Vh = parts
    return U[:, :rank], s[:rank], Vh[:rank]


def _triples(M: Any, name: str, rank: int, contenders: dict[str, Contender], **options: Any) -> Comparison:
    """Compare by the Frobenius error, from what the triples take of the whole: nothing of the size of M is made."""
    square = float(np.sum(np.square((M if isinstance(M, np.ndarray) else M.data).astype(np.float64))))

    def loss(answer: Any) -> float:
        U, s, Vh = (np.asarray(part, dtype=np.float64) for part in answer)
        inner = np.einsum("ij,ij->j", U, np.asarray(M @ Vh.T)) @ s
        return float(np.sqrt(square - 2.0 * inner + np.sum((U.T @ U) * (Vh @ Vh.T) * np.outer(s, s))))

    return Comparison(
        problem="svd",
        input=name,
        task=f"rank {rank}",
        contenders=contenders,
        loss=loss,
        floor=lowrank.svd(M, rank).certificate.lower_bound,
        certify=lambda result: result.recheck(M),
        **options,
    )
