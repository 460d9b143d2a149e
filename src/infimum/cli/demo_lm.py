"""``infimum demo-lm``: a small language model, compressed at three budgets, measured on texts it was not tuned on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from infimum.cli import language_model, screen
from infimum.cli.demo import clear
from infimum.cli.screen import FLAG, LOUD, Talk
from infimum.cli.words import SEED

if TYPE_CHECKING:
    from infimum.cli.screen import OnProgress
    from infimum.compress import Checkpoint, Moments, Plan, Tokens
    from infimum.compress.measure.text import Text
    from infimum.report.plan import Comparison

FRACTIONS = (0.1, 0.2, 0.3)
SAVED = 0.2
CALIBRATION_ARTICLES = 60  # the others are held out
HELD_OUT = {"Wikipedia": 8192, "Python documentation": 4096}  # tokens


def demo_lm(
    *,
    wheel: Path,
    out: Path = Path("demo-lm-output"),
    tokens: int = 32_768,
    seed: Annotated[int, SEED] = 0,
    force: Annotated[bool, FLAG] = False,
    talk: Talk = LOUD,
) -> int:
    """Compress SmolLM2-135M by 10, 20 and 30 per cent and measure its perplexity: by estimate half an hour.

    Calibrated on Wikipedia articles; measured on other articles, and on the Python documentation as a second domain.

    Parameters
    ----------
    wheel
        The wheel of gensim 4.4.0, whose test data holds the articles; it need not be installed.
    out
        Folder for the original and the compressed model and the report.
    tokens
        Size of the calibration: half of them take half of the time, and give a somewhat worse model.
    seed
        Seed of the calibration.
    force
        Replace what an earlier demo left in the folder.
    """
    folder, report = clear(out, force=force)
    articles = language_model.articles(wheel)
    with screen.progress("reading the model", talk) as on_progress:
        from infimum import compress as room
        from infimum.report import write

        checkpoint = room.open_checkpoint(language_model.model_folder(out))
        start = time.perf_counter()
        calibration = articles[:CALIBRATION_ARTICLES]
        sizes: dict[str, Any] = {"tokens": tokens, "seed": seed, "split": True}
        moments = room.calibrate(checkpoint, calibration, **sizes, on_progress=on_progress)
        plans = plan_all(checkpoint, moments, on_progress)
        seconds = time.perf_counter() - start
        chosen = plans[FRACTIONS.index(SAVED)]
        chosen.save(folder)
        comparisons = compare_budgets(checkpoint, plans, articles[CALIBRATION_ARTICLES:], on_progress)
        held_out = f"Wikipedia, {len(articles) - CALIBRATION_ARTICLES} articles that calibration did not see"
        details = {"comparisons": comparisons["Wikipedia"], "held_out": held_out, "seconds": seconds}
        write(chosen, report, overwrite=force, out=folder, **details)
    show(plans, comparisons)
    screen.console().print(f"\nreport: {report}\nmodel:  {folder} (check it with: infimum verify {folder})")
    return 0


def plan_all(checkpoint: Checkpoint, moments: Moments, on_progress: OnProgress) -> list[Plan]:
    """Plan every budget on the same moments and spectra."""
    from infimum import compress as room

    choices: dict[str, Any] = {"menu": ("ranks", "widths"), "moments": moments}
    first = room.plan(checkpoint, remove=FRACTIONS[0], **choices, on_progress=on_progress)
    return [first, *(first.with_budget(fraction, on_progress=on_progress) for fraction in FRACTIONS[1:])]


def held_out(checkpoint: Checkpoint, unseen: list[str]) -> dict[str, Tokens]:
    """Return the tokens on which models are measured, of both domains."""
    from infimum import compress as room

    texts: dict[str, Text] = {"Wikipedia": unseen, "Python documentation": "pydoc"}
    return {
        name: room.tokens_for(checkpoint, text, held_out=True).sample(HELD_OUT[name], seed=0)
        for name, text in texts.items()
    }


def compare_budgets(
    checkpoint: Checkpoint, plans: list[Plan], unseen: list[str], on_progress: OnProgress
) -> dict[str, list[Comparison]]:
    """Measure the original and every compressed model on both held-out texts."""
    from infimum import compress as room
    from infimum.cli.compress import share_removed
    from infimum.report.plan import Comparison

    tokens = held_out(checkpoint, unseen)
    rows: dict[str, list[Comparison]] = {name: [] for name in tokens}
    for index, plan in enumerate((None, *plans)):
        on_progress("comparing", index, len(plans) + 1)
        model = checkpoint.load()
        if plan is not None:
            plan.apply(model)
        for name, text in tokens.items():
            score = room.perplexity(model, text)
            removed = 0.0 if plan is None else share_removed(plan)
            label = "dense" if plan is None else "infimum"
            is_saved = plan is not None and plan.settings.remove == SAVED
            rows[name].append(Comparison(label, removed, score, chosen=is_saved))
    return rows


def show(plans: list[Plan], comparisons: dict[str, list[Comparison]]) -> None:
    """Print the certificates of the plans and the perplexities on both texts."""
    from infimum.cli.compress import show_comparisons

    console = screen.console()
    tokens = plans[0].moments.tokens
    console.print("SmolLM2-135M-Instruct, its linear weights but for embeddings and head", style="bold")
    console.print(
        "The package holds the model in 4 bits. Their rounding errors look like full-rank noise, which lifts the small "
        "singular values: this copy is harder to compress than the original floats would be."
    )
    console.print(f"calibration: {tokens.count:,} tokens of Wikipedia, seed {plans[0].moments.seed}\n")
    for plan in plans:
        certificate = plan.certificate
        console.print(
            f"{plan.settings.remove:.0%}: modelled increase of the loss {certificate.value:.4f} nats per token; "
            f"no plan of this budget below {certificate.lower_bound:.4f} "
            f"(gap {certificate.gap / certificate.value:.1e})"
        )
    for name, rows in comparisons.items():
        console.print()
        show_comparisons(rows, name)
