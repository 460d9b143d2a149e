"""A few families of `transformers` go the whole way here, all of them where there is time."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.compress.families import Family, attempt, families, known_lines  # noqa: E402

FAST = {
    Family("qwen3", "Qwen3ForCausalLM"): "ipcg",
    Family("olmoe", "OlmoeForCausalLM"): "ip",  # transformers finds no experts in the format of engines
    Family("moshi", "MoshiForCausalLM"): "ipc",
}


@pytest.mark.parametrize("family", FAST, ids=lambda family: family.type)
def test_a_family(family: Family, tmp_path: Path, code_cache: None) -> None:
    row = attempt(family, tmp_path)
    assert (row.outcome, row.formats) == ("complete", FAST[family]), row.packed


@pytest.mark.slow
def test_all_families(tmp_path: Path, code_cache: None) -> None:
    rows = [attempt(family, tmp_path / str(index)) for index, family in enumerate(families())]
    assert sum(row.outcome == "complete" for row in rows) >= 0.95 * len(rows)
    assert not [row for row in rows if row.outcome.startswith("**")]  # the others say what is wrong


def test_the_page_names_what_was_tried() -> None:
    lines = known_lines()
    assert len(lines) > 100
    assert sum("| complete |" in line for line in lines) >= 0.95 * len(lines)
    assert all(f"| {family.type} | {family.kind} |" in "\n".join(lines) for family in FAST)
