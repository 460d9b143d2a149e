"""``infimum compress``: a real checkpoint, made smaller under one certified budget."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args

from cyclopts import Group, Parameter
from rich.table import Table

from infimum._arguments import one_of
from infimum.cli import processes, screen
from infimum.cli.layer_table import table_of
from infimum.cli.screen import FLAG, LOUD, Talk
from infimum.cli.words import ABOVE_0, OF, REMOVE, SEED, wanted_size
from infimum.errors import OptionError, OutputError
from infimum.proof import wording
from infimum.proof.folder import check_model_folder
from infimum.report import plain_text
from infimum.report.files import check_folder, check_output
from infimum.report.page import data_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infimum.compress import Checkpoint, Plan
    from infimum.compress.measure.progress import Progress
    from infimum.compress.measure.samples import Inputs
    from infimum.compress.menu.settings import Kind
    from infimum.report.plan import Comparison

CHOICES = Group("Choices", sort_key=1)
OUTPUT = Group("Output", sort_key=2)
HELD_OUT = 8192  # tokens on which all but encoders are compared: a perplexity is then known to a few per cent


def compress(
    model: Annotated[Path, Parameter(name="MODEL_DIR")],
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"), group=OUTPUT)],
    remove: Annotated[float, Parameter(group=CHOICES)] = REMOVE,
    size: Annotated[str | None, Parameter(group=CHOICES)] = None,
    target_objective: Annotated[float | None, ABOVE_0, Parameter(group=CHOICES)] = None,
    of: Annotated[Literal["linear", "all", "bytes"], Parameter(group=CHOICES)] = OF,
    calib: Annotated[str, Parameter(group=CHOICES)] = "pydoc",
    held_out: Annotated[str, Parameter(group=CHOICES)] = "pydoc",
    objective: Annotated[Literal["two-sided", "activation", "plain"], Parameter(group=CHOICES)] = "two-sided",
    allocation: Annotated[Literal["global", "uniform"], Parameter(group=CHOICES)] = "global",
    menu: Annotated[str, Parameter(group=CHOICES)] = "auto",
    form: Annotated[Literal["pivot", "factors"], Parameter(group=CHOICES)] = "pivot",
    keep: Annotated[tuple[str, ...], Parameter(group=CHOICES, consume_multiple=True, negative=())] = (),
    only: Annotated[tuple[str, ...], Parameter(group=CHOICES, consume_multiple=True, negative=())] = (),
    tokens: Annotated[int | None, Parameter(group=CHOICES)] = None,
    max_tokens: Annotated[int | None, Parameter(group=CHOICES)] = None,
    projections: Annotated[int, Parameter(group=CHOICES)] = 1,
    seed: Annotated[int, SEED, Parameter(group=CHOICES)] = 0,
    plain: Annotated[bool, FLAG, Parameter(group=OUTPUT)] = False,
    format: Annotated[Literal["auto", "infimum", "compressed-tensors", "gguf"], Parameter(group=OUTPUT)] = "auto",
    adapter: Annotated[int | None, Parameter(group=OUTPUT)] = None,
    compare: Annotated[bool, Parameter(negative="--no-compare", show_default=False, group=OUTPUT)] = True,
    report: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    force: Annotated[bool, FLAG, Parameter(group=OUTPUT)] = False,
    talk: Annotated[Talk, Parameter(group=OUTPUT)] = LOUD,
) -> int:
    """Compress the linear layers of a transformer checkpoint, with a certificate for the whole budget.

    Writes a new folder: weights, tokenizer, configuration and infimum.json. infimum.compress.load reads it back as a
    working module; infimum verify derives every bound again. Several processes share halves of the text and layers
    where torchrun starts them: torchrun --nproc-per-node 2 -m infimum compress ...

    Parameters
    ----------
    model
        Folder of a transformers checkpoint (config.json, tokenizer, safetensors weights).
    out
        Folder to write; it must not exist.
    remove
        Fraction of the numbers to remove: 0.2 removes 20 per cent and keeps 80.
    size
        Instead of a fraction: the bytes that the weight files may take, such as 200MB.
    target_objective
        Instead of a fraction: remove as much as possible with a total error of at most this (of a language model: a
        modelled increase of the loss, in nats per token).
    of
        What the fraction counts: the weights of the linear layers, all of the model, or the bytes of all its tensors.
    calib
        Calibration text: pydoc (the Python documentation), a .txt file with blank lines between paragraphs, a .jsonl
        file with a "text" field, or with "text" and "text_pair", or a .npy file of token ids; of a model of images or
        sound a folder of them (sound: .wav).
    held_out
        Text, or folder, on which dense and compressed model are compared; pydoc takes topics that calibration never
        sees.
    objective
        Norm of a layer's error: input moments and output gradients, input moments alone, or neither.
    allocation
        global: ranks that make the summed error least; uniform: the same fraction for every layer.
    menu
        What layers may become, separated by commas: bits (integers of 2 to 8 bits, made by one half of the text and
        judged by the other), ranks (matrices of lower rank), widths (fewer channels of MLPs, which makes a model
        faster). auto: bits,ranks,widths; with --plain or a uniform allocation ranks,widths for language models and
        ranks for encoders.
    form
        How a layer of rank r is stored without bits in the menu: pivot takes r(m + n - r) numbers, factors r(m + n).
    keep
        Layers that stay as they are: names, or patterns such as '*.attention.*'; several after one --keep.
    only
        Layers that alone may be replaced: names or patterns.
    tokens
        Size of the calibration: rows of the text are drawn until they hold so many tokens. By default 32768 for a
        language model, all for an encoder. More is better, and slower in proportion.
    max_tokens
        Longest row, in tokens: by default passages of 512 for a language model, paragraphs of 64 for an encoder.
    projections
        Of all but language models: random projections of the output per paragraph.
    seed
        Seed of the draw and of the projections.
    plain
        Write full-shape weights, the factors multiplied out, which stock transformers loads as any checkpoint: for
        tools that know no other form. The files are as large as the original's.
    format
        How few bits are stored. infimum: everything of the menu, loaded by infimum.compress.load. compressed-tensors: 4
        and 8 bits, loaded by stock transformers with the package compressed-tensors, and by vLLM. gguf: a block type of
        GGML for each layer, in OUT/model.gguf, which runs in llama.cpp. auto: compressed-tensors for a language model
        whose menu is auto if the budget leaves room for 4 bits, otherwise infimum.
    adapter
        With --plain: write also OUT/adapter, the best matrices of this rank for what is lost, as a LoRA adapter for
        peft.
    compare
        Measure the original and the compressed model on the held-out text, for which both are loaded whole. All else
        takes memory for one block of the model, the embeddings and the output head.
    report
        Write a report, one self-contained .html file, and its content as .json beside it.
    force
        Overwrite the report; the model folder is never overwritten.
    """
    wanted = wanted_size(size, remove, target_objective, of)
    if adapter is not None and not plain:
        raise OptionError("--adapter needs --plain: peft attaches it to the layers of stock transformers")
    _check_outputs(out, model, report, overwrite=force)
    check_model_folder(model)  # before transformers is imported
    talk = talk if processes.is_first() else Talk(quiet=True)
    with processes.joined(), screen.progress("reading the model", talk) as on_progress:
        from infimum import compress as room
        from infimum.compress.file_size import fraction_for
        from infimum.report import write

        checkpoint = room.open_checkpoint(model)
        # before the work: the text may be missing
        unseen = _unseen(checkpoint, calib, held_out, max_tokens) if compare else None
        source, start = "" if unseen is None else unseen.source, time.perf_counter()
        if wanted is not None:
            remove, of = fraction_for(checkpoint, wanted), "bytes"
        choices: dict[str, Any] = {"objective": objective, "allocation": allocation, "plain": plain}
        choices |= {"menu": _kinds(menu), "form": form, "format": format, "keep": keep, "only": only}
        choices |= {"remove": remove if target_objective is None else 0.0, "of": of}
        choices |= {"tokens": tokens, "max_tokens": max_tokens, "projections": projections, "seed": seed}
        plan = room.plan(checkpoint, **choices, calib=calib, on_progress=on_progress)
        plan = _searched(plan, target_objective, wanted, on_progress)
        seconds, own = time.perf_counter() - start, None
        if report is not None and plan.settings.format != "infimum":
            own = plan.with_own_format(on_progress=on_progress)
        if not processes.is_first():
            return 0
        plan.save(out, adapter=adapter)
        details = {"out": out, "seconds": seconds, "own_format": own}
        if report is not None:  # before the comparison, for which both models are loaded whole
            write(plan, report, overwrite=force, **details)
        comparisons = [] if unseen is None else _score_both(plan, out, unseen, on_progress)
        if report is not None and comparisons:
            write(plan, report, overwrite=True, comparisons=comparisons, held_out=source, **details)
    if not talk.quiet:
        show_plan(plan, comparisons, source)
        _show_search(plan, target_objective, wanted)
        paths = [str(out), *([str(report)] if report else [])]
        screen.console().print(f"\nwritten: {', '.join(paths)}; check it with: infimum verify {out}")
    return 0


def _check_outputs(out: Path, model: Path, report: Path | None, *, overwrite: bool) -> None:
    """Refuse what cannot be written, before any work is done."""
    if out.exists():
        raise OutputError(f"{out} exists; choose a new folder, or remove that one first")
    if out.resolve().is_relative_to(model.resolve()):
        raise OutputError(f"{out} lies inside {model}, which is to stay as it is; choose a folder beside it")
    check_folder(out)
    if report is not None:
        check_output(report, suffixes=(".html", ".htm"), overwrite=overwrite)
        check_output(data_beside(report), overwrite=overwrite)


def _kinds(menu: str) -> Sequence[Kind] | Literal["auto"]:
    """Read what layers may become."""
    from infimum.compress.menu.settings import Kind

    if menu == "auto":
        return "auto"
    kinds = [kind.strip() for kind in menu.split(",")]
    for kind in kinds:
        one_of("menu", kind, get_args(Kind))
    return cast(list[Kind], kinds)


def _searched(plan: Plan, target: float | None, size: float | None, on_progress: Progress) -> Plan:
    """Find the budget that has a wanted error, or files of a wanted size; without either, it is the plan's own."""
    if target is not None:
        return plan.with_target(target, on_progress=on_progress)
    return plan if size is None else plan.with_size(size, on_progress=on_progress)


def _show_search(plan: Plan, target: float | None, size: float | None) -> None:
    """Print what no plan of a wanted error can remove, or how large the files are of which the size was wanted."""
    from infimum.compress.file_size import ENOUGH, files_bytes

    console = screen.console()
    if target is not None:
        most = plan.most_removable(target)
        console.print(f"\nno plan that removes {most:.2%} or more has an error of {target:g} or less")
    if size is not None:
        written = files_bytes(plan)
        replaced = any(row.form != "dense" for row in plan.table)
        fits = "no plan that was tried comes nearer" if replaced else "all of the model fits in"
        why = "" if written >= ENOUGH * size else f": {fits}"
        console.print(f"\nweight files: {written:,} bytes, {written / size:.1%} of what was allowed{why}")


def _unseen(checkpoint: Checkpoint, calib: str, text: str, max_tokens: int | None) -> Inputs:
    """Tokens, or other inputs, on which the models are compared."""
    from infimum.compress import tokens_for

    if Path(calib).is_dir() and text == "pydoc":
        raise OptionError(
            "--held-out must be a folder, as --calib is, on which both models are compared, or --no-compare"
        )
    unseen: Inputs = tokens_for(checkpoint, text, max_tokens=max_tokens, held_out=True)
    return unseen if checkpoint.head.goal == "embedding" else unseen.sample(HELD_OUT, seed=0)


def _score_both(plan: Plan, out: Path, unseen: Inputs, on_progress: Progress) -> list[Comparison]:
    """Score the original and the compressed model."""
    from infimum.compress import load, scorer
    from infimum.report.plan import Comparison

    on_progress("comparing", 0, 2)
    original = plan.checkpoint.load()
    score = scorer(original, unseen, pooling=plan.checkpoint.head.pooling)
    dense = Comparison("dense", 0.0, score(original))
    on_progress("comparing", 1, 2)
    return [dense, Comparison("compressed", share_removed(plan), score(load(out)), chosen=True)]


def share_removed(plan: Plan) -> float:
    """Fraction of the linear weights that is no longer stored."""
    return plan.removed / plan.linear_size


def show_plan(plan: Plan, comparisons: list[Comparison], held_out: str) -> None:
    """Print the table of layer kinds, the certificate, and the comparison, if there is one."""
    from infimum.report.plan import groups, sizes

    console = screen.console()
    console.print(table_of(groups(plan.table)))
    certificate = plan.certificate
    rows = {
        "total error": wording.number(certificate.value),
        "lower bound": f"{wording.number(certificate.lower_bound)} for every plan within this budget",
        "gap": f"{certificate.gap / certificate.value:.2g} of the error" if certificate.value else "0",
    }
    for name, count in sizes(plan).items():
        label = {"linear": "linear weights", "all": "all weights", "bytes": "bytes"}[name]
        rows[label] = f"{count['before']:,} to {count['after']:,} ({1 - count['after'] / count['before']:.1%} removed)"
    rows["calibration"] = f"{plan.moments.tokens.source}, {plan.moments.tokens.extent}, seed {plan.moments.seed}"
    rows["peak memory"] = plain_text.size(plan.peak_memory)
    console.print()
    console.print(screen.facts(rows))
    for note in plan.notes:
        console.print(f"note: {note}")
    if comparisons:
        console.print()
        show_comparisons(comparisons, held_out)


def show_comparisons(comparisons: list[Comparison], held_out: str) -> None:
    """Print how good each model is on held-out text."""
    console = screen.console()
    first = comparisons[0].score
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first.measure)
    for name in ("removed", *first.figures):
        table.add_column(name, justify="right", no_wrap=True)
    for row in comparisons:
        table.add_row(row.name, f"{row.removed:.1%}", *row.score.figures.values(), style="bold" if row.chosen else "")
    console.print(table)
    console.print(f"held-out text: {held_out}, {first.extent}", style="dim")
