"""References that share no code with the solver."""

import math

import numpy as np


def least_costs(limit, cost):
    """Least cost of every n <= limit: the remainder grows by one, or n is a product (tried for every divisor)."""
    alpha, beta, gamma = cost
    product = np.full(limit + 1, np.iinfo(np.int64).max)
    for a in range(1, limit + 1):
        multiples = np.arange(a, limit + 1, a)
        product[multiples] = np.minimum(product[multiples], alpha * a + beta * (multiples // a))
    costs = [0]
    for n in range(1, limit + 1):
        costs.append(min(costs[-1] + gamma, int(product[n])))
    return costs


def post_algorithm(n):
    """Scientific Spaces 9775: try every p up to ``2 sqrt(n) + 2 + sqrt(1 + 4 sqrt(n))``; n up to 10**17."""
    low = math.isqrt(4 * n)
    high = 2 * math.isqrt(n) + 5 + math.isqrt(4 * math.isqrt(n) + 5)
    p = np.arange(low, high + 1)
    defect = (p - low) * (p + low) + (low * low - 4 * n)
    q = np.ceil(np.sqrt(np.maximum(defect, 0))).astype(np.int64)
    q += (q + p) % 2
    return int(np.min(p + (q * q - defect) // 4))
