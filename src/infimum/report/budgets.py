"""The page of budgets: what every size would make of each layer, or what a written output has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infimum.proof.theorems import allocation_dual
from infimum.proof.wording import number, printable
from infimum.report import plain_text
from infimum.report.plan import groups, kind_of

if TYPE_CHECKING:
    from infimum.compress import Plan, Preview
    from infimum.proof.checkpoint import Description, LayerPlan

LOSSES = {
    "loss": "a model of the increase of the loss, in nats per token",
    "logits": "a model of the divergence of the answers to a row of text",
}
DECADES = 1e-8  # what is drawn of the largest error
FIRST, LAST, CHOSEN = "budget-first", "budget-last", "budget-chosen"  # of lines in the picture, which the page moves


def of_plan(plan: Plan, previews: Sequence[Preview]) -> dict[str, Any]:
    """Gather what the page says of the budgets that a plan could have, as plain data."""
    from infimum.compress.menu.budget import ORDER_BYTES, bytes_of
    from infimum.compress.model.tensor_files import ITEM_BYTES

    whole, kind = bytes_of(plan.checkpoint), plan.checkpoint.kind
    rows = []
    for one in previews:
        removed = sum((row.dense_cost - row.cost) * ITEM_BYTES[kind(row.tensor)] for row in one.table)
        removed -= sum(ORDER_BYTES * row.kept[0] for row in one.table if row.form == "pivot")
        figures = {"remove": one.remove, "bytes": whole - removed, "value": one.value, "lower_bound": one.lower_bound}
        rows.append({**figures, **_layers(one.table)})
    tokens = plan.moments.tokens
    calibration = {"goal": plan.moments.goal, "source": tokens.source, "tokens": tokens.count}
    common = _common(plan.checkpoint.path, asdict(plan.settings), calibration)
    return {**common, "whole": whole, "map": _map(previews[0].table), "budgets": rows}


def of_output(out: Path, described: Description) -> dict[str, Any]:
    """Gather what the page says of a written output, as plain data; it repeats what the output claims."""
    table = described.layers
    size = sum(path.stat().st_size for path in out.glob("model*") if path.suffix in (".safetensors", ".gguf"))
    removed = 1.0 - sum(row.cost for row in table) / sum(row.dense_cost for row in table)
    figures = {"remove": removed, "bytes": size, "value": described.value, "lower_bound": described.lower_bound}
    settings = {**described.settings, "of": "linear"}
    calibration = {name: described.calibration[name] for name in ("goal", "tokens")} | {"source": "the stored text"}
    rows = [{**figures, **_layers(table)}]
    return {**_common(out, settings, calibration), "whole": None, "map": _map(table), "budgets": rows}


def _common(folder: Path, settings: dict[str, Any], calibration: dict[str, Any]) -> dict[str, Any]:
    from infimum.compress.budget_curve import DENOMINATORS

    return {
        "model": folder.resolve().name,
        "folder": str(folder),
        "menu": list(settings["menu"]),
        "objective": settings["objective"],
        "denominator": DENOMINATORS[settings["of"]],
        "calibration": calibration,
        "loss": LOSSES.get(calibration["goal"], "a model of how far the output moves"),
        "theorem_name": allocation_dual.THEOREM,
        "theorem_page": plain_text.theorem_page(allocation_dual.THEOREM),
        "versions": plain_text.versions("numpy", "scipy", "torch", "transformers", "safetensors"),
    }


def _layers(table: Sequence[LayerPlan]) -> dict[str, Any]:
    kinds = [
        {
            "name": plain_text.short_kind(group.name),
            "layers": group.layers,
            "dense": group.dense,
            "became": _became(group.channels, group.ranks, group.bits),
            "kept": 1.0 - group.removed,
            "error": group.error,
            "share": group.share,
        }
        for group in groups(table)
    ]
    layers = [{"name": row.name, "kept": row.cost / row.dense_cost, "became": _form(row)} for row in table]
    return {"kinds": kinds, "layers": layers}


def _became(channels: tuple[int, ...], ranks: tuple[int, ...], bits: tuple[int, ...]) -> str:
    named = (("{} channels", channels), ("rank {}", ranks), ("{} bits", bits))
    words = [name.format(" to ".join(map(str, ends))) for name, ends in named if ends]
    return ", ".join(words) or "as it is"


def _form(row: LayerPlan) -> str:
    """Say in a few words what became of a layer."""
    narrow = f", {row.kept[0]} × {row.kept[1]}" if row.kept != row.shape else ""
    if row.form == "dense":
        return "as it is"
    if row.bits:
        rank = f", rank {row.rank}" if row.rank < min(row.kept) else ""
        return f"{row.bits} bits, groups of {row.group}{rank}{narrow}"
    return f"rank {row.rank}{narrow}" if row.rank < min(row.kept) else f"full rank{narrow}"


def draw(axes: Any, content: dict[str, Any]) -> None:
    """Draw error and bound of every budget, and the lines by which the page knows where budgets stand.

    From one end of the slider to the other errors grow by powers of ten: the axis is logarithmic.
    """
    budgets = content["budgets"]
    highest = max(one["value"] for one in budgets)
    x = [100 * one["remove"] for one in budgets]
    axes.plot(x, [one["value"] for one in budgets], "-", label="error of the best plan found")
    axes.plot(x, [one["lower_bound"] for one in budgets], "--", label="lower bound for every plan")
    for name, place in ((FIRST, x[0]), (LAST, x[-1]), (CHOSEN, x[0])):
        axes.axvline(place, color="C2" if name == CHOSEN else "none", gid=name)
    axes.set(xlabel=f"removed, per cent of {content['denominator']}", ylabel="total error")
    if highest > 0.0:
        axes.set(yscale="log", ylim=(DECADES * highest, 2.0 * highest))
    axes.legend(loc="upper left")


def script(content: dict[str, Any]) -> str:
    """Return what the page's script reads: of every budget the words and lengths in which it is shown."""
    budgets, last = content["budgets"], content["budgets"][-1]["remove"]
    shown = []
    for one in budgets:
        cards = {
            "size": plain_text.size(one["bytes"]),
            "remove": plain_text.percent(one["remove"]),
            "value": number(one["value"]),
            "bound": number(one["lower_bound"]),
        }
        if content["calibration"]["goal"] == "loss":
            cards["perplexity"] = plain_text.growth(one["value"])
        kinds = [
            (
                k["name"],
                k["layers"],
                k["dense"],
                k["became"],
                plain_text.percent(k["kept"]),
                f"{k['error']:.4g}",
                plain_text.percent(k["share"]),
            )
            for k in one["kinds"]
        ]
        layers = [(row["name"], row["became"], plain_text.percent(row["kept"])) for row in one["layers"]]
        shown.append({"place": one["remove"] / last if last else 0.0, "cards": cards, "kinds": kinds, "layers": layers})
    return printable(json.dumps(shown)).replace("<", "\\u003c")  # no text ends the script


def _map(table: Sequence[LayerPlan]) -> dict[str, list[int]]:
    """Return the places of the layers of each kind in the list of all layers, in the order of the model."""
    kinds: dict[str, list[int]] = {}
    for place, row in enumerate(table):
        kinds.setdefault(plain_text.short_kind(kind_of(row.name)), []).append(place)
    return kinds
