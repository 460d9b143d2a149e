"""References in multi-precision arithmetic: the true tail of a matrix and the true loss of an answer."""

import itertools

import flint
import numpy as np

PRECISION = 2500  # bits: entries may differ by a factor of 1e300, and their squares by 1e600


def wide(array: np.ndarray) -> np.ndarray:
    """Return an array in double precision."""
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


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


def best_squared_loss_within(A: np.ndarray, answer: np.ndarray):
    """Least squared ``norm(A @ B - I)`` over all B no longer than the answer: the Tikhonov solution of that length."""
    with flint.ctx.workprec(PRECISION):
        tails = squared_tails(A)
        squares = [tails[k] - tails[k + 1] for k in range(len(tails) - 1)]
        radius = squared_loss(np.zeros(answer.shape), (np.eye(answer.shape[0]), wide(answer)))
        beyond = A.shape[0] - len(squares)

        def length(mu):
            return sum((s / (s + mu) ** 2 for s in squares if s > 0), flint.arb(0))

        def loss(mu):
            return sum(((mu / (s + mu)) ** 2 for s in squares), flint.arb(beyond))

        low, high = flint.arb(2) ** -2200, flint.arb(2) ** 2200
        if length(low) <= radius:
            return loss(low)
        for _ in range(400):  # bisection on the logarithm
            middle = (low * high).sqrt().mid()
            low, high = (middle, high) if length(middle) > radius else (low, middle)
        return loss(high.mid())


def best_squared_loss_with_ridge(A, B, ridge):
    """Least squared loss with a ridge: ``<B, (I + A A* / ridge)^-1 B>``, in multi-precision arithmetic."""
    with flint.ctx.workprec(PRECISION):
        a, b = ball_matrix(A), ball_matrix(B)
        size = A.shape[0]
        system = a * a.conjugate().transpose()
        weight = flint.arb(ridge)
        system = flint.acb_mat([[system[i, j] + (weight if i == j else 0) for j in range(size)] for i in range(size)])
        solution = system.solve(b)
        return sum(
            (weight * (b[i, j].conjugate() * solution[i, j]).real for i in range(size) for j in range(B.shape[1])),
            flint.arb(0),
        )
