"""
Topics that span the documentation
==================================

``help()`` knows some eighty topics. Which few of them stand for all? The columns of the term-document matrix are
topics, so an interpolative decomposition answers with topics, not with mixtures of words.
"""

# %%
# The matrix holds the tf-idf weight of each word in each topic; every Python installation carries the text.

import matplotlib.pyplot as plt
import numpy as np

import infimum
from infimum.sample_data import python_documentation

weights, words, topics = python_documentation()
result = infimum.lowrank.interpolative(weights, rank=12)

print(f"{weights.shape[0]} words, {weights.shape[1]} topics")
for j in result.columns:
    print("   ", topics[j])
print(result.certificate)

# %%
# The coefficients tell which chosen topic serves which other topic. The chosen ones serve themselves.

size = np.abs(result.coefficients)
shown = np.argsort(-size.max(axis=0), kind="stable")[:40]
shown = shown[np.argsort(size[:, shown].argmax(axis=0), kind="stable")]

fig, ax = plt.subplots(figsize=(10, 5))
coefficients = result.coefficients[:, shown]
image = ax.imshow(coefficients, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
ax.set_yticks(range(result.rank), [topics[j] for j in result.columns])
ax.set_xticks(range(len(shown)), [topics[j] for j in shown], rotation=90, fontsize=8)
ax.set_title("How topics are made from twelve of them")
ax.grid(False)
fig.colorbar(image, ax=ax, label="coefficient")
plt.show()

# %%
# Is twelve enough? The error falls slowly, and the floor says that this is the documentation's fault: its topics are
# nearly orthogonal, and no approximation of rank 12, made of topics or not, would do much better.

ranks = range(1, weights.shape[1], 6)
certificates = [infimum.lowrank.interpolative(weights, rank).certificate for rank in ranks]
errors = np.array([c.value for c in certificates]) / np.linalg.norm(weights)
floors = np.array([c.lower_bound for c in certificates]) / np.linalg.norm(weights)
fig, ax = plt.subplots(figsize=(8, 3.6))
ax.plot(ranks, errors, "o-", label="topics chosen by infimum")
ax.plot(ranks, floors, "--", color="0.5", label="floor of every method")
ax.axvline(12, lw=1, color="C1")
ax.set(xlabel="number of topics", ylabel="error / norm", ylim=(0, 1.02))
ax.legend()
plt.show()

# %%
# The topics that the twelve explain worst are the ones to read besides:

left_out = np.linalg.norm(weights - result.to_dense(), axis=0)
for j in np.argsort(-left_out)[:5]:
    words_of_topic = [words[i] for i in np.argsort(-weights[:, j])[:4]]
    print(f"{topics[j]:20s} {left_out[j]:.2f} left: {', '.join(words_of_topic)}")
