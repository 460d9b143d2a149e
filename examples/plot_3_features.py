"""
Features that stand for all, in a pipeline of scikit-learn
==========================================================

Thirteen chemical measurements of 178 wines. Which few of them tell the others, and are they enough to tell the wines
apart? :py:obj:`infimum.sklearn.ColumnSelector` keeps measurements, not mixtures of them, and proves how good any other
choice could be.
"""

# %%
# A number of features is an option of a pipeline like any other: the cross-validation chooses it, together with the
# strategy.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from infimum.sklearn import CertifiedPCA, ColumnSelector

wine = load_wine()
search = GridSearchCV(
    make_pipeline(StandardScaler(), ColumnSelector(random_state=0), SVC()),
    {
        "columnselector__n_features_to_select": [2, 4, 6, 8],
        "columnselector__strategy": ["auto", "pivoted_qr", "leverage", "kmeans"],
    },
    cv=5,
).fit(wine.data, wine.target)
best = search.best_estimator_["columnselector"]

print(search.best_params_, f"accuracy {search.best_score_:.3f}")
print(*best.get_feature_names_out(wine.feature_names), sep=", ")
print(best.certificate_)

# %%
# The certificate says what is left to gain: the floor is one of every choice of columns. Principal components mix all
# measurements, and so may go below it.

X = StandardScaler().fit_transform(wine.data)
counts = np.arange(1, 13)
size = np.linalg.norm(X)
chosen = [ColumnSelector(int(k)).fit(X).certificate_ for k in counts]
mixed = [CertifiedPCA(int(k)).fit(X).certificate_ for k in counts]

fig, ax = plt.subplots(figsize=(8, 4.5))
ax.plot(counts, [c.value / size for c in chosen], ".-", label="chosen measurements")
ax.plot(counts, [c.lower_bound / size for c in chosen], "--", label="floor of every choice")
ax.plot(counts, [c.value / size for c in mixed], ".-", label="principal components")
ax.set(xlabel="number of features", ylabel="relative error", title="What few of thirteen measurements tell of all")
ax.legend()
