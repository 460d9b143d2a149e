"""
The best Newton-Schulz steps
============================

Matrix products alone can turn all singular values into ones, if their coefficients are right. Five quintic steps, each
the best for what the steps before have left, are the best five steps there are.
"""

# %%
# What every step does to the singular values from 0.001 to 1: the curve of each step is drawn over the interval that
# the one before has left, and touches the lines of its largest error four times.

import matplotlib.pyplot as plt
import numpy as np

from infimum import minimax

schedule = minimax.msign_schedule(lower=1e-3, steps=5)

fig, axes = plt.subplots(1, 5, figsize=(12, 2.8), sharey=True)
pairs = zip(axes, schedule.coefficients, schedule.intervals, schedule.intervals[1:], strict=False)
for number, (ax, row, (low, high), (least, largest)) in enumerate(pairs, 1):
    x = np.linspace(low, high, 500)
    ax.plot(x, sum(c * x ** (2 * k + 1) for k, c in enumerate(row)))
    for level in (least, largest):
        ax.axhline(level, color="C1", ls="--", lw=1)
    ax.set(title=f"step {number}: error {1 - least:.4f}", xlabel="before", xlim=(0, 2), xticks=(0, 1, 2))
axes[0].set_ylabel("after")

# %%
# The composition, beside the one triple of coefficients that Muon began with, and the certificates of both.

jordan = minimax.verify_schedule([(3.4445, -4.7750, 2.0315)] * 5, lower=1e-3)
fig, ax = plt.subplots(figsize=(8, 3.6))
x = np.geomspace(1e-4, 1, 4000)
for name, item in (("one triple, five times", jordan), ("best five steps", schedule)):
    ax.semilogx(x, item(x), lw=1, label=f"{name}: error {item.certificate.value:.3f}")
floor = schedule.certificate.lower_bound
ax.axhspan(1 - floor, 1 + floor, color="C1", alpha=0.15, label=f"floor of every table: {floor:.3f}")
ax.axvline(1e-3, color="0.6", ls=":", lw=1)
ax.set(xlabel="singular value / Frobenius norm", ylabel="after five steps")
ax.legend(loc="lower right")

# %%
# How fast the floor falls: each more step multiplies the small values by up to eight until the interval is narrow, then
# cubes the error.

fig, ax = plt.subplots(figsize=(6, 3.6))
for lower in (1e-1, 1e-2, 1e-3, 1e-4):
    floors = minimax.msign_schedule(lower, 7).floors
    ax.semilogy(range(1, 8), floors, "o-", ms=4, label=f"from {lower:g}")
ax.set(xlabel="quintic steps", ylabel="least error of any table", ylim=(1e-12, 2))
ax.legend()
