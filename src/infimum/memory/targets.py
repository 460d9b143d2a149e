"""Target profiles: how much of each batch the weights should remember at the end."""

from __future__ import annotations

from typing import Any

import numpy as np

from infimum._arrays import ArrayLike, as_array, to_numpy
from infimum.errors import OptionError, ShapeError
from infimum.proof.profiles import as_target


def forgetting(steps: int, horizon: float) -> np.ndarray:
    """Target that remembers a batch ``exp(-age / horizon)`` as much as the last one: recent data counts more.

    Parameters
    ----------
    steps : int
        Number of optimizer steps.
    horizon : float
        Age, in steps, at which the weight has fallen to 1/e.

    Returns
    -------
    array (steps,)
        The profile, 1 at the last step.

    Raises
    ------
    OptionError
        `horizon` is not positive, or the oldest batch would have no weight at all.
    """
    if not horizon > 0.0 or not np.exp(-(steps - 1) / horizon) > 0.0:
        raise OptionError(f"horizon must be above {steps / 745:.3g} for {steps} steps, got {horizon!r}")
    return np.exp(-np.arange(steps - 1, -1, -1) / horizon)


def per_sample(batch_ids: ArrayLike, wanted: ArrayLike | None = None) -> np.ndarray:
    """Target of a run over several epochs: every sample (or batch) is remembered as wanted, summed over its visits.

    Parameters
    ----------
    batch_ids : array (steps,) of int
        Which sample or batch each step visits: 0, 1, ..., any number of times.
    wanted : array (number of samples,), optional
        How much of each is to be remembered, for example its measured quality; all alike by default.

    Returns
    -------
    array (steps,)
        The profile: what is wanted of a sample, divided evenly over its visits.

    Raises
    ------
    OptionError, ShapeError
        The identifiers are not whole numbers from 0, or `wanted` has no entry for one of them.
    """
    ids = as_batch_ids(batch_ids)
    visits = np.bincount(ids)
    quality = np.ones(visits.size) if wanted is None else to_numpy(as_target(wanted, None)).astype(float)
    if quality.size < visits.size:
        raise ShapeError(f"wanted must have an entry for each of {visits.size} samples, got {quality.size}")
    return np.asarray(quality[ids] / visits[ids])


def as_batch_ids(batch_ids: Any) -> np.ndarray:
    """Return identifiers as a NumPy vector of whole numbers from 0."""
    ids = to_numpy(as_array(batch_ids, "batch_ids"))
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu" or ids.min() < 0:
        raise OptionError(
            "batch_ids must be a vector of whole numbers from 0, one a step, "
            f"got shape {ids.shape} and dtype {ids.dtype}"
        )
    return ids
