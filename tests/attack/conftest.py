"""Say at the end how many forged results were refused, and how many believed."""

from __future__ import annotations

from typing import Any

from tests.attack import COUNTS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not COUNTS:
        return
    terminalreporter.section("forged results")
    for name, (refused, believed) in COUNTS.items():
        terminalreporter.write_line(f"{name:42s} refused {refused:5d}, believed and true {believed:5d}")
    refused, believed = (sum(column) for column in zip(*COUNTS.values(), strict=True))
    terminalreporter.write_line(f"{'all':42s} refused {refused:5d}, believed and true {believed:5d}")
