"""What became of the layers of a model, as a table on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from infimum.report import plain_text

if TYPE_CHECKING:
    from infimum.report.plan import Group


def table_of(groups: Sequence[Group]) -> Table:
    """Return the table of layer kinds; what no layer became has no column, so that names fit a terminal."""
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("layers", overflow="fold")
    became = [name for name in ("channels", "ranks", "bits") if any(getattr(group, name) for group in groups)]
    for name in ("number", "dense", *became, "removed", "error", "bound", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for group in groups:
        ends = ("-".join(map(str, getattr(group, name))) or "-" for name in became)
        errors = (f"{group.error:.4g}", f"{group.lower_bound:.4g}", f"{group.share:.1%}")
        name = plain_text.short_kind(group.name)
        table.add_row(name, str(group.layers), str(group.dense), *ends, f"{group.removed:.1%}", *errors)
    return table
