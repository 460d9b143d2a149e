"""``infimum inspect``: what a checkpoint holds, and what each budget would cost, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table

from infimum.cli import screen
from infimum.cli.screen import FLAG, LOUD, Talk
from infimum.proof.folder import check_model_folder

if TYPE_CHECKING:
    from infimum.compress import Checkpoint, Plan


def inspect(
    model: Annotated[Path, Parameter(name="MODEL_DIR")],
    /,
    *,
    calib: str = "pydoc",
    tokens: int | None = None,
    tensors: Annotated[bool, FLAG] = False,
    curve: Annotated[bool, Parameter(show_default=False)] = True,
    talk: Talk = LOUD,
) -> int:
    """Show what a checkpoint holds, which layers can be compressed, and what each budget would cost. Writes nothing.

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
    """
    check_model_folder(model)  # before transformers is imported
    with screen.progress("reading the model", talk) as on_progress:
        from infimum import compress as room

        checkpoint = room.open_checkpoint(model)
        plan = room.plan(checkpoint, remove=0.0, calib=calib, tokens=tokens, on_progress=on_progress) if curve else None
    show_tensors(checkpoint, every=tensors)
    if plan is not None:
        screen.console().print()
        show_curve(plan)
    return 0


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
        f"fractions of the linear weights; {plan.settings.objective} objective, menu {', '.join(plan.settings.menu)}, "
        f"calibrated on {plan.moments.tokens.source} ({plan.moments.tokens.count:,} tokens)",
        style="dim",
    )
