"""Pictures for the gallery of the two experiments that take too long to run while it is built."""

import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

EXAMPLES = Path(__file__).parents[2] / "examples"
DRAWN = "_generated/schedules_on_text.png"


def losses():
    """Return the held-out losses of every schedule at its tuned peak, from the stored runs."""
    runs = json.loads((EXAMPLES / "schedules_on_text.json").read_text(encoding="utf-8"))["runs"]
    found = {}
    for name in dict.fromkeys(run["schedule"] for run in runs):
        tuning = {run["peak"]: run["loss"] for run in runs if run["schedule"] == name and run["seed"] == 0}
        best = min(tuning, key=tuning.get)
        found[name] = [r["loss"] for r in runs if r["schedule"] == name and r["seed"] and r["peak"] == best]
    return found


def draw(app, config):
    """Draw the held-out losses of the schedules, every seed a point."""
    path = Path(app.srcdir) / DRAWN
    path.parent.mkdir(exist_ok=True)
    with matplotlib.rc_context(fname=Path(app.srcdir) / "matplotlibrc"):
        figure = Figure(figsize=(5, 3.5), layout="constrained")
        axes = figure.subplots()
        for place, values in enumerate(losses().values()):
            axes.plot(values, np.full(len(values), place), "o", alpha=0.7)
        axes.set_yticks(range(len(losses())), list(losses()))
        axes.invert_yaxis()
        axes.set(xlabel="held-out loss, nats a byte")
        figure.savefig(path)


def setup(app):
    """Draw before the gallery looks for its thumbnails."""
    app.connect("config-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
