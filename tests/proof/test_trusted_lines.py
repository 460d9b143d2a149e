"""What you have to believe: `infimum.verify` runs `infimum.proof` and the ground, and nothing else of infimum."""

import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import infimum
from infimum.problems import PROBLEMS
from tests.contract import checks

SOURCE = Path(infimum.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
GROUND = re.compile(r"(__init__|errors|_\w+)\.py")


def is_trusted(file):
    """Tell whether a file of infimum belongs to the proof or to the ground."""
    name = Path(file).relative_to(SOURCE).as_posix()
    return name.startswith("proof/") or GROUND.fullmatch(name) is not None


def executed(check):
    """Return the functions of infimum that a call executes, in this thread and in those that it starts."""
    seen = set()

    def note(frame, event, _argument):
        if event == "call":
            seen.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        check()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {(code.co_filename, code.co_qualname) for code in seen if code.co_filename.startswith(str(SOURCE))}


def cases(problem):
    return {"tiny": checks.tiny(problem), "example": problem.example()}


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_verify_runs_the_proof_and_the_ground(problem):
    for label, case in cases(problem).items():
        result = infimum.from_json(checks.solve(problem, case).to_json())
        seen = executed(lambda result=result, case=case: infimum.verify(result, *case.inputs))
        assert ("verify" in name for _, name in seen)
        strangers = sorted(
            (Path(file).relative_to(SOURCE).as_posix(), name) for file, name in seen if not is_trusted(file)
        )
        assert not strangers, f"{label}: verify runs {len(strangers)} functions of solvers: {strangers}"


CHECK = """
import pickle, sys
import infimum
for text, inputs in pickle.load(sys.stdin.buffer):
    infimum.verify(infimum.from_json(text), *inputs)
print(*sorted(name for name in sys.modules if name.startswith("infimum.")))
"""


def test_verify_imports_no_solver():
    """A process that only verifies loads `infimum.proof` and the ground: no module of a room, not even unused."""
    work = [
        (checks.solve(problem, case).to_json(), case.inputs) for problem in PROBLEMS for case in [checks.tiny(problem)]
    ]
    done = subprocess.run([sys.executable, "-c", CHECK], input=pickle.dumps(work), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    strangers = [name for name in done.stdout.decode().split() if not re.match(r"infimum\.(proof\b|errors$|_)", name)]
    assert not strangers


def lines_of_code(path):
    return sum(1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def test_the_documentation_states_what_has_to_be_believed(record_property):
    """docs/why.md states how many files and lines that are, and no less than there are."""
    files = [
        path
        for path in [*SOURCE.glob("proof/**/*.py"), *SOURCE.glob("_*.py"), SOURCE / "errors.py"]
        if path.name != "__init__.py"
    ]
    lines = sum(map(lines_of_code, files))
    text = " ".join((DOCS / "why.md").read_text(encoding="utf-8").split())
    found = re.search(r"at most ([\d,]+) files and ([\d,]+) lines", text)
    assert found, "docs/why.md must say: at most N files and N lines"
    stated = [int(number.replace(",", "")) for number in found.groups()]
    print(f"proof and ground: {len(files)} files, {lines} lines that are not blank")
    assert lines <= stated[1] <= 1.15 * lines + 100, f"stated {stated}, counted {len(files)} files and {lines} lines"
    assert len(files) <= stated[0] <= len(files) + 10
