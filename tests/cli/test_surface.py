"""The frozen surface: every command and option. A change here belongs in the changelog."""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import infimum
from infimum.cli import main, screen
from infimum.cli.app import build_app
from infimum.cli.formats.opening import PACKED
from infimum.cli.read import READERS

COMMANDS = [name for name in build_app() if not name.startswith("-")]
WITHOUT_FILES = {"minimax", "msign-schedule", "rational", "rounded", "split"}  # functions and numbers
PROGRAM = [str(Path(sys.executable).parent / "infimum")]


def names_of(command):
    """Return the names of a command's arguments; which they are is frozen, see tests/frozen."""
    return {
        label
        for argument in build_app()[command].assemble_argument_collection(parse_docstring=True)
        if argument.show and argument.parse
        for label in argument.names
    }


def test_every_problem_that_has_a_command_is_there():
    assert {problem.command for problem in infimum.problems.PROBLEMS} <= {*COMMANDS, ""}


@pytest.mark.parametrize("command", COMMANDS)
def test_help(run, command):
    outcome = run(command, "--help")
    assert outcome.status == 0
    assert outcome.err == ""
    for name in names_of(command):
        assert name in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("variable", ["NO_COLOR", "FORCE_COLOR"])
def test_no_escape_sequences_but_on_terminals(run, monkeypatch, command, variable):
    monkeypatch.setenv(variable, "1")
    for outcome in (run(command, "--help"), run(command, "--no-such-option")):
        assert outcome.out + outcome.err
        assert "\x1b" not in outcome.out + outcome.err


@pytest.mark.parametrize("problem", [problem for problem in infimum.problems.PROBLEMS if problem.command in COMMANDS])
def test_help_names_the_file_types(run, problem):
    out = run(problem.command, "--help").out
    if "FILE::NAME" in out:
        assert [suffix for suffix in (*READERS, PACKED, "standard input") if suffix not in out] == []
    else:
        assert problem.command in WITHOUT_FILES


def test_every_file_type_is_documented():
    page = (Path(__file__).parents[2] / "docs/cli.md").read_text(encoding="utf-8")
    assert [suffix for suffix in (*READERS, PACKED) if f"`{suffix}`" not in page.replace("table.csv.gz", ".gz")] == []


def arguments_of(command):
    """Each argument of a command."""
    return build_app()[command].assemble_argument_collection(parse_docstring=True)


def kinds_of(argument):
    """Return the types that an argument takes."""
    members = get_args(argument.hint) or (argument.hint,)
    return {kind for member in members for kind in get_args(member) or (member,)} - {type(None), ...}


def given(arguments, whole="3"):
    """Return words for arguments, each of the right kind."""
    words = []
    for argument in arguments:
        kinds = kinds_of(argument)
        word = whole if kinds == {int} else "0.5" if kinds == {float} else "x"
        named = [argument.name] if argument.name.startswith("--") else []
        words += [*named, *([word] * argument.token_count()[0])]
    return words


@pytest.mark.parametrize("command", COMMANDS)
def test_whole_numbers_are_whole(run, command):
    """No argument that takes whole numbers only takes half a one."""
    arguments = arguments_of(command)
    for argument in arguments:
        if kinds_of(argument) == {int}:
            others = [other for other in arguments if other.required and other is not argument]
            outcome = run(command, *given(others), *given([argument], whole="2.5"))
            assert outcome.status == 2
            assert f"{argument.name} takes a whole number, got '2.5'; see infimum {command} --help" in outcome.err


@pytest.mark.parametrize("command", COMMANDS)
def test_no_seed_is_negative(run, command):
    arguments = arguments_of(command)
    if any("--seed" in argument.names for argument in arguments):
        outcome = run(command, *given(argument for argument in arguments if argument.required), "--seed", -1)
        assert outcome.status == 2
        assert f'"-1" for --seed. Must be >= 0; see infimum {command} --help' in outcome.err


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_missing_is_said_to_be(run, command):
    required = [argument for argument in arguments_of(command) if argument.required]
    for argument in required:
        outcome = run(command, *given([other for other in required if other is not argument]))
        assert outcome.status == 2
        # of two positional arguments the last one lacks, whichever was left out
        positional = [other for other in required if not other.name.startswith("--")]
        missing = positional[-1] if argument in positional else argument
        assert outcome.err == f"error: {missing.name} is missing; see infimum {command} --help\n"


def test_help_without_arguments(run):
    outcome = run()
    assert outcome.status == 0
    for command in COMMANDS:
        assert f" {command} " in outcome.out


def test_python_runs_the_package(monkeypatch, capsys):
    """``python -m infimum`` is the same program, and calls itself what it is called in documents."""
    monkeypatch.setattr(sys, "argv", ["somewhere/__main__.py", "svd", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("infimum", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: infimum svd ")


def test_version(run):
    assert run("--version").out.strip() == infimum.__version__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["svf"], 'Did you mean "svd"'),
        (["quantize", "x"], ", ...; see infimum --help"),
        (["svd"], "FILE is missing"),
        (["svd", "m.npy", "--rank"], "--rank takes a value, got none"),
        (["svd", "m.npy", "--rank", "two"], "--rank takes a whole number, got 'two'"),
        (["svd", "m.npy", "--rnak", "2"], "Did you mean --rank? See infimum svd --help"),
        (["svd", "m.npy", "more.npy", "--rank", "2"], "unexpected argument 'more.npy'"),
        (["svd", "m.npy", "--method", "best"], "one of 'auto', 'exact', 'gram', 'krylov', 'randomized', got 'best'"),
        (["interpolative", "m.npy", "--method", "best"], "'greedy', 'auto', 'exact', got 'best'"),
        (["interpolative", "m.npy", "--axis", "2"], "--axis must be one of 0, 1, got '2'"),
        (["compress", "model"], "--out is missing"),
        (["compress", "model", "-o", "out", "--of", "some"], "'linear', 'all', 'bytes', got 'some'"),
        (["verify"], "OUT is missing"),
        (["demo", "now"], "unexpected argument 'now'"),
        (["svd", "{file}"], "give either --rank or --tol"),
        (["pinv", "{file}", "--rtol", "7"], "--rtol must be"),
        (["svd", "{file}", "--rank", "2", "--json", "r.txt"], ".json"),
        (["svd", "{file}", "--rank", "2", "--report", "r.pdf"], ".html"),
        (["svd", "{file}", "--rank", "2", "--save", "r.npy"], ".npz or .safetensors"),
        (["verify", "{file}", "--original", "."], "--original belongs to a model folder"),
        (["verify", ".", "{file}"], "needs no FILE"),
        (["svd", "{file}", "--rank", "2", "--tol", "0.1"], "give either --rank or --tol"),
        (["cur", "{file}", "--rank", "2", "--rows", "2"], "both --rows and --columns"),
        (["svd", "{file}", "--rank", "2", "--quiet", "--verbose"], "exclude each other"),
        (["minimax", "exp"], "--degree is missing"),
        (["svd", "{file}", "--rank", "99"], "--rank must be from 1 to 5"),
        (["cur", "{file}", "--rows", "2", "--columns", "99"], "--columns must be from 1 to 5"),
        (["svd", "https://example.org/m.npy", "--rank", "2"], "https://example.org/m.npy is an address"),
        (["svd", "file:///m.npy", "--rank", "2"], "without file://"),
        (["svd", "{file}", "--rank", "2", "--json=s3://bucket/r.json"], "s3://bucket/r.json is an address"),
        (["compress", "https://example.org/model", "-o", "out"], "hf download"),
        (["verify", "https://example.org/r.json"], "curl -LO"),
        (["minimax", "exp", "--degree", "3", "--powers", "1,3"], "--degree and --powers exclude each other"),
        (["rational", "exp", "--type", "2", "99"], "--type must be at most"),
        (["memory"], "missing: --lr"),
        (["memory", "design", "--max-lr", "1"], "--weight-decay or --match-rms"),
        (["evaluate", "--text", "t.txt"], "at least one model folder"),
        (
            ["compress", "m", "-o", "out", "--size", "1MB", "--target-objective", "1"],
            "got --size and --target-objective",
        ),
        (["compress", "m", "-o", "out", "--size", "1MB", "--remove", "0.3"], "got --size and --remove"),
        (["compress", "m", "-o", "out", "--size", "1MB", "--of", "all"], "leave --of away"),
        (["compress", "m", "-o", "out", "--size", "1TB"], "a size such as 200MB"),
        (["compress", "m", "-o", "out", "--adapter", "4"], "--adapter needs --plain"),
    ],
)
def test_wrong_usage(run, file, arguments, message):
    """Whether the words themselves, the command or the solver refuse it, the status is one."""
    outcome = run(*(argument.format(file=file) for argument in arguments))
    assert outcome.status == 2
    assert outcome.out == ""
    assert message in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert "--help" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["svd", "nowhere.npy", "--rank", "2"], "nowhere.npy: No such file"),
        (["evaluate", "nowhere", "--text", "pydoc"], "a model folder was expected"),
        (["verify", "."], "has no infimum.json"),
        (["svd", "{file}::w", "--rank", "2"], "without a name"),
        (["svd", "{file}", "--rank", "2", "--plot", "nowhere/r.png"], "no folder"),
        (["compress", "{file}", "-o", "out"], "a model folder was expected"),
        (["inspect", "nowhere"], "a model folder was expected"),
        (["verify", "nowhere.json"], "nowhere.json: No such file"),
    ],
)
def test_wrong_input(run, file, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    outcome = run(*(argument.format(file=file) for argument in arguments))
    assert outcome.status == 1
    assert message in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.npy"]


def test_json_never_overwrites_the_input(run, file):
    before = file.read_bytes()
    outcome = run("svd", "--json", file, "--rank", 2)  # FILE is taken for the output
    assert outcome.status == 2
    assert "FILE is missing" in outcome.err
    assert run("svd", "--json", file, file, "--rank", 2).status == 2
    assert file.read_bytes() == before


def test_verify_refuses_other_json(run, file, tmp_path):
    assert run("svd", file, "--rank", 2, "--report", tmp_path / "r.html", "--json", tmp_path / "s.json").status == 0
    assert "--json wrote" in run("verify", tmp_path / "r.json", file).err
    assert "give its input (M)" in run("verify", tmp_path / "s.json").err
    text = (tmp_path / "s.json").read_text()
    for broken in (text[:-9], "[1, 2]", '{"problem": "lowrank.svd"}', '{"problem": "none"}'):
        (tmp_path / "broken.json").write_text(broken)
        outcome = run("verify", tmp_path / "broken.json", file)
        assert outcome.status == 1, broken
        assert outcome.err.count("\n") == 1


def test_files_are_replaced_only_by_force(run, file, tmp_path):
    path = tmp_path / "r.json"
    arguments = ["svd", file, "--rank", 2, "--json", path, "--quiet"]
    assert run(*arguments).status == 0
    before = path.read_text()
    path.write_text("mine")
    outcome = run(*arguments)
    assert outcome.status == 1
    assert "exists" in outcome.err
    assert path.read_text() == "mine"
    assert run(*arguments, "--force").status == 0
    assert path.read_text() == before


def test_warnings_are_one_line(run, file, monkeypatch):
    import warnings

    def warn(*_, **__):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("something to\nknow", UserWarning, stacklevel=1)
        raise infimum.errors.RangeError("too large")

    monkeypatch.setattr(infimum.cli.problem_command, "read_named", warn)
    assert run("svd", file, "--rank", 2).err == "warning: something to know\nerror: too large\n"


def test_interrupt(run, file, monkeypatch):
    def stop(*_, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(infimum.cli.problem_command, "read_named", stop)
    assert run("svd", file, "--rank", 2) == (130, "", "error: interrupted; no file was left half-written\n")


def test_progress_is_bars_for_people_and_lines_in_a_log(capsys, monkeypatch):
    with screen.progress("working", screen.LOUD) as on_progress:
        on_progress("calibrating", 1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(screen, "FIRST", 0.01)
    lines = []
    monkeypatch.setattr("builtins.print", lambda text, **_: lines.append(text))
    with screen.progress("working", screen.LOUD) as on_progress:
        on_progress("calibrating", 1, 2)
        while not lines:
            pass
    assert lines[0].startswith(("working", "calibrating: 1 of 2"))
    monkeypatch.undo()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with screen.progress("working", screen.Talk(quiet=True)) as on_progress:
        on_progress("calibrating", 1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("TERM", "xterm")
    with screen.progress("working", screen.LOUD) as on_progress:
        on_progress("calibrating", 1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "calibrating" in err
    assert "1/2" in err


def test_missing_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    assert main(["--version"]) == 1
    assert 'pip install "infimum[cli]"' in capsys.readouterr().err


# ------------------------------------------------------------------ the installed program


def test_installed_program(file, tmp_path):
    done = subprocess.run([*PROGRAM, "svd", file, "--rank", "2", "--json"], capture_output=True, text=True, check=True)
    (tmp_path / "r.json").write_text(done.stdout)
    said = [line for line in done.stderr.splitlines() if not re.search(r", \d+\.\d s$", line)]
    assert said == [], "but for lines of progress, on a slow machine"
    subprocess.run([*PROGRAM, "verify", tmp_path / "r.json", file], capture_output=True, check=True)
    failed = subprocess.run([*PROGRAM, "svd", "nowhere.npy"], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "Traceback" not in failed.stderr


def test_help_and_what_is_no_model_are_light():
    code = (
        "import sys, infimum; light = {'torch', 'matplotlib', 'rich', 'cyclopts', 'jinja2'} & sys.modules.keys()\n"
        "assert not light, light\n"
        "from infimum.cli import main; main(['compress', '--help'])\n"
        "for words in (['compress', '.', '--out', 'out'], ['inspect', '.'], ['evaluate', '.', '--text', 'pydoc']):\n"
        "    assert main(words) == 1\n"
        "assert main(['verify', '.']) == 1\n"
        "heavy = {'torch', 'matplotlib', 'transformers', 'jinja2'} & sys.modules.keys(); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_closed_pipe(file):
    with subprocess.Popen(
        [*PROGRAM, "svd", file, "--rank", "2", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
