"""``infimum memory``: what a schedule remembers of its batches, and schedules designed from a wanted memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from infimum import memory, problems
from infimum.cli import screen
from infimum.cli.formats.opening import opened
from infimum.cli.outputs import STDOUT, Outputs
from infimum.cli.problem_command import solve_and_write
from infimum.cli.read import read_array
from infimum.errors import FileFormatError, OptionError
from infimum.proof import wording

SCHEDULE = Group("Schedule", sort_key=0)
MEASURE = Group("Measure", sort_key=1)
FLAG = Parameter(negative="", show_default=False)
HELP = """Measure the memory of a schedule: what the final weights keep of every batch and of the initialisation.

infimum memory --lr cosine --peak 3e-4 --weight-decay 0.1 --steps 100000 --warmup 2000: a named shape.
infimum memory --csv log.csv: a training log with a column for the learning rate.
infimum memory design: the other way round, a schedule from a wanted memory.

It speaks of the memory, not of the training loss."""


def build_memory() -> App:
    """Return ``infimum memory`` with its command ``design``."""
    app = App(name="memory", group="Models", help=HELP, help_format="plaintext", result_action="return_value")
    app.default(measure)
    app.command(design)
    return app


def measure(
    *,
    lr: Annotated[Literal["constant", "cosine", "linear", "wsd"] | None, Parameter(group=SCHEDULE)] = None,
    peak: Annotated[float | None, Parameter(group=SCHEDULE)] = None,
    weight_decay: Annotated[float | None, Parameter(group=SCHEDULE)] = None,
    steps: Annotated[int | None, Parameter(group=SCHEDULE)] = None,
    warmup: Annotated[int, Parameter(group=SCHEDULE)] = 0,
    final: Annotated[float | None, Parameter(group=SCHEDULE)] = None,
    csv: Annotated[Path | None, Parameter(group=SCHEDULE)] = None,
    interpolate: Annotated[bool, FLAG, Parameter(group=SCHEDULE)] = False,
    convention: Annotated[Literal["coupled", "independent", "corrected"], Parameter(group=MEASURE)] = "coupled",
    beta1: Annotated[float | None, Parameter(group=MEASURE)] = None,
    beta2: Annotated[float | None, Parameter(group=MEASURE)] = None,
    target: Annotated[str, Parameter(group=MEASURE)] = "uniform",
    initial_rms: Annotated[float | None, Parameter(group=MEASURE)] = None,
    outputs: Outputs | None = None,
) -> int:
    """Measure the memory of a schedule.

    Parameters
    ----------
    lr
        Shape of the learning rate; cosine falls to a tenth of the peak, linear and wsd (warm-up, stable, decay in
        the last fifth) fall to 0.
    peak
        Learning rate after the warm-up.
    weight_decay
        Decoupled weight decay; with --csv it may be left out if the log has a column weight_decay.
    steps
        Number of optimizer steps.
    warmup
        Steps of linear warm-up.
    final
        What the shape falls to, as a fraction of the peak.
    csv
        A log with a header and a column lr, and step and weight_decay if there are such; commas, ; or tabs separate
        them, gzip may have packed it, and - is standard input.
    interpolate
        Fill steps that the log leaves out.
    convention
        What a step loses: lr * weight_decay, weight_decay, or weight_decay * lr^2 / max lr.
    beta1
        Momentum: the figures are those of the gradients, over which it spreads the weights.
    beta2
        Factor of the second moment: its weights, too, go into what is written.
    target
        uniform, or a file with the wanted weight of every step.
    initial_rms
        Root mean square of the initialisation, for the predicted RMS.
    """
    outputs = outputs or Outputs()
    outputs.check()
    options: dict[str, Any] = {"convention": convention, "beta1": beta1, "beta2": beta2, "initial_rms": initial_rms}
    options["target"] = target if target == "uniform" else read_array(target, 1)
    if csv is not None:
        _refuse(csv, lr=lr, peak=peak, steps=steps, final=final, warmup=warmup or None)
        decay: Any = "weight_decay" if weight_decay is None else weight_decay
        measured, source = _of_log(str(csv), weight_decay=decay, interpolate=interpolate, **options)
    else:
        if lr is None or peak is None or weight_decay is None or steps is None:
            needed = {"--lr": lr, "--peak": peak, "--weight-decay": weight_decay, "--steps": steps}
            missing = ", ".join(name for name, value in needed.items() if value is None)
            raise OptionError(f"missing: {missing}; give --lr, --peak, --weight-decay and --steps, or a log with --csv")
        table = memory.lr_table(lr, steps, peak=peak, warmup=warmup, final=final)
        measured = memory.report(table, weight_decay, **options)
        warm = f", {warmup:,} of them warm-up" if warmup else ""
        source = f"{lr}, peak {peak:g}, weight decay {weight_decay:g}, {steps:,} steps{warm}"
    written = outputs.write(measured, source=source)
    if not outputs.quiet and outputs.json != STDOUT:
        rows = {"schedule": source, **{name: wording.number(value) for name, value in measured.summary().items()}}
        rows.update({f"warning {index}": text for index, text in enumerate(measured.warnings, 1)})
        if written:
            rows["written"] = ", ".join(map(str, written))
        screen.console().print(screen.facts(rows))
        screen.console().print("\nThis is about the memory of the schedule, not about its training loss.")
    return 0


def _of_log(filename: str, **options: Any) -> tuple[memory.MemoryReport, str]:
    """Measure a log as every input file is opened; errors name what was asked for, not a temporary file."""
    with opened(filename) as file:
        try:
            return memory.from_csv(file.path, **options), file.name
        except FileFormatError as error:
            raise FileFormatError(str(error).replace(str(file.path), file.name)) from error


def _refuse(csv: Path, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise OptionError(f"--{name} describes a schedule, and {csv} already holds one: give one of them")


def design(
    *,
    target: str = "uniform",
    steps: int | None = None,
    max_lr: float,
    weight_decay: float | None = None,
    proportional: Annotated[bool, FLAG] = False,
    match_rms: float | None = None,
    warmup: int = 0,
    max_initial_share: float | None = None,
    objective: Literal["tv", "ratio"] = "tv",
    beta1: float = 0.0,
    outputs: Outputs | None = None,
) -> int:
    """Design a schedule of learning rate and weight decay from a wanted memory; --save writes it as a table.

    Parameters
    ----------
    target
        uniform, or a file with the wanted weight of every step.
    steps
        Number of optimizer steps.
    max_lr
        Largest learning rate.
    weight_decay
        Decoupled weight decay.
    proportional
        Let the weight decay follow the learning rate, from --weight-decay at the peak.
    match_rms
        In place of --weight-decay: the RMS of the weights that the decay should keep.
    warmup
        Steps of linear warm-up.
    max_initial_share
        Largest share of the initialisation.
    objective
        tv: total variation distance from the target; ratio: largest over smallest weight, relative to the target.
    beta1
        Momentum; where it is not 0, the wanted memory is that of the gradients.
    """
    if (weight_decay is None) == (match_rms is None):
        raise OptionError("give either --weight-decay or --match-rms")
    if proportional and weight_decay is None:
        raise OptionError("--proportional needs --weight-decay, the decay at the peak")
    options: dict[str, Any] = {"steps": steps, "max_lr": max_lr, "warmup": warmup, "objective": objective}
    options |= {"max_initial_share": max_initial_share, "beta1": beta1}
    if match_rms is not None:
        options["weight_decay"] = memory.MatchRMS(match_rms)
    else:
        options["weight_decay"] = memory.Proportional(float(weight_decay or 0.0)) if proportional else weight_decay
    return solve_and_write(problems.get("memory.design"), (target,), options, outputs or Outputs())
