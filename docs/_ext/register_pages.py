"""Write the parts of the documentation that follow from the code: the table of problems, the API lists, benchmarks."""

import importlib
import importlib.util
import inspect
import pkgutil
from pathlib import Path

import infimum
from benchmarks import instead, model_tables, records, tables
from infimum.problems import PROBLEMS

# many problems at once, so no entry of the register
COMPRESS = (
    "| [compress](/compress.md) | total error of the layers of a transformer, weighted by what they see, over all "
    "ranks and widths within a budget | {py:obj}`infimum.compress.plan` |"
)
TOP = ("infimum.Certificate", "infimum.verify", "infimum.from_json", "infimum.proof.result.Result")  # of api/index.rst


def problem_table():
    """Return the register, and compression, as a Markdown table."""
    rows = ["| problem | minimised | function |", "|---|---|---|"]
    rows += [
        f"| [{p.command}](/problems/{p.command}.md) | {p.minimises} | {{py:obj}}`infimum.{p.name}` |" for p in PROBLEMS
    ]
    return "\n".join([*rows, COMPRESS]) + "\n"


def ground():
    """Return the helpers that all rooms share, by module, each with the first line of its docstring."""
    lines = []
    for part in sorted(pkgutil.iter_modules(infimum.__path__)):
        if not part.name.startswith("_") or part.name == "__main__":
            continue
        module = importlib.import_module(f"infimum.{part.name}")
        lines += ["", f"## {module.__name__}", "", inspect.cleandoc(module.__doc__ or "").partition("\n\n")[0], ""]
        for name in own_names(module):
            text = inspect.cleandoc(getattr(module, name).__doc__ or "").partition("\n\n")[0].replace("\n", " ")
            lines += [f"`{name}`", f": {text}", ""]
    return "\n".join(lines)


def modules():
    """Yield the public modules of infimum that exist, in alphabetical order."""
    for name in sorted(infimum.__all__):
        if importlib.util.find_spec(f"infimum.{name}"):
            yield importlib.import_module(f"infimum.{name}")


def names(module):
    """Return the qualified public names of a module; of a package that exports none, those of its modules."""
    listed = getattr(module, "__all__", None) or own_names(module)
    if not listed and hasattr(module, "__path__"):
        parts = sorted(part.name for part in pkgutil.iter_modules(module.__path__, f"{module.__name__}."))
        return [name for part in parts for name in names(importlib.import_module(part))]
    return [f"{module.__name__}.{name}" for name in sorted(listed, key=str.lower)]


def own_names(module):
    """Return the public functions and classes that a module defines itself."""
    return [
        name
        for name, item in vars(module).items()
        if callable(item) and not name.startswith("_") and getattr(item, "__module__", None) == module.__name__
    ]


def all_names():
    """Return every name that has a page."""
    return [*TOP, *(name for module in modules() for name in names(module))]


def distinct_file_names():
    """Return a file name for every class: `SVD` and `svd` would share one where case does not count."""
    return {name: f"{name}.class" for name in all_names() if name.rpartition(".")[2][:1].isupper()}


def remove_stale(folder, keep):
    """Delete the pages of names that are gone; autosummary itself never does."""
    current = {keep.get(name, name) for name in all_names()}
    for page in folder.glob("*.rst"):
        if page.stem not in current:
            page.unlink()


def api_page(module):
    """Return the reference page of a module."""
    title, entries = module.__name__, "\n".join(f"    {name}" for name in names(module))
    text = inspect.cleandoc(module.__doc__ or "")
    return f"{title}\n{'=' * len(title)}\n\n{text}\n\n.. autosummary::\n    :toctree: ../generated\n\n{entries}\n"


def write(app, config):
    """Write the generated parts; a file is touched only when its text changes, so that builds stay incremental."""
    config.autosummary_filename_map = distinct_file_names()
    remove_stale(Path(app.srcdir) / "api" / "generated", keep=config.autosummary_filename_map)
    parts = {
        "_generated/problems.md": problem_table(),
        "_generated/instead.md": instead.markdown(records.RESULTS),
        "_generated/ground.md": ground(),
        "_generated/benchmarks.md": tables.markdown(records.RESULTS),
        **{f"_generated/{name}.md": page for name, page in model_tables.pages(records.MODELS).items()},
        **{f"api/modules/{module.__name__}.rst": api_page(module) for module in modules()},
    }
    for name, text in parts.items():
        path = Path(app.srcdir) / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def skip_foreign(app, what, name, item, skip, options):
    """Leave out members that a class inherits from another library, such as those of torch.nn.Module."""
    origin = getattr(getattr(item, "fget", item), "__module__", None)
    return True if origin and not origin.startswith("infimum") else None


def setup(app):
    """Write as soon as the configuration is known: before Sphinx looks for pages."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("config-inited", write)
    app.connect("autodoc-skip-member", skip_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
