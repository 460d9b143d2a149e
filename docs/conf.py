"""Sphinx configuration. Nothing is fetched: no CDN, no fonts, no inventories of other projects."""

import os
import sys
from pathlib import Path

import infimum

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
# one style for every picture: the gallery runs in this process, the pages in kernels that inherit the variable
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
os.environ.setdefault("OMP_NUM_THREADS", "2")

project = "infimum"
author = "The infimum developers"
copyright = "The infimum developers, Apache License 2.0"
version = release = infimum.__version__

extensions = [
    "mathml",
    "posts",
    "register_pages",
    "thumbnails",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
# the gallery writes notebooks and scripts beside its pages, which myst-nb would take for more pages
exclude_patterns = ["_build", "_generated", "gallery/*.ipynb", "gallery/*.py", "gallery/*.json"]

# `make linkcheck` follows what leads to other pages and files here; it fetches nothing
linkcheck_ignore = [r"https?://"]

html_theme = "furo"
html_title = f"infimum {release}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/logo.svg"
html_logo = "_static/logo.svg"
html_math_renderer = "mathml"
html_copy_source = False
pygments_style = "tango"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autosummary_generate = True
default_role = "code"  # single backticks in docstrings name parameters
autodoc_typehints = "none"  # the numpydoc sections say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "reset_modules": ("gallery_style.reset",),
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "remove_config_comments": True,
}
