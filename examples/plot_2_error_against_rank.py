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

sample = matplotlib.cbook.get_sample_data("jacksboro_fault_dem.npz")
M = sample["elevation"].astype(float)
size = np.linalg.norm(M)
ranks = [2, 4, 8, 16, 32, 64, 128]


def columns(method):
    """Certificates of a method that keeps columns, one per rank."""
    results = [infimum.lowrank.interpolative(M, r, method=method, rng=0) for r in ranks]
    return [result.certificate for result in results]


def triples(method):
    """Certificates of a method that keeps singular triples, one per rank."""
    results = [infimum.lowrank.svd(M, r, method=method, rng=0) for r in ranks]
    return [result.certificate for result in results]


certificates = {
    "svd, randomized": triples("randomized"),
    "columns, greedy": columns("greedy"),
    "columns, pivoted QR": columns("pivoted_qr"),
    "columns, auto": columns("auto"),
}
floor = np.array([certificate.lower_bound for certificate in triples("exact")])

# %%
# For comparison, columns drawn uniformly at random, the median of nine draws.

rng = np.random.default_rng(0)


def uniform(rank):
    """Error of least squares on columns drawn uniformly."""
    drawn = M[:, rng.choice(M.shape[1], rank, replace=False)]
    return np.linalg.norm(M - drawn @ np.linalg.lstsq(drawn, M)[0])


drawn = np.array([np.median([uniform(rank) for _ in range(9)]) for rank in ranks])

# %%
# Left: the errors. Right: the same, divided by the floor. The randomized SVD lies on the floor; the methods that must
# keep columns pay for that, and nobody can say from the left picture alone how much of it is due.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.fill_between(ranks, 1e-4, floor / size, alpha=0.15, color="0.5", lw=0)
left.annotate("nothing can be here", (18, 1.4e-3), color="0.5")
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
left.legend(loc="lower left")
plt.show()

# %%
# How far each certificate leaves the optimum open, at the largest rank:

for name, proofs in certificates.items():
    print(f"{name:20s} at most {proofs[-1].ratio - 1:.2%} above the optimum")
