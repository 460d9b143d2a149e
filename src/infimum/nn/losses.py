"""Losses on the routing of a batch: towards balance over a sequence, a batch or all processes, and small logits."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torch import distributed

from infimum._arguments import one_of
from infimum.balance import aux_loss
from infimum.balance.losses import Form
from infimum.errors import OptionError, ShapeError
from infimum.nn.router import Routing

Scope: TypeAlias = Literal["sequence", "batch", "global"]


def balance_loss(
    routing: Routing,
    *,
    scope: Scope = "batch",
    form: Form = "switch",
    padding_mask: torch.Tensor | None = None,
    group: distributed.ProcessGroup | None = None,
) -> torch.Tensor:
    """Auxiliary loss of a routing, with gradients for the router: `infimum.balance.aux_loss` with counts of its scope.

    The scores of every token are divided by their sum first.

    Parameters
    ----------
    routing : Routing
        What `BalancedRouter` returned: of shape (tokens, .), or (..., tokens, .) with a sequence in each leading entry.
    scope : {"sequence", "batch", "global"}
        Whose loads are to be even. "sequence": of every sequence by itself, averaged (DeepSeek-V3's complement of the
        bias; its factor is 1e-4). "batch": of all tokens of this process. "global": of those of all processes, of which
        each contributes the gradient of its own tokens; averaged over processes, as DistributedDataParallel does, that
        is the gradient of the batch of all, if each has equally many tokens.
    form : {"switch", "product", "ste", "entropy"}
        See `infimum.balance.aux_loss`.
    padding_mask : tensor (...), optional
        True for padding, which does not count.
    group : ProcessGroup, optional
        Processes of "global"; default: all of them, or this one alone where torch.distributed is not initialised.

    Returns
    -------
    tensor ()
        float32 at least. A sequence of padding alone counts as balanced as it can be: its gradient is 0.

    Raises
    ------
    OptionError, ShapeError
        An unknown scope, or a mask of another shape.

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V3 technical report", arXiv:2412.19437, section 2.1.2: balance of a sequence.
    .. [2] Z. Qiu et al., "Demons in the detail: on implementing load balancing loss for training specialized
       mixture-of-expert models", arXiv:2501.11873: balance of the global batch.

    Examples
    --------
    >>> import torch
    >>> from infimum import nn
    >>> routing = nn.BalancedRouter(16, 8, 2)(torch.randn(4, 32, 16))
    >>> loss = nn.balance_loss(routing, scope="sequence")
    >>> loss.shape, loss.requires_grad
    (torch.Size([]), True)
    """
    one_of("scope", scope, get_args(Scope))
    if group is not None and scope != "global":
        raise OptionError(f'group is for scope="global", got scope="{scope}"')
    real = _real_tokens(routing, padding_mask)
    n = routing.scores.shape[-1]
    probs = routing.scores / routing.scores.sum(-1, keepdim=True).clamp_min(torch.finfo(routing.scores.dtype).tiny)
    chosen = torch.zeros_like(routing.scores).scatter_add(-1, routing.experts, routing.active.to(probs.dtype))
    chosen = (chosen * real[..., None]).detach()
    probs = probs * real[..., None]
    if scope != "sequence":
        probs, chosen, real = probs.reshape(-1, n), chosen.reshape(-1, n), real.flatten()
    counts, tokens = chosen.sum(-2), real.sum(-1)
    if scope == "global" and distributed.is_available() and distributed.is_initialized():
        counts = counts.contiguous()
        distributed.all_reduce(counts, group=group)
    if not probs.numel():
        return probs.sum()
    # `aux_loss` takes the mean over all rows: padding rows are 0, so that a factor makes it that of the real ones
    factor = real.shape[-1] / tokens.clamp_min(1)
    loss: torch.Tensor = aux_loss(probs * factor[..., None, None], counts, form)
    return loss


def z_loss(routing: Routing, *, padding_mask: torch.Tensor | None = None) -> torch.Tensor:
    """Mean square of the logarithm of the sum of the exponentials of a router's logits: keeps them small.

    Parameters
    ----------
    routing : Routing
        What `BalancedRouter` returned.
    padding_mask : tensor (...), optional
        True for padding, which does not count.

    Returns
    -------
    tensor ()
        float32 at least. A common factor is 1e-3.

    References
    ----------
    .. [1] B. Zoph et al., "ST-MoE: designing stable and transferable sparse expert models", arXiv:2202.08906.

    Examples
    --------
    >>> import torch
    >>> from infimum import nn
    >>> routing = nn.BalancedRouter(16, 8, 2)(torch.zeros(5, 16))
    >>> round(nn.z_loss(routing).item(), 4)  # log(8) ** 2
    4.3241
    """
    real = _real_tokens(routing, padding_mask)
    squares = torch.logsumexp(routing.logits, dim=-1).square() * real
    return squares.sum() / real.sum().clamp_min(1)


def _real_tokens(routing: Routing, padding_mask: torch.Tensor | None) -> torch.Tensor:
    shape = routing.scores.shape[:-1]
    if padding_mask is None:
        return torch.ones(shape, dtype=routing.scores.dtype, device=routing.scores.device)
    if padding_mask.shape != shape:
        raise ShapeError(f"padding_mask must have shape {tuple(shape)}, got {tuple(padding_mask.shape)}")
    return (~padding_mask.bool()).to(routing.scores.dtype)
