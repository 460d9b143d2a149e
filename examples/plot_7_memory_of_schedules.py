"""
What a schedule remembers
=========================

With decoupled weight decay the final weights are exactly a mixture: so much of the initialisation, so much of every
batch. Common schedules differ more in this than in their curves.
"""

# %%
# Four schedules with the same peak and the same weight decay, and two designed for an even memory: one with constant
# weight decay, one with weight decay that follows the learning rate.

import matplotlib.pyplot as plt
import numpy as np

from infimum import memory

STEPS, PEAK, DECAY, WARMUP = 2000, 1e-3, 1.5, 40

reports = {
    shape: memory.report(memory.lr_table(shape, STEPS, peak=PEAK, warmup=WARMUP), DECAY)
    for shape in ("constant", "cosine", "linear", "wsd")
}
for name, decay in (("even", DECAY), ("even, proportional", memory.Proportional(DECAY))):
    schedule = memory.design("uniform", STEPS, max_lr=PEAK, weight_decay=decay, warmup=WARMUP)
    reports[name] = memory.report(schedule.lr, schedule.weight_decay)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
for name, item in reports.items():
    style = "--" if name.startswith("even") else "-"
    left.plot(item.lr / PEAK, style, label=name)
    right.plot(item.weights / item.weights.mean(), style)
left.set(xlabel="step", ylabel="learning rate / peak")
right.set(xlabel="step", ylabel="memory of the batch / mean", ylim=(0, None))
left.legend()

# %%
# The same mixtures as bars: the initialisation first, then the rest, divided among ten equal pieces of the run by their
# weights. A constant learning rate lives on its last third; an even memory keeps a quarter of the initialisation or
# more.

fig, ax = plt.subplots(figsize=(10, 3.6))
shades = plt.get_cmap("viridis")(np.linspace(0.05, 0.95, 10))
for row, item in enumerate(reports.values()):
    pieces = (1 - item.initial_share) * item.weights.reshape(10, -1).sum(axis=1) / item.weights.sum()
    edges = np.cumsum([item.initial_share, *pieces])
    ax.barh(row, item.initial_share, color="0.7")
    ax.barh(row, pieces, left=edges[:-1], color=shades)
    ax.text(item.initial_share / 2, row, f"{item.initial_share:.0%}", ha="center", va="center", fontsize=9)
ax.set_yticks(range(len(reports)), list(reports))
ax.invert_yaxis()
ax.set(
    xlabel="share of the final weights: grey the initialisation, dark the first tenth of the batches, bright the last"
)
ax.grid(False)

# %%
# The other way round: from a wanted memory to a schedule. Every profile can be met exactly, whatever it is.

half = np.where(np.arange(STEPS) < STEPS // 2, 1.0, 3.0)
targets = {
    "better data in the second half": half,
    "quality rising from 1 to 4": np.linspace(1.0, 4.0, STEPS),
    "forgetting, horizon 500": memory.forgetting(STEPS, 500.0),
}
fig, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True)
for ax, (name, target) in zip(axes, targets.items(), strict=True):
    schedule = memory.design(target, max_lr=PEAK, weight_decay=DECAY)
    ax.plot(target / target.max(), label="wanted memory")
    ax.plot(schedule.lr / PEAK, label="learning rate / cap")
    ax.set(xlabel="step", title=name, ylim=(0, 1.05))
    print(f"{name}: total variation {schedule.certificate.value:.0e}, initialisation {schedule.initial_share:.1%}")
axes[0].legend(loc="lower right")

# %%
# What these pictures do not show is the training loss: see :doc:`the experiment </problems/design>`.
