"""
Retrieval by a few anchors
==========================

Some scores need query and document together: a cross-encoder reads both at once, and so must score every pair. A matrix
of such scores is nearly of low rank. With CUR a new query is scored against a few *anchor* documents only; the rest of
its row follows from rows that were computed beforehand (`Scientific Spaces 9336 <https://kexue.fm/archives/9336>`_,
retrieval by CUR).

The score here is as inseparable as a cross-encoder's and needs no model: how many bytes a compressor saves when it sees
the two texts together. The documents are paragraphs of the Python documentation.
"""

# %%
# Paragraphs as documents; every fourth is kept aside as a query. Half of the queries are seen beforehand.

import zlib
from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np

import infimum

texts = [text for page in topics.values() for text in page.split("\n\n") if 250 <= len(text) <= 1500][:600]
queries = [text.encode() for text in texts[::4]]
documents = [text.encode() for index, text in enumerate(texts) if index % 4]
size = {text: len(zlib.compress(text)) for text in queries + documents}


def scores(some_queries, some_documents):
    """Bytes saved by compressing a query and a document together, as a share of the smaller one."""
    return np.array(
        [
            [1 - (len(zlib.compress(d + q)) - max(size[q], size[d])) / min(size[q], size[d]) for d in some_documents]
            for q in some_queries
        ]
    )


seen, new = queries[::2], queries[1::2]
known = scores(seen, documents)
print(f"{known.shape[0]} queries seen beforehand, {len(new)} new ones, {known.shape[1]} documents")

# %%
# Anchors are chosen on the scores known beforehand: CUR picks columns (anchor documents) and rows (anchor queries), and
# its core turns the scores of a new query against the anchor documents into scores against all.


def estimate(anchors):
    """Scores of the new queries against all documents, from those against the anchors alone."""
    cur = infimum.lowrank.cur(known, rows=min(2 * anchors, len(seen)), columns=anchors)
    measured = scores(new, [documents[j] for j in cur.columns])
    return measured @ cur.core @ cur.R, cur


truth = scores(new, documents)  # only to see how good the estimates are
best = np.argsort(-truth, axis=1)[:, :5]


def found(estimated, keep):
    """Share of the true five best documents among the `keep` best by estimate."""
    candidates = np.argsort(-estimated, axis=1)[:, :keep]
    return np.mean([len(set(b) & set(c)) / 5 for b, c in zip(best, candidates, strict=True)])


counts = (2, 5, 10, 15, 20, 25)
recall = {keep: [found(estimate(k)[0], keep) for k in counts] for keep in (20, 50, 100)}
popular = {keep: found(np.tile(known.mean(axis=0), (len(new), 1)), keep) for keep in recall}  # the same for every query

# %%
# How many scores a new query needs: those against the anchors, and those of the documents that are looked at again.
# Dotted: the documents that score best on average, the same for every query, without any anchor.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for keep, shares in recall.items():
    (line,) = left.plot(counts, shares, "o-", label=f"best {keep} of {len(documents)} looked at again")
    left.axhline(popular[keep], ls=":", color=line.get_color())
left.set(xlabel="anchor documents", ylabel="share of the true five best that are found", ylim=(0, 1))
left.legend()
errors = [estimate(k)[1].certificate for k in counts]
right.plot(counts, [c.value / np.linalg.norm(known) for c in errors], "o-", label="CUR")
right.plot(counts, [c.lower_bound / np.linalg.norm(known) for c in errors], "--", color="0.5", label="certified floor")
right.set(xlabel="anchor documents", ylabel="error on the known scores / norm", ylim=0)
right.legend()
plt.show()

# %%
# The certificate answers what the anchors cannot: whether a better choice of them, or any other method of this rank,
# could do much better on the known scores.

print(estimate(20)[1].certificate)
