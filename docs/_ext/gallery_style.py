"""Give every gallery script the style of the pages; the gallery's own reset goes back to matplotlib's defaults."""

import os

import matplotlib


def reset(gallery_conf, file_name):
    """Load docs/matplotlibrc before a script runs."""
    matplotlib.use("agg")
    matplotlib.rc_file(os.path.join(gallery_conf["src_dir"], "matplotlibrc"))
