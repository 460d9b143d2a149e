"""Write the parts of the documentation that follow from the code: the table of problems, the API lists, benchmarks."""

import importlib
import importlib.util
from pathlib import Path

import infimum
from benchmarks import tables
from infimum.problems import PROBLEMS


def problem_table():
    """Return the register as a Markdown table."""
    rows = ["| problem | minimised | function |", "|---|---|---|"]
    rows += [
        f"| [{p.command}](/problems/{p.command}.md) | {p.minimises} | {{py:obj}}`infimum.{p.name}` |" for p in PROBLEMS
    ]
    return "\n".join(rows) + "\n"


def modules():
    """Yield the public modules of infimum that exist, in alphabetical order."""
    for name in sorted(infimum.__all__):
        if importlib.util.find_spec(f"infimum.{name}"):
            yield importlib.import_module(f"infimum.{name}")


def api_list(module):
    """Return an autosummary of the public names of a module."""
    names = sorted(getattr(module, "__all__", None) or own_names(module), key=str.lower)
    summary = (module.__doc__ or "").partition("\n")[0]
    entries = "\n".join(f"    {module.__name__}.{name}" for name in names)
    title = module.__name__
    return f"{title}\n{'-' * len(title)}\n\n{summary}\n\n.. autosummary::\n    :toctree: generated\n\n{entries}\n\n"


def own_names(module):
    """Return the public functions and classes that a module defines itself."""
    return [
        name
        for name, item in vars(module).items()
        if not name.startswith("_") and getattr(item, "__module__", None) == module.__name__
    ]


def write(app):
    """Write the generated parts; a file is touched only when its text changes, so that builds stay incremental."""
    generated = Path(app.srcdir) / "_generated"
    generated.mkdir(exist_ok=True)
    parts = {
        "problems.md": problem_table(),
        "benchmarks.md": tables.markdown(Path(app.srcdir).parent / "benchmarks" / "results"),
        "api.rst": "".join(api_list(module) for module in modules()),
    }
    for name, text in parts.items():
        path = generated / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app):
    """Write before autosummary looks for its entries."""
    app.connect("builder-inited", write, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
