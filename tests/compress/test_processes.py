"""Processes that share the work: they find and write what one alone does, and none waits for one that is gone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from infimum import compress  # noqa: E402
from tests import gloo  # noqa: E402
from tests.compress import sharing_processes  # noqa: E402
from tests.compress.conftest import tiny_bert, tiny_llama, write  # noqa: E402
from tests.compress.sharing_processes import PLANS, TEXT, plan_of  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    for name, model in (("bert", tiny_bert()), ("llama", tiny_llama())):
        write(model, folder / "models" / name)
    return folder


def contents(out: Path) -> dict[str, bytes | dict[str, object]]:
    """Return what a folder holds, but for how much memory was used."""
    found: dict[str, bytes | dict[str, object]] = {file.name: file.read_bytes() for file in out.iterdir()}
    document = json.loads((out / "infimum.json").read_text())
    document.pop("peak_memory")
    return found | {"infimum.json": document}


def test_two_processes_do_what_one_does(folder: Path) -> None:
    found = gloo.results(sharing_processes, folder)
    assert found[0] == found[1]
    assert found[0]["turns"] == [(0, 0), (1, 1), (0, 2), (1, 3), (0, 4)]
    assert found[0]["error"] == "one of them fails"
    for name, options in PLANS.items():
        plan = plan_of(folder, name)
        other = plan.with_budget(options["remove"] - 0.1)
        assert found[0][name] == [repr(plan.table), repr(other.table), repr(plan.certificate)]
        assert contents(plan.save(folder / f"alone-{name}")) == contents(folder / f"shared-{name}")
        compress.verify(folder / f"shared-{name}")


@pytest.mark.slow
def test_a_process_that_is_gone_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("END_EARLY", "1")
    assert gloo.exit_codes(sharing_processes, folder) == [0, 3]
    assert "another of the processes" in torch.load(folder / "0.pt", weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("calib", ["text.txt", "nothing.txt"])
def test_torchrun(folder: Path, calib: str) -> None:
    (folder / "text.txt").write_text("\n\n".join(TEXT))
    command = ["infimum", "compress", "models/bert", "--calib", calib, "--no-compare", "--remove", "0.6", "-o"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    for out in ("alone", "together"):
        shutil.rmtree(folder / out, ignore_errors=True)
    alone = subprocess.run([sys.executable, "-m", *command, "alone"], cwd=folder, capture_output=True, text=True)
    both = subprocess.run([*launch, *command, "together"], cwd=folder, capture_output=True, text=True)
    if calib == "text.txt":
        assert (alone.returncode, both.returncode) == (0, 0)
        assert contents(folder / "alone") == contents(folder / "together")
        assert both.stdout.count("total error") == 1
    else:
        assert alone.returncode != 0
        assert both.returncode != 0
        assert "got nothing.txt" in both.stderr
        assert not (folder / "together").exists()
