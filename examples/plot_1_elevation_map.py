"""
A map from one column in twenty
===============================

An elevation map is rebuilt from 5 % of its own columns, and compared with the floor: the error that no choice of
columns, and no other matrix of that rank, can get below.
"""

# %%
# The map ships with matplotlib: the ground around the Jacksboro fault in Tennessee, 344 x 403 heights.

import matplotlib.cbook
import matplotlib.pyplot as plt
import numpy as np

import infimum

sample = matplotlib.cbook.get_sample_data("jacksboro_fault_dem.npz")
elevation = sample["elevation"].astype(float)
rank = round(0.05 * elevation.shape[1])
result = infimum.lowrank.interpolative(elevation, rank=rank)
rebuilt = result.to_dense()

print(f"{rank} of {elevation.shape[1]} columns, the most telling first:")
print(result.columns)
print(result.certificate)

# %%
# The rebuilt map is exact on the chosen columns and a combination of them elsewhere.

maps = {"as measured": elevation, f"from {rank} of its columns": rebuilt}
low, high = elevation.min(), elevation.max()
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8))
for ax, (title, image) in zip(axes, maps.items(), strict=True):
    shown = ax.imshow(image, cmap="gist_earth", vmin=low, vmax=high)
    ax.set_title(title)
    ax.set_axis_off()
axes[1].plot(result.columns, np.full(rank, 6), "v", color="white", markersize=5)
fig.colorbar(shown, ax=axes, label="height in m", shrink=0.8)
plt.show()

# %%
# Where the error is, and how much of it could be avoided at all. The best matrix of the same rank, which need not
# consist of columns, has the error of the floor.

best = infimum.lowrank.svd(elevation, rank=rank)
errors = {
    f"{rank} columns: error {result.certificate.value:.0f}": rebuilt - elevation,
    f"any matrix of rank {rank}: {best.certificate.value:.0f}": best.to_dense() - elevation,
}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8))
for ax, (title, image) in zip(axes, errors.items(), strict=True):
    shown = ax.imshow(image, cmap="RdBu", vmin=-150, vmax=150)
    ax.set_title(title)
    ax.set_axis_off()
fig.colorbar(shown, ax=axes, label="rebuilt minus measured, in m", shrink=0.8)
plt.show()

# %%
# Checking takes neither the solver nor trust: value and bound are derived again from the map and the answer.

print(infimum.verify(result, elevation))
