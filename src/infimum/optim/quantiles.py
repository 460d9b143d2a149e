"""Exact quantiles of scores that are spread over processes, and the bias that they give."""

from __future__ import annotations

from collections.abc import Sequence

from infimum._arguments import optional

optional("torch", "torch")

import numpy as np  # noqa: E402  (after the check for torch)
import torch  # noqa: E402
from torch import distributed  # noqa: E402

from infimum._linalg import transposed  # noqa: E402
from infimum.balance.search.sweeps import neighbours, thresholds  # noqa: E402
from infimum.errors import DTypeError, ShapeError  # noqa: E402

DIGITS = ((21, 11), (10, 11), (0, 10))  # shift and width in bits: three histograms of at most 2048 bins
ALL = 2**32 - 1


def order_statistics(
    values: torch.Tensor, ranks: torch.Tensor, groups: Sequence[distributed.ProcessGroup] = ()
) -> torch.Tensor:
    """Find exact order statistics of every column of a matrix whose rows are spread over processes.

    The bits of a float, read as an integer, are in the order of the floats. Three histograms over its digits, summed
    over the processes, therefore find the very element: the answer has no bins' width, and does not depend on how
    the rows are spread. Every process sends n x 2048 counts three times, whatever the number of rows.

    Parameters
    ----------
    values : tensor (m, n)
        float32 without NaN: the rows of this process, possibly none.
    ranks : tensor (q, n) or (n,)
        ``ranks[i, j] = r`` asks for the r-th largest of column j, 1 <= r <= rows of all processes together.
    groups : sequence of torch.distributed.ProcessGroup
        The sum is taken over each in turn; none: this process alone.

    Returns
    -------
    tensor (q, n) or (n,)
        float32.

    Raises
    ------
    DTypeError, ShapeError
        Another dtype, or ranks that do not fit the columns.

    Examples
    --------
    >>> import torch
    >>> order_statistics(torch.tensor([[3.0], [1.0], [2.0]]), torch.tensor([2]))
    tensor([2.])
    """
    if values.dtype != torch.float32:
        raise DTypeError(f"values must be float32, got {values.dtype}; convert them first")
    if values.ndim != 2 or ranks.shape[-1] != values.shape[1] or ranks.ndim > 2:
        raise ShapeError(f"values (m, n) and ranks (q, n) expected, got {tuple(values.shape)} and {tuple(ranks.shape)}")
    n = values.shape[1]
    bits = values.contiguous().view(torch.int32).long() & ALL
    keys = torch.where(bits > ALL // 2, bits, ALL // 2 - bits)  # the largest float has the smallest key
    left = ranks.reshape(-1, n).long()
    found = torch.zeros_like(left)
    for shift, width in DIGITS:
        bins = 2**width
        place = ((keys >> shift) & (bins - 1)) + torch.arange(n, device=keys.device) * bins
        prefix = keys >> (shift + width)
        histogram = torch.stack([place[prefix == row].bincount(minlength=n * bins) for row in found])
        for group in groups:
            distributed.all_reduce(histogram, group=group)
        reached = histogram.reshape(-1, n, bins).cumsum(-1)
        digit = (reached < left[..., None]).sum(-1, keepdim=True).clamp(max=bins - 1)
        left = left - torch.where(digit > 0, reached.gather(-1, (digit - 1).clamp(min=0)), 0)[..., 0]
        found = (found << width) | digit[..., 0]
    bits = torch.where(found > ALL // 2, found, ALL // 2 - found)
    return torch.where(bits > ALL // 2, bits - ALL - 1, bits).int().view(torch.float32).reshape(ranks.shape)


def quantile_bias(
    scores: Sequence[torch.Tensor],
    bias: torch.Tensor,
    k: int,
    load: torch.Tensor,
    rows: int,
    *,
    midpoint: bool,
    threshold: bool = False,
    groups: Sequence[distributed.ProcessGroup] = (),
) -> torch.Tensor:
    """One sweep of coordinate descent on the dual of balanced routing: thresholds of the tokens, then new biases.

    Parameters
    ----------
    scores : sequence of tensor (m, n)
        float32 scores of this process, of l layers that go through the same operations; -inf where an expert is not
        admitted. Layers may differ in m.
    bias : tensor (l, n)
        The biases that the tokens' thresholds are taken with.
    k : int
        Experts per token.
    load : tensor (l, n)
        Wanted loads over all processes, float64.
    rows : int
        Tokens of all processes together in each layer, at least 1.
    midpoint : bool
        Middle of the optimal interval instead of its lower end (the rule as published).
    threshold : bool
        Threshold routing: no top-k, so tokens have no thresholds of their own, and one sweep is exact.
    groups : sequence of torch.distributed.ProcessGroup
        As in `order_statistics`.

    Returns
    -------
    tensor (l, n)
        float32; not centred. The old bias where a column has too few admitted scores.
    """
    if not groups and bias.device.type == "cpu":  # layer by layer: what one needs stays in the cache
        parts = zip(scores, bias.numpy(), load.numpy(), strict=True)
        swept = [_sweep(one.numpy(), b, c, k, midpoint=midpoint, threshold=threshold) for one, b, c in parts]
        wanted = torch.from_numpy(np.stack(swept))
    else:
        margins = [_margins(one, shift, k, midpoint, threshold) for one, shift in zip(scores, bias, strict=True)]
        whole = load.floor()
        after = whole + 1  # of c and c + 1, or twice the same if c is not whole
        before = torch.where((load == whole) & midpoint, whole, after)
        ranks = torch.stack([before, after] if midpoint else [after]).clamp(1, rows).long().flatten(1)
        # every layer adds its columns; where it has fewer tokens than others, rows that are below all of its own
        table = torch.nn.utils.rnn.pad_sequence(margins, padding_value=-torch.inf).flatten(1)
        wanted = order_statistics(table, ranks, groups).mean(0).reshape(bias.shape)
    return torch.where(torch.isfinite(wanted), -wanted, bias)


def _margins(scores: torch.Tensor, bias: torch.Tensor, k: int, midpoint: bool, threshold: bool) -> torch.Tensor:
    """Return scores less the thresholds of their tokens."""
    if threshold:
        return scores
    top = (scores + bias).topk(k + 1, dim=-1).values
    last, next_ = top[:, k - 1 : k], top[:, k:]
    if midpoint:
        next_ = torch.where(torch.isfinite(next_), (last + next_) / 2, last)
    return scores - torch.where(torch.isfinite(next_), next_, last)


def _sweep(
    scores: np.ndarray, bias: np.ndarray, load: np.ndarray, k: int, *, midpoint: bool, threshold: bool
) -> np.ndarray:
    """Do the work of `quantile_bias` for one layer on the host, where partitions are the quickest way."""
    columns = transposed(scores)
    if not threshold:
        last, next_ = neighbours(scores + bias, np.array([float(k)]))
        level = (last + next_) / 2 if midpoint else next_
        columns -= level if np.isfinite(level).all() else np.where(np.isfinite(next_), level, last)
    return thresholds(columns, load, midpoint=midpoint)
