"""
Every way to choose columns, above one floor
============================================

A dozen rules for choosing columns, from one-liners to searches, on one matrix. The floor holds for all of them, also
for those nobody has thought of yet.
"""

# %%
# The elevation map that ships with matplotlib, 344 x 403.

import matplotlib.cbook
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

import infimum

M = matplotlib.cbook.get_sample_data("jacksboro_fault_dem.npz")["elevation"].astype(float)
size = np.linalg.norm(M)
ranks = [2, 4, 8, 16, 32, 64]


def errors(strategy):
    """Certified errors, the median of five seeds where the strategy draws."""
    drawn = strategy in {"uniform", "kmeans", "lupp"} or strategy.endswith(("sampling", "projection"))
    runs = [
        [infimum.lowrank.interpolative(M, r, method=strategy, rng=seed).certificate.value for r in ranks]
        for seed in range(5 if drawn else 1)
    ]
    return np.median(runs, axis=0)


def tuple_errors():
    """The tuple rule drops terms of a product: here of M times its transpose, whose terms are the columns."""
    found = []
    for r in ranks:
        terms = infimum.lowrank.cr(M, M.T, r, method="tuple").C
        found.append(np.linalg.norm(M - terms @ np.linalg.lstsq(terms, M)[0]))
    return np.array(found)


alone = {"norm": "norm", "norm_sampling": "sampling by norm", "uniform": "uniform", "kmeans": "k-means medoids"}
together = {
    "leverage": "leverage",
    "leverage_sampling": "sampling by leverage",
    "deim": "DEIM",
    "lupp": "LUPP",
    "gaussian_projection": "Gaussian projection",
    "sparse_sign_projection": "sparse sign projection",
    "cosine_projection": "cosine projection",
    "column_sampling": "column sampling",
    "pivoted_qr": "pivoted QR",
    "greedy": "greedy, total error",
    "osinsky": "Osinsky",
    "auto": "auto: the best, then exchanges",
}
floor = np.array([infimum.lowrank.svd(M, r).certificate.lower_bound for r in ranks])

# %%
# Dotted: rules that look at the columns one by one, or at their distances. The longest columns say the same over and
# over. The right picture divides by the floor: what is left above 1 is partly the price of having to keep columns,
# which no rule can save.

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
left.fill_between(ranks, 1e-4, floor / size, alpha=0.15, color="0.5", lw=0)
left.annotate("nothing can be here", (9, 0.012), color="0.5")
colours = iter(plt.get_cmap("tab20").colors)
curves = [(name, errors(strategy), ":") for strategy, name in alone.items()]
curves += [("tuple", tuple_errors(), ":")]
curves += [(name, errors(strategy), "-") for strategy, name in together.items()]
for name, values, style in curves:
    (line,) = left.loglog(ranks, values / size, style, marker=".", label=name, color=next(colours))
    right.semilogx(ranks, values / floor, style, marker=".", color=line.get_color())
right.axhline(1, ls="--", color="0.5")
left.set(xlabel="columns", ylabel="error / norm", ylim=(8e-3, 0.4), title="Error")
left.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
right.set(xlabel="columns", ylabel="error / floor", ylim=(0.95, 4), title="Error in units of the floor")
for ax in (left, right):
    ax.set_xticks(ranks, map(str, ranks))
    ax.minorticks_off()
fig.legend(loc="outside right center", fontsize="small")
plt.show()

# %%
# A photograph from one in twenty of its own columns. The floor says how much of the blur is due to that, and how much
# to the choice.

with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
    picture = plt.imread(file, format="jpg").mean(axis=2)
count = picture.shape[1] // 20
result = infimum.lowrank.interpolative(picture, count)
error, least = (x / np.linalg.norm(picture) for x in (result.certificate.value, result.certificate.lower_bound))

fig, axes = plt.subplots(1, 3, figsize=(10, 4.2), layout="constrained")
kept = np.full_like(picture, 255.0)
kept[:, result.columns] = picture[:, result.columns]
for ax, image, title in zip(
    axes,
    (picture, kept, result.to_dense()),
    (f"{picture.shape[1]} columns", f"{count} of them", f"rebuilt: error {error:.1%}, floor {least:.1%}"),
    strict=True,
):
    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    ax.set_title(title)
    ax.axis("off")
plt.show()

# %%
# Which columns, and what the certificate says of them:

print(sorted(result.columns.tolist()))
print(result.certificate)
