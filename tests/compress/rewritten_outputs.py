"""Outputs whose numbers become others: what the tests of healing and of refitting share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infimum import compress
from tests.compress.conftest import LOWER, sentences, tiny_bert, tiny_llama, write

TEXT = sentences(80, seed=1)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bits": ("bert", {"menu": ("bits", "ranks", "widths"), "remove": 0.8}),
    "mixed": ("bert", {**LOWER["mixed"], "remove": 0.5}),
    "factors": ("llama", {**LOWER["factors"], "remove": 0.5}),
    "packed": ("llama", {"format": "compressed-tensors", "remove": 0.7}),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {"bert": write(tiny_bert(), root / "bert"), "llama": write(tiny_llama(), root / "llama")}


@pytest.fixture(scope="module")
def outputs(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("outputs")
    return {
        name: compress.plan(models[model], calib=TEXT, **options).save(root / name)
        for name, (model, options) in CASES.items()
    }


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.name != "infimum.json"}
