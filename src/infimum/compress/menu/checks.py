"""Whether what is asked of a plan fits the checkpoint."""

from __future__ import annotations

import fnmatch

from infimum.compress.measure.moments import Moments
from infimum.compress.menu.settings import Settings
from infimum.compress.model.checkpoint import Checkpoint
from infimum.errors import CalibrationError, OptionError


def check_names(checkpoint: Checkpoint, settings: Settings) -> None:
    """Ask that `keep` and `only` name layers, and leave some to be replaced."""
    names = [layer.name for layer in settings.layers_of(checkpoint)]
    for pattern in (*settings.keep, *settings.only):
        if not fnmatch.filter(names, pattern):
            raise OptionError(f"no linear layer is called {pattern}; {names[0]} is one of {len(names)} names")
    if not any(map(settings.takes, names)):
        raise OptionError(f"keep and only leave none of {len(names)} layers to be replaced; drop a pattern")


def check_target(error: float) -> None:
    """Ask that a total error can be aimed at."""
    if not error > 0.0:
        raise OptionError(f"the target must be a total error above 0, got {error}")


def check_moments(checkpoint: Checkpoint, moments: Moments, *, split: bool) -> None:
    """Ask that moments are those of a checkpoint, and of two halves of the text if they must be `split`."""
    if split and moments.judge is None:
        raise CalibrationError("a menu with 'bits' needs moments of two halves of the text; calibrate with split=True")
    layers = checkpoint.layers + checkpoint.vocabulary
    shapes = {layer.name: layer.shape for layer in layers}
    shapes |= {head: shapes[shared] for head, shared in checkpoint.tied.items() if shared in shapes}
    got = moments.layers.shapes
    if not got or any(shapes.get(name) != shape for name, shape in got.items()):
        raise CalibrationError(
            f"moments of the linear layers of {checkpoint.path.name} were expected, got those of "
            f"{len(got)} layers that are not its own; calibrate this checkpoint"
        )
