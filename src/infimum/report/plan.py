"""The report of a compression plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infimum._display import Shown
from infimum.proof import wording
from infimum.proof.certificate import Certificate
from infimum.report import plain_text

if TYPE_CHECKING:
    from infimum.compress import LayerPlan, Plan, Score


@dataclass(frozen=True)
class Comparison(Shown):
    """One row of the comparison on held-out text: a way to compress, what it removed, how good the model still is."""

    name: str
    removed: float
    score: Score
    chosen: bool = False


@dataclass(frozen=True)
class Group:
    """Layers of the same kind (their names differ only in numbers), added up.

    `channels` and `ranks` are the least and the most of those kept, empty where none is given up; `bits` those of the
    integers that are stored.
    """

    name: str
    layers: int
    dense: int
    shape: tuple[int, int]
    channels: tuple[int, ...]
    ranks: tuple[int, ...]
    bits: tuple[int, ...]
    removed: float
    error: float
    lower_bound: float
    share: float


def groups(table: Iterable[LayerPlan]) -> list[Group]:
    """Add the rows of a plan up by kind of layer, in the order of the model."""
    kinds: dict[tuple[str, tuple[int, int]], list[LayerPlan]] = {}
    for row in table:
        kinds.setdefault((kind_of(row.name), row.shape), []).append(row)
    return [_group(name, shape, rows) for (name, shape), rows in kinds.items()]


def kind_of(name: str) -> str:
    """Name of a layer with its numbers replaced: ``layer.*.attention``."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name)


def _group(name: str, shape: tuple[int, int], rows: Sequence[LayerPlan]) -> Group:
    channels = [_channels(row) for row in rows]
    ranks = [row.rank for row in rows if row.rank < min(row.kept)]
    bits = [row.bits for row in rows if row.bits]
    return Group(
        name=name,
        layers=len(rows),
        dense=sum(row.form == "dense" for row in rows),
        shape=shape,
        channels=_ends(channels) if any(row.kept != row.shape for row in rows) else (),
        ranks=_ends(ranks),
        bits=_ends(bits),
        removed=1.0 - sum(row.cost for row in rows) / sum(row.dense_cost for row in rows),
        error=sum(row.error for row in rows),
        lower_bound=sum(row.lower_bound for row in rows),
        share=sum(row.share for row in rows),
    )


def _ends(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted({min(numbers), max(numbers)})) if numbers else ()


def _channels(row: LayerPlan) -> int:
    """Return how many channels are kept: of the side that is narrowed, or the larger one."""
    return next((k for k, whole in zip(row.kept, row.shape, strict=True) if k != whole), max(row.shape))


def sizes(plan: Plan) -> dict[str, dict[str, int]]:
    """Count before and after, on every denominator: numbers of the linear layers, and of the model, and bytes."""
    from infimum.compress.menu.budget import bytes_of
    from infimum.compress.write.folder import bytes_of_output

    everything = sum(plan.checkpoint.sizes.values())
    return {
        "linear": {"before": plan.linear_size, "after": plan.linear_size - plan.removed},
        "all": {"before": everything, "after": everything - sum(row.dense_cost - row.cost for row in plan.table)},
        "bytes": {"before": bytes_of(plan.checkpoint), "after": bytes_of_output(plan)},
    }


def bytes_on_disk(plan: Plan, out: Path) -> dict[str, int]:
    """Size of the weight files before and after."""
    before = sum(path.stat().st_size for path in set(plan.checkpoint.files.values()))
    written = (path for path in out.glob("model*") if path.suffix in (".safetensors", ".gguf"))
    return {"before": before, "after": sum(path.stat().st_size for path in written)}


def content(
    plan: Plan,
    out: Path | None = None,
    comparisons: Sequence[Comparison] = (),
    held_out: str = "",
    seconds: float | None = None,
    own_format: Plan | None = None,
) -> dict[str, Any]:
    """Gather what the report says, as plain data.

    `out` is the folder where the plan was saved; `comparisons` are rows of scores on the text `held_out`; `seconds`
    is the time from calibration to the plan; `own_format` is the plan in infimum's own format, if that is another.
    """
    from infimum.compress.budget_curve import DENOMINATORS, POINTS, neighbours

    certificate, tokens = plan.certificate, plan.moments.tokens
    return {
        "model": plan.checkpoint.path.name,
        "architecture": next(iter(plan.checkpoint.config.architectures or ()), "unknown architecture"),
        "folder": str(out) if out else "",
        "verify": plain_text.command("infimum", "verify", str(out)) if out else "",
        "settings": asdict(plan.settings),
        "numbers": sizes(plan),
        "denominator": {"name": DENOMINATORS[plan.settings.of], "numbers": plan.denominator},
        "bytes": bytes_on_disk(plan, out) if out else None,
        "budget": plan.budget,
        "multiplier": plan.multiplier,
        "certificate": _claims(certificate),
        "claim": wording.sentence(certificate),
        "own_format": None if own_format is None else _claims(own_format.certificate),
        "groups": [asdict(group) for group in groups(plan.table)],
        "layers": [{**asdict(row), "gap": row.gap} for row in plan.table],
        "curve": [list(point) for point in plan.curve(POINTS, within=neighbours(plan.settings.remove))],
        "comparisons": [{**asdict(row), "figures": row.score.figures} for row in comparisons],
        "measure": comparisons[0].score.measure if comparisons else "",
        "extent": comparisons[0].score.extent if comparisons else "",
        "held_out": held_out,
        "calibration": {
            "source": tokens.source,
            "paragraphs": tokens.rows,
            "tokens": tokens.count,
            "sha256": tokens.sha256,
            "seed": plan.moments.seed,
            "goal": plan.moments.goal,
            "projections": plan.moments.projections,
        },
        "hashes": plan.checkpoint.sha256,
        "notes": list(plan.notes),
        "peak_memory": plan.peak_memory,
        "seconds": seconds,
        "versions": plain_text.versions("numpy", "scipy", "torch", "transformers", "safetensors"),
    }


def _claims(certificate: Certificate) -> dict[str, Any]:
    return {
        "value": certificate.value,
        "lower_bound": certificate.lower_bound,
        "gap": certificate.gap,
        "relative_gap": certificate.gap / certificate.value if certificate.value else 0.0,
        "theorem": certificate.theorem,
        "theorem_page": plain_text.theorem_page(certificate.theorem),
        "rigour": certificate.rigour,
    }


def draw_layers(axes: Any, content: dict[str, Any]) -> None:
    """Draw what is kept of every layer, in the order of the model: one row per kind of layer."""
    kinds: dict[str, list[float]] = {}
    for row in content["layers"]:
        kinds.setdefault(kind_of(row["name"]), []).append(row["cost"] / row["dense_cost"])
    longest = max(map(len, kinds.values()))
    table = [shares + [float("nan")] * (longest - len(shares)) for shares in kinds.values()]
    image = axes.imshow(table, aspect="auto", cmap="viridis", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, label="kept")
    axes.set_yticks(range(len(kinds)), [plain_text.short_kind(kind) for kind in kinds], fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="layer of that kind, in the order of the model")
