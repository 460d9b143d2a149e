"""
A search that proves itself
===========================

Every whole number is a product plus a remainder, n = a b + c, in many ways. Which has the least a + b + c? Look at the
lines a + b = t one after the other: no sum on line t is less than t, so the search ends, with a proof, where the lines
reach the best sum.
"""

# %%
# The cheapest triple of one line after the other, for a number of 19 digits: lucky and unlucky draws. The floor rises
# by one from line to line; where it crosses the least cost, nothing is left to look for.

import random

import matplotlib.pyplot as plt
import numpy as np

from infimum.integers import product_plus_remainder, product_plus_remainder_many

result = product_plus_remainder(2**61 - 1)
print(f"2**61 - 1 = {result.a} * {result.b} + {result.c}, sum {result.value}, proved by {result.steps} lines")
result.plot()
plt.show()

# %%
# How long is the proof? The excess of the sum over twice the square root is the number of lines to visit, and it grows
# like the sixth root of n.

n = np.unique(np.geomspace(4, 1e15, 3000).astype(np.int64))
excess = product_plus_remainder_many(n).sums - 2 * np.sqrt(n)
generator = random.Random(0)
large = [generator.randrange(10**e, 10 ** (e + 1)) for e in range(3, 31) for _ in range(6)]
steps = [product_plus_remainder(number).steps for number in large]

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.loglog(n, np.maximum(excess, 1e-1), ".", ms=3)
left.loglog(n, 1.18 * n ** (1 / 6), color="C1", label="1.18 n^(1/6)")
left.set(xlabel="n", ylabel="a + b + c − 2 √n", title="Excess of the least sum")
right.loglog(large, np.maximum(steps, 0.5), ".", label="visited here")
grid = np.geomspace(1e3, 1e31, 50)
right.loglog(grid, 1.18 * grid ** (1 / 6), color="C1", label="1.18 n^(1/6)")
right.loglog(grid, 2 * grid ** (1 / 4), ":", color="0.5", label="all lines that can matter: 2 n^(1/4)")
right.set(xlabel="n", ylabel="lines", title="Length of the proof")
for ax in (left, right):
    ax.legend()
plt.show()

# %%
# Costs need not be equal. Where a unit of the remainder costs 20, exact products are worth a long way round.

for cost in [(1, 1, 1), (1, 1, 20), (1, 9, 1)]:
    split = product_plus_remainder(1_000_003, cost=cost)
    print(
        cost, f"{split.a} * {split.b} + {split.c}, cost {split.value}, certified optimal: {split.certificate.gap == 0}"
    )
