"""Result files that are broken: each ends in one line that blames the file, from Python and on the command line."""

import copy
import json
from typing import Any

import numpy as np
import pytest

import infimum
from infimum.cli import main
from infimum.errors import FileFormatError, VerificationError
from infimum.problems import PROBLEMS
from infimum.proof.certificate import Certificate
from tests.contract import checks

M = np.random.default_rng(3).standard_normal((5, 4))
SVD = json.loads(infimum.lowrank.svd(M, 2).to_json())
SPLIT = json.loads(infimum.integers.product_plus_remainder(101).to_json())
HUGE = 10**30
NESTED = 100_000


def changed(document, path, item):
    """Return the text of a document with the item at a dotted path replaced, or removed where it is `...`."""
    document = copy.deepcopy(document)
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[name]
    if item is ...:
        del place[last]
    else:
        place[last] = item
    return json.dumps(document)


def spliced(document, path, text):
    """Return the text of a document with the item at a dotted path replaced by JSON text, however wrong."""
    return changed(document, path, "@@").replace('"@@"', text)


SOUND = json.dumps(SVD)
TEXTS = {
    "empty": "",
    "blank": " \n",
    "null": "null",
    "list": "[]",
    "number": "1",
    "text": '"result"',
    "open brace": "{",
    "half": SOUND[: len(SOUND) // 2],
    "cut by one": SOUND[:-1],
    "goes on": SOUND + "x",
    "twice": SOUND + SOUND,
    "single quotes": SOUND.replace('"', "'"),
    "comment": "// a result\n" + SOUND,
    "trailing comma": SOUND[:-1] + ",}",
    "byte order mark": "\ufeff" + SOUND,
    "zero byte": SOUND[:40] + "\0" + SOUND[40:],
    "lists in lists": "[" * NESTED,
    "closed lists in lists": "[" * NESTED + "]" * NESTED,
    "objects in objects": '{"a":' * NESTED,
    "nested answer": spliced(SVD, "answer.U", "[" * NESTED + "]" * NESTED),
    "nested data": spliced(SVD, "answer.U.data", "[" * 900 + "]" * 900),
    "nested witness": spliced(SVD, "certificate.witness", '{"a":' * 900 + "1" + "}" * 900),
    "digits of a value": spliced(SVD, "certificate.value", "9" * 5000),
    "fewer digits of a value": spliced(SVD, "certificate.value", "9" * 4000),
    "digits of a bound": spliced(SVD, "certificate.lower_bound", "-" + "9" * 4000),
    "digits in an array": spliced(SVD, "answer.s.data", f"[{'9' * 4000}, 1]"),
    "900 digits in an array": spliced(SVD, "answer.s.data", f"[{'9' * 900}, 1]"),
    "900 digits of a bound": spliced(SVD, "certificate.lower_bound", "9" * 900),
    "digits of an answer": spliced(SPLIT, "answer.a", "9" * 4000),
    "digits of an exponent": spliced(SVD, "certificate.value", "1e" + "9" * 4000),
    "value NaN": spliced(SVD, "certificate.value", "NaN"),
    "value Infinity": spliced(SVD, "certificate.value", "Infinity"),
    "bound -Infinity": spliced(SVD, "certificate.lower_bound", "-Infinity"),
    "value 1e999": spliced(SVD, "certificate.value", "1e999"),
    "bound -1e999": spliced(SVD, "certificate.lower_bound", "-1e999"),
    "confidence NaN": spliced(SVD, "certificate.confidence", "NaN"),
    "NaN in an array": spliced(SVD, "answer.s.data", "[NaN, 1.0]"),
    "1e999 in an array": spliced(SVD, "answer.s.data", "[1e999, 1.0]"),
    "Infinity in a witness": spliced(SVD, "certificate.witness", '{"shift": Infinity}'),
    "problem twice": SOUND.replace("{", '{"problem": "lowrank.svd", ', 1),
    "value twice": SOUND.replace('"value"', '"value": 1, "value"', 1),
    "lone surrogate": changed(SVD, "problem", "\ud800"),
}
CHANGES: dict[str, list[Any]] = {
    "infimum": [..., None, 0, 2, "1", [1], True, 1.0],
    "problem": [
        ...,
        None,
        1,
        ["lowrank.svd"],
        {},
        "",
        "lowrank.nothing",
        "lowrank.pinv",
        "lowrank.svd\x1b[31m",
        "../x",
    ],
    "answer": [..., None, [], "U", 1, {}, {"U": 1}],
    "answer.U": [..., None, 1, 1.5, True, "U", [], [[1.0]], {}, {"dtype": "float64"}, {"a": 1}],
    "answer.extra": [1],
    "answer.self": [1],
    "answer.certificate": [1],
    "answer.U.dtype": [
        *("complex128", "complex64", "int64", "bool", "object", "O", "<f8", "float63", ""),
        *(None, 1, ["float64"], {}),
    ],
    "answer.U.shape": [
        *([HUGE, 4], [0, HUGE], [2**63, 0], [5], [2, 5], [5, 2, 1], [-5, -2], [-1, 2], [5.0, 2.0], [True, 10]),
        *(["5", "2"], [[5], [2]], [], None, 10, "5, 2", {"0": 5}),
    ],
    "answer.U.data": [
        *(None, [], 1.0, "data", {}, [[1.0, 2.0]] * 4 + [[1.0]], [["1.0", "2.0"]] * 5, [[None, 1.0]] * 5),
        *([[True, False]] * 5, [[{}, 1.0]] * 5, [[[1.0, 2.0]]] * 5, [[10**900, 1]] * 5),
    ],
    "answer.s": [None, "s", 3.0, {"dtype": "float64", "shape": [0, HUGE], "data": []}],
    "certificate": [..., None, [], 1, "sound", {}],
    "certificate.value": [..., None, "1", True, [], {}, {"dtype": "float64", "shape": [], "data": 1.0}, -1.0],
    "certificate.lower_bound": [..., None, "1", False, [1.0], 1e300],
    "certificate.theorem": [..., None, 1, [], {}, "", "wishful_thinking", "eckart_young\x1b[2J"],
    "certificate.rigour": [..., None, 1, [], {}, "sure", "exact", "enclosed", "probable", "sampled"],
    "certificate.confidence": [..., None, "1", True, 0.0, 2.0, -1.0, 0.5, [1.0]],
    "certificate.witness": [..., None, [], "witness", 1, [["shift", 1]]],
    "certificate.extra": [1],
}
SPLIT_CHANGES: dict[str, list[Any]] = {
    "answer.n": [None, "101", 101.0, 101.5, True, [101], 10**900, -101],
    "answer.a": [None, "10", 10.0, 1.5, True, [10], 10**900, {}],
    "answer.cost": [None, [1, 1], "111", [1, 1, "1"], [1, 1, True], [10**900, 1, 1], 1, [1.5, 1, 1]],
    "certificate.value": [20.0, "20", True, 10**900],
}


def malformed():
    """Yield each broken file with the input that it claims to answer."""
    for name, text in TEXTS.items():
        yield pytest.param(text, "101" if name == "digits of an answer" else M, id=name)
    for document, changes, data in ((SVD, CHANGES, M), (SPLIT, SPLIT_CHANGES, "101")):
        for path, items in changes.items():
            for item in items:
                yield pytest.param(changed(document, path, item), data, id=f"{path} {str(item)[:24]!r}")


CASES = list(malformed())
LEAST = 80


def test_there_are_enough_of_them():
    assert len(CASES) >= LEAST
    sound = infimum.from_json(SOUND)
    assert infimum.verify(sound, M).theorem == "eckart_young"


def one_line(message):
    """An error fits a line, steers no terminal, and blames the file and not infimum."""
    assert message
    assert "\n" not in message
    assert len(message) < 600
    assert message.isprintable()
    assert "bug in infimum" not in message


@pytest.mark.parametrize(("text", "data"), CASES)
def test_in_python(text, data):
    with pytest.raises((FileFormatError, VerificationError)) as caught:
        infimum.verify(infimum.from_json(text), int(data) if isinstance(data, str) else data)
    one_line(str(caught.value))


@pytest.mark.parametrize(("text", "data"), CASES)
def test_on_the_command_line(text, data, tmp_path, capsys):
    path, source = tmp_path / "r.json", tmp_path / "m.npy"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    np.save(source, M)
    status = main(["verify", str(path), data if isinstance(data, str) else str(source)])
    out, err = capsys.readouterr()
    assert status == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith("\n")
    one_line(err[:-1])


BYTES = {
    "UTF-16": SOUND.encode("utf-16"),
    "UTF-32": SOUND.encode("utf-32"),
    "Latin-1": changed(SVD, "problem", "é").encode("utf-8").replace(b"\\u00e9", b"\xe9"),
    "a lone byte": SOUND.encode() + b"\xff",
    "zeros": bytes(4096),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "an archive": b"PK\x03\x04" + bytes(64),
}


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES)
def test_other_bytes_on_the_command_line(content, tmp_path, capsys):
    path, source = tmp_path / "r.json", tmp_path / "m.npy"
    path.write_bytes(content)
    np.save(source, M)
    assert main(["verify", str(path), str(source)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    one_line(err.removesuffix("\n"))


STRANGE = [
    None,
    [],
    {},
    "text",
    -1,
    10**900,
    1e308,
    True,
    [[1.0]],
    {"dtype": "complex128", "shape": [1], "data": [[1.0, 1.0]]},
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_field_of_every_problem(problem):
    """Whatever stands in a field or in the witness: it is verified, or refused by one of the two errors."""
    case = checks.tiny(problem)
    document = json.loads(checks.solve(problem, case).to_json())
    places = [f"answer.{name}" for name in document["answer"]]
    places += [f"certificate.witness.{name}" for name in document["certificate"]["witness"]]
    for path in places:
        for item in STRANGE:
            try:
                derived = infimum.verify(infimum.from_json(changed(document, path, item)), *case.inputs)
            except (FileFormatError, VerificationError) as error:
                one_line(str(error))
            else:
                assert isinstance(derived, Certificate), (path, item)
