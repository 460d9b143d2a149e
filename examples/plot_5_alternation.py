"""
The error that cannot be beaten
===============================

The best polynomial of degree n makes its largest error at n + 2 points, with alternating signs. Whoever sees such a
curve has seen the proof: a polynomial that does better would have to cross this one n + 1 times.
"""

# %%
# GELU, the activation function of BERT and GPT-2, on [-8, 8]: its Taylor polynomial, the polynomial through Chebyshev
# points, and the best one, all of degree 12.

import matplotlib.pyplot as plt
import numpy as np

from infimum import minimax
from infimum.proof.enclosure.parsing import parse

DEGREE, DOMAIN = 12, (-8.0, 8.0)

gelu = parse("gelu")
x = np.linspace(*DOMAIN, 2000)
best = minimax.polynomial("gelu", DEGREE, DOMAIN)
chebyshev = np.polynomial.Chebyshev.interpolate(gelu, DEGREE, DOMAIN)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.plot(x, gelu(x), color="0.6", lw=4, label="GELU")
left.plot(x, best(x), "--", label=f"best polynomial of degree {DEGREE}")
left.legend()
left.set(xlabel="x")
right.plot(x, gelu(x) - chebyshev(x), color="0.7", label="through Chebyshev points")
best.plot(right)
right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, frameon=False)

print(best.certificate)

# %%
# Every polynomial can be asked how far it is from the best, and in which direction that lies.

taylor = [0.0, 0.5, 1 / np.sqrt(2 * np.pi)]
found = minimax.check(taylor, "gelu", (-1.0, 1.0))
print(f"Taylor: error {found.certificate.value:.3g}, the best of this degree {found.certificate.lower_bound:.3g}")
print(f"{found.alternations} alternations of the {found.needed} that an optimum has")

# %%
# How fast does the error fall with the degree? For analytic functions geometrically, for a kink like 1/n. Bernstein
# showed in 1914 that n times the error for abs(x) tends to a constant and guessed 1/(2 sqrt(pi)); it is 0.28016949...

fig, ax = plt.subplots(figsize=(8, 4))
degrees = np.arange(2, 31, 4)
for name, domain in (("abs", (-1, 1)), ("gelu", (-8, 8)), ("tanh", (-3, 3)), ("exp", (-1, 1))):
    errors = [minimax.polynomial(name, int(n), domain).certificate.value for n in degrees]
    ax.semilogy(degrees, errors, "o-", ms=4, label=f"{name} on [{domain[0]}, {domain[1]}]")
ax.set(xlabel="degree", ylabel="least error", ylim=(1e-20, 2))
ax.legend()
