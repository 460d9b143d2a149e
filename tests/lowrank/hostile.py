"""Small matrices chosen to break things: ties, clusters, deficiency, grading, extreme scales, every dtype."""

from collections.abc import Iterator

import numpy as np
import scipy.linalg


def orthogonal(rng: np.random.Generator, n: int, columns: int | None = None) -> np.ndarray:
    """Draw an orthogonal matrix, or its first columns: decomposing the rest as well is most of the work."""
    return np.linalg.qr(rng.standard_normal((n, n))[:, :columns])[0]


def with_spectrum(rng: np.random.Generator, m: int, n: int, s: np.ndarray) -> np.ndarray:
    k = min(m, n)
    return orthogonal(rng, m, k) * s[:k] @ orthogonal(rng, n)[:k]


def kahan(n: int, theta: float = 1.2) -> np.ndarray:
    s, c = np.sin(theta), np.cos(theta)
    return np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))


FAMILIES = {
    "gaussian": lambda rng, m, n: rng.standard_normal((m, n)),
    "deficient": lambda rng, m, n: rng.standard_normal((m, 2)) @ rng.standard_normal((2, n)),
    "zero": lambda rng, m, n: np.zeros((m, n)),
    "one entry": lambda rng, m, n: np.eye(1, m * n, int(rng.integers(m * n))).reshape(m, n),
    "identity": lambda rng, m, n: np.eye(m, n),
    "ones": lambda rng, m, n: np.ones((m, n)),
    "repeated columns": lambda rng, m, n: rng.standard_normal((m, n))[:, rng.integers(0, n, n)],
    "nearly repeated": lambda rng, m, n: (
        rng.standard_normal((m, 1)) + 10.0 ** -rng.uniform(1, 17) * rng.standard_normal((m, n))
    ),
    "signs": lambda rng, m, n: rng.choice([-1.0, 1.0], (m, n)),
    "small integers": lambda rng, m, n: rng.integers(-2, 3, (m, n)).astype(float),
    "permutation": lambda rng, m, n: np.eye(max(m, n))[rng.permutation(max(m, n))][:m, :n],
    "hilbert": lambda rng, m, n: scipy.linalg.hilbert(max(m, n))[:m, :n],
    "kahan": lambda rng, m, n: kahan(max(m, n))[:m, :n],
    "vandermonde": lambda rng, m, n: np.vander(rng.uniform(-1, 1, m), n),
    "graded rows": lambda rng, m, n: rng.standard_normal((m, n)) * np.logspace(0, -rng.uniform(1, 30), m)[:, None],
    "graded columns": lambda rng, m, n: rng.standard_normal((m, n)) * np.logspace(-rng.uniform(1, 30), 0, n),
    "cluster": lambda rng, m, n: with_spectrum(rng, m, n, 1.0 + 1e-14 * rng.standard_normal(12)),
    "fast decay": lambda rng, m, n: with_spectrum(rng, m, n, 10.0 ** -np.arange(0, 24, 2)),
    "gap": lambda rng, m, n: with_spectrum(rng, m, n, np.where(np.arange(12) < 3, 1.0, 1e-13)),
    "huge": lambda rng, m, n: rng.standard_normal((m, n)) * 1e150,
    "tiny": lambda rng, m, n: rng.standard_normal((m, n)) * 1e-150,
    "largest": lambda rng, m, n: rng.uniform(-1, 1, (m, n)) * 1e307,
    "subnormal": lambda rng, m, n: rng.integers(-9, 10, (m, n)) * 5e-324,
    "mixed scales": lambda rng, m, n: rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-150, 150, (m, n)),
}
DTYPES = (np.float64, np.float64, np.complex128, np.float32, np.float16)


def matrices(count: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield `count` matrices up to 12 x 12, cycling through the families, with random shapes and dtypes."""
    rng = np.random.default_rng(seed)
    names = list(FAMILIES)
    for index in range(count):
        name = names[index % len(names)]
        m, n = (int(size) for size in rng.integers(1, 13, 2))
        matrix = FAMILIES[name](rng, m, n)
        dtype = DTYPES[int(rng.integers(len(DTYPES)))]
        if np.issubdtype(dtype, np.complexfloating):
            matrix = matrix + 1j * FAMILIES[name](rng, m, n)
        elif np.max(np.abs(matrix)) > np.finfo(dtype).max / 8 or np.max(np.abs(matrix)) < np.finfo(dtype).tiny:
            dtype = np.float64
        yield f"{name} {m}x{n} {np.dtype(dtype)}", matrix.astype(dtype)
