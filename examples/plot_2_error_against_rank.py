"""
Error against rank, above one floor
===================================

One curve is a promise about all others: the floor. Whatever a method finds lies above it, and the distance says how
much the method could still gain.
"""

# %%
# A photograph would do as well; this is the elevation map that ships with matplotlib.

import matplotlib.cbook
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

import infimum

M = matplotlib.cbook.get_sample_data("jacksboro_fault_dem.npz")["elevation"].astype(float)
size = np.linalg.norm(M)
ranks = [2, 4, 8, 16, 32, 64, 128]

methods = {
    "svd, randomized": lambda rank: infimum.lowrank.svd(M, rank, method="randomized", rng=0),
    "columns, greedy": lambda rank: infimum.lowrank.interpolative(M, rank, method="greedy"),
    "columns, pivoted QR": lambda rank: infimum.lowrank.interpolative(M, rank, method="pivoted_qr"),
    "columns, sketch": lambda rank: infimum.lowrank.interpolative(M, rank, method="sketch", rng=0),
}
certificates = {name: [solve(rank).certificate for rank in ranks] for name, solve in methods.items()}
floor = np.array([infimum.lowrank.svd(M, rank, method="exact").certificate.lower_bound for rank in ranks])

# %%
# For comparison, columns drawn uniformly at random, the median of nine draws.

rng = np.random.default_rng(0)


def uniform(rank):
    """Error of least squares on columns drawn uniformly."""
    columns = M[:, rng.choice(M.shape[1], rank, replace=False)]
    return np.linalg.norm(M - columns @ np.linalg.lstsq(columns, M)[0])


drawn = np.array([np.median([uniform(rank) for _ in range(9)]) for rank in ranks])

# %%
# Left: the errors. Right: the same, divided by the floor. The randomized SVD lies on the floor; the methods that must
# keep columns pay for that, and nobody can say from the left picture alone how much of it is due.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.fill_between(ranks, 1e-4, floor / size, alpha=0.15, color="0.5", lw=0)
left.annotate("nothing can be here", (2.3, 1.3e-3), color="0.5")
for name, proofs in certificates.items():
    values = np.array([proof.value for proof in proofs])
    (line,) = left.loglog(ranks, values / size, "o-", label=name)
    right.semilogx(ranks, values / floor, "o-", color=line.get_color())
left.loglog(ranks, drawn / size, "x:", label="columns, uniform")
right.semilogx(ranks, drawn / floor, "x:", color=left.lines[-1].get_color())
right.axhline(1, ls="--", color="0.5")
left.set(xlabel="rank", ylabel="error / norm", ylim=(1e-3, 0.3), title="Error")
left.yaxis.set_major_formatter(PercentFormatter(1.0))
right.set(xlabel="rank", ylabel="error / floor", title="Error in units of the floor")
for ax in (left, right):
    ax.set_xticks(ranks, map(str, ranks))
    ax.minorticks_off()
left.legend()
plt.show()

# %%
# How far each certificate leaves the optimum open, at the largest rank:

for name, proofs in certificates.items():
    print(f"{name:20s} {proofs[-1]}")
