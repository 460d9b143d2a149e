"""A process that dies does not change what is learned: the run goes on from its checkpoint, bit for bit."""

import signal

import pytest
import torch

from tests import gloo
from tests.optim import killed_process


@pytest.mark.slow
def test_a_killed_process_is_restarted_from_the_checkpoint(tmp_path):
    codes = gloo.exit_codes(killed_process, tmp_path)
    assert codes[1] == -signal.SIGKILL
    assert codes[0] != 0
    saved = sorted(file.parent.name for file in tmp_path.glob("*/.metadata"))
    assert saved == ["2", "4"]
    for rank, result in enumerate(gloo.results(killed_process, tmp_path)):
        straight = torch.load(tmp_path / f"straight-{rank}.pt", weights_only=True)
        assert result.pop("losses") == straight.pop("losses")
        assert result.keys() == straight.keys()
        assert all(torch.equal(item, straight[name]) for name, item in result.items())
