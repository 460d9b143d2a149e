"""The example in which everything trains, for a few steps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "examples" / "everything" / "run.py"


@pytest.mark.slow
def test_everything_trains_resumes_and_is_compressed(tmp_path):
    pytest.importorskip("transformers")
    subprocess.run([sys.executable, str(RUN), str(tmp_path / "out"), "12"], check=True, timeout=900)
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["resumed bit for bit"]
    assert found["loss"][-1] < found["loss"][0]
    assert found["compressed"]["bytes"]["after"] < 0.5 * found["compressed"]["bytes"]["before"]
    assert len(found["ablation"]) == 6
    assert (tmp_path / "out" / "everything.png").stat().st_size > 10_000
