"""The model card of an output: of what it was made, what was changed, how it is loaded, whose licence holds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
yaml = pytest.importorskip("yaml")

from infimum import compress  # noqa: E402
from infimum.errors import VerificationError  # noqa: E402
from tests.compress.test_forgeries import seal  # noqa: E402

CARD = """---
license: apache-2.0
base_model:
- someone/earlier
base_model_relation: finetune
tags: [sentences]
---
# A model

Made by someone.
"""


def metadata(folder: Path) -> tuple[dict[str, Any], str]:
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


@pytest.fixture
def carded(bert: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(bert, tmp_path / "models--someone--tiny-bert" / "snapshots" / "0"))
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return folder


@pytest.mark.parametrize("plain", [False, True])
def test_what_a_card_says(plain: bool, carded: Path, text: list[str], tmp_path: Path) -> None:
    plan = compress.plan(carded, remove=0.3, menu=("ranks",), calib=text, plain=plain)
    out = plan.save(tmp_path / "out")
    front, said = metadata(out)
    assert front == {"license": "apache-2.0", "tags": ["sentences"], "base_model": "someone/tiny-bert"}
    replaced = sum(row.form != "dense" for row in plan.table)
    assert f"{replaced} were replaced: {replaced} by a lower rank" in said
    assert f"{plan.removed:,} are no longer stored ({plan.removed / plan.linear_size:.1%})" in said
    assert "the licence too" in said
    assert ("trust_remote_code=True" in said) != plain
    assert "Made by someone." in said
    compress.verify(out)


def test_a_card_where_there_was_none(bert: Path, text: list[str], tmp_path: Path) -> None:
    out = compress.plan(bert, remove=0.0, menu=("ranks",), calib=text).save(tmp_path / "out")
    front, said = metadata(out)
    assert front == {"base_model": bert.name}
    assert "No layer was changed." in said
    assert "card of the original" not in said
    moved = Path(shutil.copytree(bert, tmp_path / "moved"))
    compress.verify(out, moved)  # the name is that of the place where it lay


def test_a_card_that_says_something_else(carded: Path, text: list[str], tmp_path: Path) -> None:
    out = compress.plan(carded, remove=0.3, menu=("ranks",), calib=text).save(tmp_path / "out")
    card = out / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace("no longer", "still"), encoding="utf-8")
    seal(out)
    with pytest.raises(VerificationError, match=r"README\.md must be what this version of infimum writes"):
        compress.verify(out)
