"""What a command writes: whole or not at all, and no name steers a terminal or a page."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import infimum
from infimum import report
from infimum.cli import screen
from infimum.proof.wording import printable
from infimum.report.files import TEMPORARY
from tests.small_disk import small_disk

# how busy the machine is adds no lines of progress
SOURCE = "import sys; from infimum.cli import main, screen; screen.FIRST = 3600.0; sys.exit(main())"
ESCAPES = "\x1b[2J\x9b31m\u202egnp.exe\u2066\u200b\x07\x7f\u2028"


def program(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", SOURCE, *map(str, arguments)], capture_output=True, check=False, **options
    )


def test_control_characters_are_shown_as_escapes():
    assert printable(ESCAPES) == (r"\x1b[2J\x9b31m\u202egnp.exe\u2066\u200b\x07\x7f\u2028")
    assert printable("Größe λ* ≤ 3 · 模型\n") == "Größe λ* ≤ 3 · 模型\n"
    assert printable(os.fsdecode(b"\xff.npy")) == r"\udcff.npy"


def test_names_do_not_steer_terminal_or_page(run, matrix, tmp_path):
    name = tmp_path / f"m{ESCAPES}.npy"
    np.save(name, matrix)
    outcome = run("svd", name, "--rank", 2, "--report", tmp_path / "r.html", "--json", tmp_path / f"s{ESCAPES}.json")
    assert outcome.status == 0
    assert r"\x1b[2J\x9b31m\u202egnp" in outcome.out
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert r"\x1b[2J\x9b31m\u202egnp" in page
    missing = run("svd", tmp_path / f"none{ESCAPES}.npy", "--rank", 2)
    assert r"\x1b[2J" in missing.err
    for text in (outcome.out, page, missing.err, (tmp_path / "r.json").read_text()):
        assert text.replace("\n", "").isprintable()


@pytest.mark.filterwarnings("ignore:Glyph")
def test_pictures_hold_no_control_characters():
    svg = report.drawing.svg(lambda axes: axes.set_title(f"model {ESCAPES[4:]}"))
    assert svg.replace("\n", "").isprintable()


def test_progress_holds_no_control_characters(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with screen.progress(f"reading {ESCAPES}", screen.LOUD) as on_progress:
        on_progress(f"layer [bold]{ESCAPES}", 1, 2)
    err = capsys.readouterr().err
    assert r"layer [bold]\x1b[2J" in err
    assert "\x1b[2J" not in err
    assert "\u202e" not in err


def here(run, *arguments):
    outcome = run(*arguments)
    return outcome.status, outcome.out, outcome.err


def on_an_ascii_terminal(_run, *arguments):
    done = program(*arguments, env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "300"})
    return done.returncode, done.stdout.decode("ascii"), done.stderr.decode("ascii")


@pytest.mark.parametrize("command", [here, on_an_ascii_terminal])
def test_a_name_that_is_not_text(run, matrix, tmp_path, monkeypatch, command):
    """A file name of other bytes than UTF-8 is solved, reported and written to, whatever the terminal can show."""
    monkeypatch.setenv("COLUMNS", "300")
    name = os.path.join(os.fsencode(tmp_path), b"m\xff\xfe.npy")
    with open(name, "wb") as file:
        np.save(file, matrix)
    outputs = [
        f"--{kind}={os.fsdecode(os.path.join(os.fsencode(tmp_path), b'r' + bytes([0xFF]) + suffix))}"
        for kind, suffix in (("json", b".json"), ("plot", b".png"), ("save", b".safetensors"))
    ]
    arguments = ("svd", os.fsdecode(name), "--rank=2", f"--report={tmp_path / 'page.html'}", *outputs)
    status, out, err = command(run, *arguments)
    assert (status, err) == (0, "")
    assert r"m\udcff\udcfe.npy" in out
    assert r"m\udcff\udcfe.npy" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 7
    result = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"r\xff.json"))
    assert command(run, "verify", result, os.fsdecode(name))[0] == 0


@pytest.mark.parametrize(
    "option", ["--json=r.json", "--report=r.html", "--plot=r.png", "--save=r.npz", "--save=r.safetensors"]
)
def test_a_full_disk(run, tmp_path, monkeypatch, option):
    """The disk is full while a file is being written."""
    np.save(tmp_path / "m.npy", np.random.default_rng(0).standard_normal((60, 50)))
    monkeypatch.chdir(tmp_path)
    with small_disk(2048):
        outcome = run("svd", "m.npy", "--rank=20", option)
    name = option.partition("=")[2]
    assert (outcome.status, outcome.out) == (1, "")
    lines = outcome.err.splitlines()
    kinds = ("html", "json", "result.json")  # a report writes all three
    assert lines[-1] in {f"error: {name.replace('html', kind)}: File too large" for kind in kinds}
    assert len(lines) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.npy"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("option", ["--json", "--quiet=False"])
def test_a_full_stdout(tmp_path, option):
    np.save(tmp_path / "m.npy", np.eye(5))
    with open("/dev/full", "wb") as full:
        arguments = ["svd", str(tmp_path / "m.npy"), "--rank", "2", *(["--json"] if option == "--json" else [])]
        done = subprocess.run(
            [sys.executable, "-c", SOURCE, *arguments], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"error: No space left on device\n"


@pytest.mark.parametrize(("failing", "name"), [(1, "r.json"), (2, "r.result.json"), (3, "r.html")])
def test_page_content_and_answer_are_written_together_or_not_at_all(tmp_path, monkeypatch, failing, name):
    result = infimum.lowrank.svd(np.diag([3.0, 2.0, 1.0]), rank=1)
    written = []

    def fail_at_one(self, text, **options):
        written.append(self)
        if len(written) == failing:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail_at_one)
    with pytest.raises(OSError, match=re.escape(str(tmp_path / name))):
        report.write(result, tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_folder_is_found_before_the_work(run, file, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "closed to you" in run("svd", file, "--rank", 2, "--json", tmp_path / "closed" / "r.json").err


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder is closed to everybody")
def test_a_folder_closed_even_to_root_is_found_before_the_work(run, file, monkeypatch):
    monkeypatch.setattr(infimum.cli.problem_command, "read_named", None)  # what comes after would fail otherwise
    outcome = run("svd", file, "--rank", 2, "--json", "/proc/r.json")
    assert outcome == (
        1,
        "",
        "error: /proc/r.json cannot be written: the folder /proc is closed to you; choose another one\n",
    )


@pytest.mark.parametrize("command", [["compress", "."], ["demo"], ["demo-lm", "--wheel", "none.whl"]])
def test_a_folder_that_cannot_be_made_is_found_before_the_work(run, file, command):
    outcome = run(*command, "--out", file / "deep" / "out")
    assert outcome == (1, "", f"error: {file}/deep/out cannot be written: {file} is no folder; choose another one\n")


def test_a_long_name_is_found_before_the_work(run, file, tmp_path, monkeypatch):
    monkeypatch.setattr(infimum.cli.problem_command, "read_named", None)  # what comes after would fail otherwise
    outcome = run("svd", file, "--rank", 2, "--json", tmp_path / ("r" * 300 + ".json"))
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1
    monkeypatch.undo()


def test_the_longest_name_is_written(run, file, tmp_path):
    longest = tmp_path / ("r" * 250 + ".json")
    assert run("svd", file, "--rank", 2, "--json", longest, "--quiet").status == 0
    assert longest.is_file()


SLOW = """
import signal, sys, time, pathlib
for number in (signal.SIGTERM, signal.SIGHUP):  # whoever runs the tests in the background may have had them ignored
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from infimum.cli import main
from infimum.report import files, drawing
def slowly(draw, path):
    pathlib.Path(path).write_bytes(b"half of a picture")
    print("writing", flush=True)
    time.sleep(30)
drawing.save = slowly
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing_half_written(tmp_path, number):
    np.save(tmp_path / "m.npy", np.eye(5))
    arguments = ["svd", "m.npy", "--rank", "2", "--plot", "r.png"]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"writing\n"
        assert any(path.name.startswith(TEMPORARY) for path in tmp_path.iterdir())
        process.send_signal(number)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert err.startswith(b"error: ")
    assert err.count(b"\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.npy"]


def test_handlers_of_others_stay(run, file):
    def mine(*_):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, mine)
    try:
        assert run("svd", file, "--rank", 2, "--quiet").status == 0
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    assert run("svd", file, "--rank", 2, "--quiet").status == 0
    assert signal.getsignal(signal.SIGTERM) is before
