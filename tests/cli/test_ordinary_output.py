"""What every command says where nothing is wrong: text and no steering of terminals, in a pipe and in a log."""

import pytest

from infimum import problems
from tests.cli import test_demo_lm, test_problems
from tests.cli.test_surface import COMMANDS

ORDINARY = {
    "compress": "compress {model} --calib {texts}/calib.txt --no-compare --menu ranks -o {out}/model",
    "demo": "demo --problems-only",
    "heal": "heal {out}/model -o {out}/healed --steps 2 --text {texts}/calib.txt",
    "refit": "refit {out}/model -o {out}/refitted",
    "evaluate": "evaluate {model} --text {texts}/held.txt",
    "inspect": "inspect {model} --no-curve",
    "memory": "memory --lr cosine --peak 3e-4 --weight-decay 0.1 --steps 100 --warmup 10",
    "minimax": "minimax exp(x) --degree 3 --report {out}/r.html",
    "msign": "msign --steps 2",
    "verify": "verify {out}/r.result.json exp(x)",
}
# by the same fixture `run`, which searches all that is said for escape sequences
ELSEWHERE = {"demo-lm": test_demo_lm.test_the_demo}
ELSEWHERE |= {each.command: test_problems.test_every_problem_has_a_command for each in test_problems.MADE_COMMANDS}


def test_no_command_is_left_out():
    assert ORDINARY.keys() | ELSEWHERE.keys() == set(COMMANDS)


@pytest.mark.parametrize("command", ORDINARY)
def test_ordinary_output_steers_no_terminal(run, model, texts, tmp_path, monkeypatch, command):
    if command == "demo":
        monkeypatch.setattr(problems, "PROBLEMS", problems.PROBLEMS[:1])
    words = {"model": model, "texts": texts, "out": tmp_path}
    if first := {"verify": "minimax", "heal": "compress", "refit": "compress"}.get(command):
        assert run(*ORDINARY[first].format(**words).split(), "--quiet").status == 0
    outcome = run(*ORDINARY[command].format(**words).split(), "--verbose")
    assert outcome.status == 0, outcome.err
    assert outcome.out
    assert "\x1b" not in outcome.out + outcome.err
