"""What the library says of a parameter, the command line says of its file or option."""

import inspect

import pytest

from infimum import memory, minimax
from infimum.cli.app import build_app
from infimum.cli.option_names import options_of, with_option_names
from infimum.problems import PROBLEMS

APP = build_app()
COMMANDS = [[name] for name in APP if not name.startswith("-")] + [["memory", "design"]]
# what these commands run; the parameters that are behind no option
BEHIND = {
    ("minimax",): (minimax.polynomial, {"certify"}),
    ("msign",): (minimax.verify_schedule, {"power", "numerator"}),
    ("memory",): (memory.report, {"batch_ids", "update_rms"}),
    ("memory", "design"): (memory.design, set()),
}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_argument_is_named_as_it_is_given(command):
    names = options_of(APP, command)
    for argument in APP.parse_commands(command)[1][-1].assemble_argument_collection():
        if not argument.keys and argument.names != ("*",):
            said = with_option_names(f"{argument.field_info.name} must be above 0, got 'it must be'", names)
            assert said == f"{argument.names[0]} must be above 0, got 'it must be'"


@pytest.mark.parametrize(
    "problem", [problem for problem in PROBLEMS if problem.command in APP], ids=lambda p: p.command
)
def test_every_parameter_of_a_solver_is_named_as_its_option(problem):
    names = options_of(APP, [problem.command])
    for name in inspect.signature(problem.solve).parameters:
        if name in names:
            option = names[name]
            said = with_option_names(f"{name}=3 is too much: give {name} again", names)
            assert said == f"{option} 3 is too much: give {option} again"


@pytest.mark.parametrize("command", BEHIND, ids=" ".join)
def test_commands_written_by_hand_know_the_parameters_of_what_they_run(command):
    function, without = BEHIND[command]
    unknown = inspect.signature(function).parameters.keys() - options_of(APP, list(command)).keys()
    assert unknown == without


@pytest.mark.parametrize(
    ("command", "message", "said"),
    [
        ("svd", "got rank=3 and tol=0.1", "got --rank 3 and --tol 0.1"),
        ("cur", "got rank=None, tol=0.5, rows=2", "got no --rank, --tol 0.5, --rows 2"),
        (
            "cr",
            "weights='full' goes with method='exact', got 'x=1'",
            "--weights full goes with --method exact, got 'x=1'",
        ),
        ("cr", "X (n, l) and Y (l, m) were expected", "X-FILE (n, l) and Y-FILE (l, m) were expected"),
        ("balance", "group_load limits: give groups as well", "--group-load limits: give --groups as well"),
        ("compress", "give menu=('bits',), and plain=False", "give --menu bits, and no --plain"),
        ("compress", "give the folder, or fetch a model of the Hub", "give the folder, or fetch a model of the Hub"),
        ("compress", "keep and only leave none of 3 layers", "--keep and --only leave none of 3 layers"),
        (
            "minimax",
            "f: 'f + rank' is no expression on the domain",
            "FUNCTION: 'f + rank' is no expression on the domain",
        ),
        ("minimax", "dtype must be one of 'bfloat16', got 'dtype'", "--round must be one of 'bfloat16', got 'dtype'"),
        ("minimax", "the degree's weight: x.degree and f.py", "the degree's weight: x.degree and f.py"),
        ("assign", "for others use balanced_topk", "for others use infimum balance"),
        ("nystrom", "give landmarks alone, or rank or tol", "give --landmarks alone, or --rank or --tol"),
        ("verify", "M must be square", "M must be square"),
        ("svd", "give --rank, or a matrix of rank 3", "give --rank, or a matrix of rank 3"),
    ],
)
def test_sentences(command, message, said):
    assert with_option_names(message, options_of(APP, [command])) == said


def test_no_command_no_options(run):
    assert options_of(APP, []) == {}
    assert with_option_names("rank must be 3", {}) == "rank must be 3"
    assert run("https://example.org").err.endswith("give the file or folder; see infimum --help\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["minimax", "exp", "--degree", 3, "--round", "int8"], "--round must be one of"),
        (["minimax", "exp", "--powers", "1,3000"], "the powers of --powers must be at most 2000"),
        (["minimax", "foo(x)", "--degree", 3], "FUNCTION: 'foo(x)' is not understood"),
        (["minimax", "exp", "--degree", 3, "--on", 1, -1], "--on must be (a, b) with a < b"),
        (["msign", "--degree", "5,3", "--steps", 3], "--degree must be one number or one for each of 3 steps"),
        (["design", "uniform", "--max-lr", 1, "--weight-decay", 0.1], "give --steps"),
        (["memory", "design", "--steps", 9, "--max-lr", 0.1, "--weight-decay", -1], "--weight-decay must be a finite"),
        (["memory", "--lr", "cosine", "--peak", 1, "--weight-decay", 1, "--steps", 9, "--beta1", 2], "--beta1 must be"),
        (["split", 9, "--max-steps", -1], "--max-steps must be at least 0"),
        (["interpolative", "{file}", "--rank", 2, "--max-coefficient", 0.5], "--max-coefficient must be"),
        (["nystrom", "{file}", "--rank", 2], "FILE must be square"),
        (["solve", "{file}", "{file}", "--ridge", -1], "--ridge must be"),
    ],
)
def test_messages_on_the_screen(run, file, arguments, said):
    outcome = run(*(str(argument).format(file=file) for argument in arguments))
    assert outcome.status in (1, 2)
    assert said in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
