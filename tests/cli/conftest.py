from typing import NamedTuple

import numpy as np
import pytest

from infimum.cli import main, screen


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command line in this process, through the real entry point; what is no terminal is never steered."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(screen, "FIRST", 3600.0)  # how busy the machine is adds no lines of progress

    def call(*arguments):
        status = main([str(argument) for argument in arguments])
        outcome = Outcome(status, *capsys.readouterr())
        assert "\x1b" not in outcome.out + outcome.err
        return outcome

    return call


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Return a tiny checkpoint, which no test changes."""
    from tests.cli.tiny_model import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """Return a folder with a short text to calibrate on, and one to measure on."""
    from infimum.compress.measure.text import python_documentation

    folder = tmp_path_factory.mktemp("texts")
    (folder / "calib.txt").write_text("\n\n".join(python_documentation(held_out=False)[:40]))
    (folder / "held.txt").write_text("\n\n".join(python_documentation(held_out=True)[:20]))
    return folder


@pytest.fixture
def matrix():
    rng = np.random.default_rng(3)
    return rng.standard_normal((7, 5)) @ np.diag(0.5 ** np.arange(5))


@pytest.fixture
def file(tmp_path, matrix):
    path = tmp_path / "m.npy"
    np.save(path, matrix)
    return path
