"""
Loads of experts
================

A trained router sends most tokens to a few experts. What does it cost to load them evenly, and which rule gets there?
"""

# %%
# The scores that the router of a small language model gave to 1024 tokens of text, for 32 experts of which each token
# uses four. The best balanced assignment is computed with its proof: no other one gives up less of the score.

import matplotlib.pyplot as plt
import numpy as np

from infimum import balance, sample_data

scores, k = sample_data.router_scores(), 4
m, n = scores.shape


def loads(bias):
    return np.bincount(np.argsort(-scores - bias, axis=1)[:, :k].ravel(), minlength=n)


best = balance.balanced_topk(scores, k)
unbalanced = best.score + best.certificate.value
print(f"balance costs {best.certificate.value / unbalanced:.1%} of the score; {best.certificate}")

order = np.argsort(-loads(np.zeros(n)))
fig, (upper, lower) = plt.subplots(2, 1, figsize=(10, 5), sharex=True)
upper.bar(np.arange(n), loads(np.zeros(n))[order], label="the four best by score")
upper.bar(np.arange(n), best.loads[order], width=0.4, label="balanced")
upper.set(ylabel="tokens")
upper.legend()
lower.plot(best.bias[order] - best.bias.mean(), "o")
lower.set(xlabel="expert, by its load", ylabel="bias")

# %%
# The rules of training, repeated on this one batch. Each is a way down the dual function D(b), which never falls below
# the optimum, so that the distance to it can be read off: sign and RMS with a constant step end up hovering, and the
# quantile rule as published stops short of the optimum, which its midpoint form does not.


def sweep(bias, midpoint):
    """Take the thresholds of the tokens, then the quantiles of the experts: the next value, or the middle."""
    top = -np.sort(-(scores + bias), axis=1)
    alpha = (top[:, k - 1] + top[:, k]) / 2 if midpoint else top[:, k]
    margins, c = -np.sort(alpha[:, None] - scores, axis=0), m * k // n
    beta = (margins[c - 1] + margins[c]) / 2 if midpoint else margins[c]
    return beta.mean() - beta


def gap(bias):
    """Return D(b) over the optimum, less 1."""
    bound = np.sort(scores + bias, axis=1)[:, -k:].sum() - m * k / n * bias.sum()
    return bound / best.score - 1.0


rules = {
    "sign 0.003": lambda bias: balance.update_bias(bias, loads(bias), "sign", 0.003),
    "RMS 0.003": lambda bias: balance.update_bias(bias, loads(bias), "rms", 0.003),
    "SGD 0.2": lambda bias: balance.update_bias(bias, loads(bias), "sgd", 0.2),
    "quantile": lambda bias: sweep(bias, midpoint=False),
    "midpoint": lambda bias: sweep(bias, midpoint=True),
}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
for name, update in rules.items():
    bias, violations, gaps = np.zeros(n), [], []
    for _ in range(400):
        violations.append(balance.max_violation(loads(bias)))
        gaps.append(gap(bias))
        bias = update(bias)
    left.loglog(np.arange(1, 401), np.maximum(violations, 1e-3), label=name)
    right.loglog(np.arange(1, 401), np.maximum(gaps, 1e-9), label=name)
    print(f"{name:10s} MaxVio {violations[-1]:.3f}, dual gap {gaps[-1]:.1e}")
left.set(xlabel="updates", ylabel="MaxVio")
right.set(xlabel="updates", ylabel="D(b) / optimum - 1")
right.legend()

# %%
# In training the batch changes with every step, and so does the router: see :doc:`the experiment </routing>`.
