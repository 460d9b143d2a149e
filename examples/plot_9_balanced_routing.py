"""
What balance costs a router
===========================

A router left alone loads its experts unevenly. How much of its score must be given up for equal loads, and how close do
the rules come that are used in training?
"""

# %%
# Scores of a trained router: 1024 tokens of the Python documentation, 32 experts, four for each token. The bias of the
# exact solution tells which experts are wanted too much.

import matplotlib.pyplot as plt
import numpy as np

from infimum import balance, sample_data

scores = sample_data.router_scores()
exact = balance.balanced_topk(scores, k=4)
order = np.argsort(exact.bias)
plain = np.bincount(np.argsort(-scores, axis=1)[:, :4].ravel(), minlength=32)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.bar(np.arange(32), plain[order], label="plain top-4")
left.step(np.arange(-0.5, 32.5), np.append(exact.loads[order], 128), where="post", color="C1", label="balanced")
left.set(xlabel="experts, the most wanted first", ylabel="tokens")
left.legend()
right.bar(np.arange(32), exact.bias[order], color="C2")
right.set(xlabel="experts, in the same order", ylabel="bias of the optimum")

# %%
# What must be given up depends on how equal the loads have to be. The curve is exact: at every point no assignment is
# better.

slacks = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 4.0, 6.6])
free = exact.score + exact.certificate.value
results = [balance.balanced_topk(scores, k=4, load=((1 - s) * 128, (1 + s) * 128)) for s in slacks]
fig, ax = plt.subplots(figsize=(7, 3.4))
ax.plot(100 * slacks, [100 * r.certificate.value / free for r in results], "o-")
ax.set(xlabel="loads may differ from the mean by (per cent)", ylabel="score given up (per cent)")
ax.set_xscale("symlog", linthresh=5)
ax.set_xticks([0, 2, 5, 10, 20, 50, 100, 200, 500], ["0", "2", "5", "10", "20", "50", "100", "200", "500"])
ax.set_ylim(0, None)

# %%
# Rules on this batch, from a zero bias: after every update, the bound of the bias minus the optimum. Sweeps of the
# quantile rule stop short of it; the midpoint of the same intervals does not.

STEPS = 200
fig, ax = plt.subplots(figsize=(7, 3.8))
for rule, rate in (("sign", 3e-3), ("rms", 3e-3), ("sgd", 1.0)):
    bias, gaps = np.zeros(32), []
    for _ in range(STEPS):
        found = balance.routing_certificate(scores, bias, k=4)
        gaps.append((found.bound - exact.score) / exact.score)
        bias = balance.update_bias(bias, found.loads, rule, rate=rate)
    ax.plot(gaps, label=f"{rule}, rate {rate:g}")
for rule in ("quantile", "midpoint"):
    biases = [balance.balanced_topk(scores, k=4, method=rule, steps=steps).bias for steps in range(1, 25)]
    bounds = np.array([balance.routing_certificate(scores, bias, k=4).bound for bias in biases])
    ax.plot(np.arange(1, 25), (bounds - exact.score) / exact.score, "o-", ms=3, label=f"{rule} sweeps")
ax.set(xlabel="update or sweep", ylabel="(bound - optimum) / optimum", yscale="log", ylim=(1e-8, 1))
ax.legend()

# %%
# This is one batch, looked at many times. In training every batch is new: see :doc:`/routing`.
