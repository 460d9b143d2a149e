"""The base of schedulers that write the learning rate **and** the weight decay."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from infimum.errors import OptionError


class DecayScheduler(LRScheduler):
    """Abstract base: a scheduler that knows the weight decay as well, and restores both.

    Groups whose weight decay is 0 when the scheduler is made (biases, norms) keep it at 0.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        for group in optimizer.param_groups:
            if "weight_decay" not in group:
                raise OptionError(f"{type(optimizer).__name__} has no weight decay to schedule in its parameter groups")
            group.setdefault("initial_weight_decay", float(group["weight_decay"]))
        super().__init__(optimizer, last_epoch)

    def get_weight_decay(self) -> list[float]:
        """Return the weight decay of every group at the present step."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Move on to the next step; call it after the optimizer's."""
        self._decay_is_set = False
        super().step(epoch)
        if not self._decay_is_set:  # a PyTorch without _update_lr has set the learning rate only
            self._set()

    def _update_lr(self, epoch: int | None = None) -> None:
        # torch calls this, not step(), when SequentialLR switches schedulers
        super()._update_lr(epoch)
        self._set()

    def _set(self) -> None:
        self._decay_is_set = True
        self._last_weight_decay = self.get_weight_decay()
        for group, decay in zip(self.optimizer.param_groups, self._last_weight_decay, strict=True):
            _put(group, "weight_decay", decay if group["initial_weight_decay"] else 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimizer, and whether this scheduler is the one that sets its present values."""
        groups = self.optimizer.param_groups
        in_charge = all(float(group["lr"]) == float(lr) for group, lr in zip(groups, self._last_lr, strict=True))
        return {**super().state_dict(), "in_charge": in_charge}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore everything, then write learning rate and weight decay to the optimizer.

        So the first step after a resume uses the right ones, whether the optimizer's state was loaded before or after
        this scheduler was made. A scheduler that was not in charge (another one of a SequentialLR was) writes nothing.
        """
        state = dict(state_dict)
        in_charge = state.pop("in_charge", True)
        super().load_state_dict(state)
        if in_charge:
            self._restore()

    def _restore(self) -> None:
        for group, lr in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            _put(group, "lr", float(lr))
        self._set()


def _put(group: dict[str, Any], name: str, value: float) -> None:
    if isinstance(group[name], Tensor):
        group[name].fill_(value)
    else:
        group[name] = value
