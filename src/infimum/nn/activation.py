"""Activations that are polynomials, with a proof of how near they are to the function they stand for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from infimum import minimax
from infimum.errors import DTypeError, OptionError
from infimum.proof.certificate import Certificate
from infimum.proof.enclosure.approximants import ChebyshevSum
from infimum.proof.enclosure.change_of_basis import clenshaw, rounded_sums
from infimum.proof.wording import error_label

# slopes at minus and plus infinity; of every other function they are taken for 0
SLOPES = {**dict.fromkeys(("gelu", "gelu_tanh", "silu", "mish", "softplus", "relu"), (0.0, 1.0)), "abs": (-1.0, 1.0)}
NARROW = (torch.float16, torch.bfloat16)


class Pieces(NamedTuple):
    """A polynomial on [low, high] and straight lines outside, as Python numbers.

    The polynomial is ``x**start * sum c_k T_k(u)``, with ``u = (x**stride - centre) / radius``; `derivative` are the
    coefficients of the derivative by u.
    """

    low: float
    high: float
    slopes: tuple[float, float]
    start: int
    stride: int
    centre: float
    radius: float
    coefficients: tuple[float, ...]
    derivative: tuple[float, ...]

    @classmethod
    def of(cls, approximant: ChebyshevSum, low: float, high: float, slopes: tuple[float, float]) -> Pieces:
        """Take a stored polynomial over."""
        space, (first, last) = approximant.space, approximant.interval
        coefficients, radius = rounded_sums(approximant.coefficients), last / 2 - first / 2
        derivative = np.polynomial.chebyshev.chebder(coefficients).tolist()
        parts = (space.start, space.stride, first / 2 + last / 2, radius)
        return cls(low, high, slopes, *parts, tuple(coefficients), tuple(derivative))

    def value(self, x: torch.Tensor) -> torch.Tensor:
        """Return the polynomial inside, straight lines from its ends outside."""
        inner = x.clamp(self.low, self.high)
        u = (inner**self.stride - self.centre) / self.radius
        y: torch.Tensor = clenshaw(self.coefficients, u) * inner**self.start
        left, right = self.slopes
        if left:  # a slope of 0 times an infinite distance would be no number
            y = y + left * (x - self.low).clamp(max=0.0)
        return y + right * (x - self.high).clamp(min=0.0) if right else y

    def slope(self, x: torch.Tensor) -> torch.Tensor:
        """Return the derivative of `value`: inside that of the polynomial, outside that of the lines."""
        inner = x.clamp(self.low, self.high)
        u = (inner**self.stride - self.centre) / self.radius
        growth = self.stride * inner ** (self.stride - 1) / self.radius
        y = clenshaw(self.derivative, u) * growth * inner**self.start
        if self.start:  # 1: the product rule
            y = y + clenshaw(self.coefficients, u)
        y = torch.where(x < self.low, self.slopes[0], y)
        return torch.where(x > self.high, self.slopes[1], y)


class _Apply(torch.autograd.Function):
    """The pieces with their own derivative, so that training keeps the input and none of the intermediate sums."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: torch.Tensor, pieces: Pieces) -> torch.Tensor:
        return pieces.value(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, Pieces], output: torch.Tensor) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.pieces = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ctx.pieces.slope(x), None


class MinimaxActivation(torch.nn.Module):
    """An activation as the polynomial whose largest error on an interval is least, with the proof of it.

    For hardware, encrypted inference and kernels where a polynomial is cheap and an exponential is not; in place of
    ``torch.nn.GELU()`` and the like. The coefficients are those of `infimum.minimax.polynomial`.

    - Inside `interval` the error is at most ``certificate.value``, and no polynomial of that degree has less than
      ``certificate.lower_bound`` there. The certificate speaks of exact arithmetic; see Notes.
    - Outside the activation goes on as a straight line from the polynomial's value at the end, so that it is
      continuous: with the slopes of the function's asymptotes for "gelu", "gelu_tanh", "silu", "mish", "softplus" and
      "relu" (0 and 1) and for "abs", and flat for every other function, unless `slopes` says otherwise.
    - There are neither parameters nor buffers: a model keeps loading the checkpoints it was trained with.

    Parameters
    ----------
    function : str or callable
        As in `infimum.minimax.polynomial`: "gelu", "silu", "tanh", "sigmoid", an expression in x, ...
    degree : int
        Largest degree.
    interval : (float, float)
        Where the polynomial is used.
    slopes : (float, float), optional
        Slopes to the left and to the right of the interval.

    Attributes
    ----------
    certificate : Certificate
        Of the polynomial on `interval`.
    polynomial : MinimaxPolynomial
        The polynomial; ``infimum.verify(layer.polynomial, function)`` derives its certificate again.

    Raises
    ------
    OptionError, NonFiniteError, DTypeError
        Each says what was expected, what came, and what to do.

    Notes
    -----
    It is computed in the input's dtype, in float32 for 16-bit inputs, by Clenshaw's recurrence, which is stable up to
    high degrees; rounding adds some units of the last digit of that dtype to the error. A function that comes
    monotonically nearer to its asymptote outside of the interval, as those above do from 2 on, has there at most the
    error ``certificate.value`` plus its own distance from the asymptote at the end.

    Gradients are those of the polynomial and of the lines; the certificate does not speak of them. Next to the ends of
    the interval, where the activation has a kink, the slope may be off by some ``2 * degree**2 / (high - low)`` times
    the error: choose an interval that holds nearly all inputs.

    Examples
    --------
    >>> import torch
    >>> from infimum import nn
    >>> gelu = nn.MinimaxActivation("gelu", degree=16)
    >>> print(gelu)
    MinimaxActivation('gelu', degree=16, interval=(-8, 8), error 0.010653)
    >>> x = torch.linspace(-20, 20, 1001)
    >>> bool((gelu(x) - torch.nn.functional.gelu(x)).abs().max() <= gelu.certificate.value + 1e-6)
    True
    """

    def __init__(
        self,
        function: Any,
        degree: int,
        interval: tuple[float, float] = (-8.0, 8.0),
        *,
        slopes: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        low, high = map(float, interval)
        self.polynomial = minimax.polynomial(function, degree, (low, high))
        self.function = function if isinstance(function, str) else self.polynomial.f
        chosen = SLOPES.get(self.function, (0.0, 0.0)) if slopes is None else tuple(map(float, slopes))
        if len(chosen) != 2 or not np.all(np.isfinite(chosen)):
            raise OptionError(f"slopes must be two finite numbers, of the left and of the right, got {slopes!r}")
        approximant = self.polynomial.approximant
        assert isinstance(approximant, ChebyshevSum)  # of a degree, not of a list of functions
        self._pieces = Pieces.of(approximant, low, high, (chosen[0], chosen[1]))

    @property
    def certificate(self) -> Certificate:
        """Certificate of the polynomial on the interval."""
        return self.polynomial.certificate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the activation to every number of a floating tensor; shape and dtype stay."""
        if not x.is_floating_point():
            raise DTypeError(f"x must be a real floating tensor, got {x.dtype}; convert it with x.float() first")
        wide = x.float() if x.dtype in NARROW else x
        return _Apply.apply(wide, self._pieces).to(x.dtype)  # type: ignore[no-any-return, no-untyped-call]

    def extra_repr(self) -> str:
        """Describe the layer inside its parent's repr."""
        low, high = self._pieces.low, self._pieces.high
        error = error_label(self.certificate)
        return f"{self.function!r}, degree={self.polynomial.degree}, interval=({low:g}, {high:g}), {error}"
