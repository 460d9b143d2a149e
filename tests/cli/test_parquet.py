"""Files .parquet by each of the packages that read them; skipped where it is not installed."""

import datetime
import io
import json

import numpy as np
import pytest

from infimum.cli import read
from infimum.cli.formats import parquet
from infimum.cli.read import read_named
from infimum.errors import FileFormatError

NAMES = ("alpha", "beta", "gamma", "delta")


def by_pyarrow(columns):
    pyarrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    buffer = io.BytesIO()
    files.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def by_polars(columns):
    buffer = io.BytesIO()
    pytest.importorskip("polars").DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


WRITERS = {"pyarrow": by_pyarrow, "polars": by_polars}


@pytest.fixture(params=WRITERS)
def write(request, monkeypatch, tmp_path):
    """Write a table by one package, which also reads it."""
    package = request.param
    pytest.importorskip(package)
    monkeypatch.setattr(parquet, "READERS", {package: parquet.READERS[package]})

    def call(columns):
        path = tmp_path / "a.parquet"
        path.write_bytes(WRITERS[package](columns))
        return path

    return call


def table():
    matrix = np.random.default_rng(0).standard_normal((9, 4))
    return matrix, {name: matrix[:, place] for place, name in enumerate(NAMES)}


def test_names_are_in_the_answer(run, write, tmp_path):
    matrix, columns = table()
    path, result = write(columns), tmp_path / "r.json"
    outcome = run("interpolative", path, "--rank", 2, "--json", result)
    assert outcome.status == 0, outcome.err
    chosen = json.loads(result.read_text())["names"]["columns"]
    assert len(chosen) == 2
    assert set(chosen) < set(NAMES)
    assert f"columns [{', '.join(chosen)}]" in outcome.out
    assert run("verify", result, path).status == 0
    assert np.array_equal(read_named(str(path)).array, matrix)


def test_text_names_the_rows(write):
    named = read_named(str(write({"city": ["x", "y"], "a": [1.0, 2.0], "b": [True, False]})))
    assert named.rows == ("x", "y")
    assert named.columns == ("a", "b")
    assert np.array_equal(named.array, [[1, 1], [2, 0]])


@pytest.mark.parametrize("values", [[[1.0], [2.0]], [datetime.date(2020, 1, 1)] * 2], ids=["lists", "dates"])
def test_what_is_no_number_names_no_rows(write, values):
    path = write({"a": values, "b": [1.0, 2.0]})
    with pytest.raises(FileFormatError, match="column 'a' holds no numbers"):
        read_named(str(path))


def test_damaged_files_end_in_one_line(run, write):
    path = write(table()[1])
    content = path.read_bytes()
    damaged = [content[: len(content) // 2], b"PAR1", b"PAR1" + bytes(200) + b"PAR1"]
    damaged += [content[:4] + bytes(300) + content[304:], content[:-200] + bytes(150) + content[-50:]]
    for broken in damaged:
        path.write_bytes(broken)
        outcome = run("interpolative", path, "--rank", 2)
        assert outcome.status == 1
        assert outcome.err.startswith(f"error: {path} cannot be read as .parquet: ")
        assert outcome.err.count("\n") == 1


def test_a_panic_of_rust_ends_in_one_line(run, tmp_path, monkeypatch):
    """Polars and safetensors raise panics, which derive from BaseException alone."""
    panic = type("PanicException", (BaseException,), {})

    def panics(_file, _name):
        raise panic("index out of bounds\nnote: a backtrace")

    monkeypatch.setitem(read.READERS, ".parquet", panics)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    outcome = run("interpolative", path, "--rank", 2)
    assert outcome.status == 1
    message = "cannot be read as .parquet: index out of bounds note: a backtrace"
    assert outcome.err == f"error: {path} {message}\n"
