"""References in multi-precision arithmetic: the true tail of a matrix and the true loss of an answer."""

import itertools

import flint
import numpy as np

PRECISION = 2500  # bits: entries may differ by a factor of 1e300, and their squares by 1e600


def ball_matrix(A: np.ndarray) -> flint.acb_mat:
    return flint.acb_mat([[flint.acb(float(x.real), float(x.imag)) for x in row] for row in A.astype(complex)])


def gram(A: flint.acb_mat) -> flint.acb_mat:
    return A.conjugate().transpose() * A


def squared_tails(M: np.ndarray) -> list[flint.arb]:
    """Squared error of the best matrix of rank 0, 1, ..., min(m, n), to hundreds of digits."""
    with flint.ctx.workprec(PRECISION):
        small = M if M.shape[1] <= M.shape[0] else M.conj().T
        eigenvalues = sorted(
            (abs(v.real.mid()) for v in gram(ball_matrix(small)).eig(algorithm="approx")), reverse=True
        )
        return [sum(eigenvalues[k:], flint.arb(0)) for k in range(len(eigenvalues) + 1)]


def squared_loss(target: np.ndarray, factors: tuple[np.ndarray, ...]) -> flint.arb:
    """Exact squared Frobenius norm of target - factors[0] @ factors[1] @ ... (enclosed to hundreds of digits)."""
    with flint.ctx.workprec(PRECISION):
        product = ball_matrix(factors[0])
        for factor in factors[1:]:
            product = product * ball_matrix(factor)
        residual = ball_matrix(target) - product
        return sum((x.real**2 + x.imag**2 for x in residual.entries()), flint.arb(0))


def at_most(bound: float, squared: flint.arb) -> bool:
    """Tell whether bound**2 <= squared, in the reference's precision."""
    with flint.ctx.workprec(PRECISION):
        return bound == 0.0 or flint.arb(bound) ** 2 <= squared * (1 + flint.arb(2) ** -400)


def at_least(value: float, squared: flint.arb) -> bool:
    """Tell whether value**2 >= squared, in the reference's precision."""
    with flint.ctx.workprec(PRECISION):
        return flint.arb(value) ** 2 >= squared * (1 - flint.arb(2) ** -400)


def best_columns(M: np.ndarray, count: int) -> float:
    """Least error over all choices of `count` columns (float64, every subset at once), for entries of ordinary size."""
    subsets = np.array(list(itertools.combinations(range(M.shape[1]), count)))
    skeletons = np.moveaxis(M[:, subsets], 1, 0)  # subsets x rows x count
    u, s, _ = np.linalg.svd(skeletons, full_matrices=False)
    kept = s > s[:, :1] * 1e-14
    u = u * kept[:, None, :]
    residual = M[None] - u @ (np.conj(np.swapaxes(u, 1, 2)) @ M[None])
    return float(np.sqrt(np.min(np.sum(np.abs(residual) ** 2, axis=(1, 2)))))
