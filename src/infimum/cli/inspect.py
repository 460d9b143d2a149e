"""``infimum inspect``: what a checkpoint holds, and what each budget would cost, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.table import Table

from infimum.cli import screen
from infimum.cli.layer_table import table_of
from infimum.cli.screen import FLAG, LOUD, Talk
from infimum.errors import OptionError
from infimum.proof import wording
from infimum.proof.checkpoint import Description, read_description
from infimum.proof.folder import DESCRIPTION, check_model_folder
from infimum.report.files import check_output
from infimum.report.page import data_beside

if TYPE_CHECKING:
    from infimum.compress import Checkpoint, Plan

Of = Literal["linear", "all", "bytes"]


def inspect(
    model: Annotated[Path, Parameter(name="MODEL_DIR")],
    /,
    *,
    calib: str = "pydoc",
    tokens: int | None = None,
    tensors: Annotated[bool, FLAG] = False,
    curve: Annotated[bool, Parameter(show_default=False)] = True,
    of: Of = "linear",
    report: Path | None = None,
    force: Annotated[bool, FLAG] = False,
    talk: Talk = LOUD,
) -> int:
    """Show what a checkpoint holds, which layers can be compressed, and what each budget would cost.

    Of an output of infimum compress: what was chosen, as the output claims it; infimum verify derives it.

    Parameters
    ----------
    model
        Folder of a transformers checkpoint.
    calib
        Calibration text: pydoc, a .txt, .jsonl or .npy file; see infimum compress.
    tokens
        Size of the calibration.
    tensors
        List every tensor, not only kinds of tensors.
    curve
        The table of budget and least error; it needs a calibration run.
    of
        What budgets are fractions of: the weights of the linear layers, those of the whole model, or the bytes.
    report
        Also write a page (.html) with a slider for the budget, and its content beside it (.json).
    force
        Replace a report that exists.
    """
    check_model_folder(model)  # before transformers is imported
    if report is not None:
        check_output(report, suffixes=(".html",), overwrite=force)
        check_output(data_beside(report), overwrite=force)
    if (model / DESCRIPTION).is_file():
        if not talk.quiet:
            show_output(read_description(model))
        _write(model, report, talk, force=force)
        return 0
    if report is not None and not curve:
        raise OptionError("--report shows what each budget costs: it needs the curve; leave --no-curve out")
    with screen.progress("reading the model", talk) as on_progress:
        from infimum import compress as room

        checkpoint = room.open_checkpoint(model)
        options: dict[str, Any] = {"remove": 0.0, "of": of, "calib": calib, "tokens": tokens}
        plan = room.plan(checkpoint, **options, on_progress=on_progress) if curve else None
    if not talk.quiet:
        show_tensors(checkpoint, every=tensors)
    if plan is not None:
        if not talk.quiet:
            screen.console().print()
            show_curve(plan)
        _write(plan, report, talk, force=force)
    return 0


def _write(subject: Plan | Path, report: Path | None, talk: Talk, *, force: bool) -> None:
    """Write the page of budgets, if one is asked for, and say so."""
    if report is None:
        return
    from infimum.report import write_budgets

    write_budgets(subject, report, overwrite=force)
    if not talk.quiet:
        screen.console().print(f"\nwritten: {report}")


def show_output(described: Description) -> None:
    """Print what was chosen of every kind of layer, and what is claimed of it."""
    from infimum.report.plan import groups

    console = screen.console()
    console.print(table_of(groups(described.layers)))
    rows = {
        "total error": wording.number(described.value),
        "lower bound": f"{wording.number(described.lower_bound)} for every plan within this budget",
        "original": described.original,
    }
    console.print()
    console.print(screen.facts(rows))
    console.print("claimed by the output; infimum verify derives it", style="dim")


def show_tensors(checkpoint: Checkpoint, *, every: bool) -> None:
    """Print the tensors, or the kinds of tensors, and whether each is a layer that can be compressed."""
    from infimum.report.plan import kind_of

    console = screen.console()
    compressible = {layer.tensor for layer in checkpoint.layers}
    vocabulary = [layer.tensor for layer in checkpoint.vocabulary]
    kinds: dict[str, list[str]] = {}
    for name in checkpoint.sizes:
        kinds.setdefault(name if every else kind_of(name), []).append(name)
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("tensor" if every else "tensors", overflow="fold")
    for name in ("number", "weights", "compressible"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, names in kinds.items():
        linear = sum(name in compressible for name in names)
        mark = "yes" if linear == len(names) else f"{linear} of {len(names)}" if linear else "-"
        mark = "if counted" if set(names) <= set(vocabulary) else mark
        table.add_row(kind, str(len(names)), f"{sum(checkpoint.sizes[name] for name in names):,}", mark)
    console.print(table)
    linear = sum(layer.size for layer in checkpoint.layers)
    total = sum(checkpoint.sizes.values())
    console.print(
        f"\n{len(checkpoint.layers)} layers can be compressed: {linear:,} of {total:,} weights ({linear / total:.1%})"
    )
    if vocabulary:
        console.print(
            f"{' and '.join(vocabulary)} can become integers of few bits where the budget counts them: "
            "infimum compress with --size, --of bytes or --of all"
        )
    for note in () if vocabulary else checkpoint.notes:
        console.print(f"note: {note}")


def show_curve(plan: Plan) -> None:
    """Print the least total error against the fraction removed."""
    from infimum.compress import knee
    from infimum.compress.budget_curve import DENOMINATORS

    points = [point for point in plan.curve(points=40) if 0.0 < point[0] <= 0.75]
    bend = knee(points)
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for name in ("removed", "least error found", "lower bound"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    highest = max(point[1] for point in points)
    for fraction, error, bound in points:
        table.add_row(
            f"{fraction:.1%}",
            f"{error:.4g}",
            f"{bound:.4g}",
            "█" * round(30 * error / highest) + (" ◄ knee" if fraction == bend else ""),
        )
    console = screen.console()
    console.print(table)
    console.print(f"knee: beyond {bend:.1%} one per cent more costs more than the average of this table", style="bold")
    console.print(
        f"fractions of {DENOMINATORS[plan.settings.of]}; {plan.settings.objective} objective, "
        f"menu {', '.join(plan.settings.menu)}, calibrated on {plan.moments.tokens.source} "
        f"({plan.moments.tokens.extent})",
        style="dim",
    )
