"""Tables with names, packed files, standard input, .mat and .pt: what they give, and what is refused."""

import gzip
import io
import json
import re
import sys

import numpy as np
import pytest
import scipy.io
import torch
from matplotlib.figure import Figure

from infimum.cli.formats.limits import ALWAYS
from infimum.cli.read import read_array, read_named
from infimum.errors import FileFormatError
from infimum.report import drawing

TABLE = np.array([[1.5, -2.5], [3.25, 4.0], [0.0, 1e-3]])


@pytest.mark.parametrize(
    ("text", "rows", "columns"),
    [
        ("a,b\n1.5,-2.5\n3.25,4\n0,1e-3\n", None, ("a", "b")),
        (",a,b\nx,1.5,-2.5\ny,3.25,4\nz,0,1e-3\n", ("x", "y", "z"), ("a", "b")),
        (",0,1\n0,1.5,-2.5\n1,3.25,4\n2,0,1e-3\n", ("0", "1", "2"), ("0", "1")),
        ('who;"a, b";c\nx;1,5;-2,5\ny;3,25;4\nz;0;1e-3\n', ("x", "y", "z"), ("a, b", "c")),
        ("a\tb\n1.5\t-2.5\n3.25\t4\n0\t1e-3\n", None, ("a", "b")),
        ("\ufeffa,b\r\n1.5,-2.5\r\n3.25,4\r\n0,1e-3\r\n", None, ("a", "b")),
    ],
)
def test_names_of_tables(tmp_path, text, rows, columns):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    named = read_named(str(path))
    assert np.array_equal(named.array, TABLE)
    assert (named.rows, named.columns) == (rows, columns)


def test_gzip_and_its_bombs(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1.5,-2.5\n3.25,4\n0,1e-3\n"))
    assert np.array_equal(read_array(str(path)), TABLE)
    path.write_bytes(gzip.compress(bytes(ALWAYS + 1)))
    with pytest.raises(FileFormatError, match=r"a.csv.gz unpacks to more than"):
        read_array(str(path))
    path.write_bytes(gzip.compress(b"1,2\n3,4\n")[:-9])
    with pytest.raises(FileFormatError, match="cannot be unpacked"):
        read_array(str(path))


def test_matlab_and_torch(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"A": TABLE, "text": "none"}, do_compression=True)
    assert np.array_equal(read_array(str(tmp_path / "a.mat")), TABLE)
    torch.save({"layer": {"w": torch.from_numpy(TABLE)}, "step": 3}, tmp_path / "a.pt")
    assert np.array_equal(read_array(f"{tmp_path / 'a.pt'}::layer.w"), TABLE)
    torch.save({"w": torch.ones(1).expand(10**5, 10**5)}, tmp_path / "a.pt")
    with pytest.raises(FileFormatError, match="declares an array"):
        read_array(str(tmp_path / "a.pt"))
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pt")
    with pytest.raises(FileFormatError, match="Python objects"):
        read_array(str(tmp_path / "a.pt"))


def test_standard_input_names_and_verify(run, tmp_path, monkeypatch, matrix):
    def send(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    text = "\n".join(["v,w,x,y,z", *(",".join(map(repr, row)) for row in matrix.tolist())]).encode()
    send(text)
    outcome = run("interpolative", "-", "--rank", 2, "--json", tmp_path / "r.json")
    assert outcome.status == 0, outcome.err
    names = json.loads((tmp_path / "r.json").read_text())["names"]["columns"]
    assert f"columns [{', '.join(names)}]" in outcome.out
    send(text)
    assert run("verify", tmp_path / "r.json", "-", "--seed", 5).status == 0
    send(text.replace(b"v,w,x,y,z", b"p,q,r,s,t"))
    assert "names: claimed" in run("verify", tmp_path / "r.json", "-").err
    for content, message in ((b"", "empty"), (bytes(100), "neither text nor")):
        send(content)
        assert message in run("svd", "-", "--rank", 1).err


def test_verbose(run, file):
    err = run("svd", file, "--rank", 2, "--verbose").err
    assert "solving lowrank.svd: done" in err
    assert "\x1b" not in err
    assert "exclude each other" in run("svd", file, "--rank", 2, "--verbose", "--quiet").err


def test_a_report_holds_names(run, tmp_path, matrix):
    """The result beside a report names columns as that of --json does, and is checked with them."""
    path, page, result = (tmp_path / name for name in ("a.csv", "page.html", "r.json"))
    rows = [",".join(map(repr, row)) for row in matrix.tolist()]
    path.write_text("\n".join(["v,w,x,y,z", *rows]))
    outcome = run("interpolative", path, "--rank", 2, "--report", page, "--json", result)
    assert outcome.status == 0, outcome.err
    beside = tmp_path / "page.result.json"
    names = json.loads(beside.read_text())["names"]
    assert names == json.loads(result.read_text())["names"]
    assert ", ".join(names["columns"]) in page.read_text()
    assert run("verify", beside, path).status == 0
    path.write_text("\n".join(["p,q,r,s,t", *rows]))
    assert "names: claimed" in run("verify", beside, path).err


def test_verify_draws_anew(run, tmp_path, monkeypatch):
    """A probable bound is checked with random numbers of the seed that --seed gives."""
    file, result = tmp_path / "m.npy", tmp_path / "r.json"
    np.save(file, np.random.default_rng(1).standard_normal((40, 30)))
    assert run("svd", file, "--rank", 4, "--method", "randomized", "--json", result).status == 0
    assert json.loads(result.read_text())["certificate"]["rigour"] == "probable"
    seeds, plain = [], np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed=None: seeds.append(seed) or plain(seed))
    for seed in (5, 6):
        outcome = run("verify", result, file, "--seed", seed)
        assert outcome.status == 0, outcome.err
        assert "probable" in outcome.out
        assert seeds[0] == seed
        seeds.clear()


@pytest.mark.parametrize("suffix", [".npy", ".mat", ".pt", ".mtx", ".csv"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_empty_arrays(run, tmp_path, suffix, shape):
    path, empty = tmp_path / f"m{suffix}", np.zeros(shape)
    written = {
        ".npy": lambda: np.save(path, empty),
        ".mat": lambda: scipy.io.savemat(path, {"A": empty}),
        ".pt": lambda: torch.save({"A": torch.from_numpy(empty)}, path),
        ".mtx": lambda: path.write_text(f"%%MatrixMarket matrix coordinate real general\n{shape[0]} {shape[1]} 0\n"),
        ".csv": lambda: path.write_text("a,b,c\n" if shape[1] else "\n\n"),
    }
    written[suffix]()
    outcome = run("svd", path, "--rank", 1)
    assert outcome.status == 1
    assert re.fullmatch(
        r"error: .*(at least one row and one column, got shape \(\d, \d\)|holds no numbers.*)\n", outcome.err
    )


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("interpolative", ["--rank", 3]),
        ("interpolative", ["--rank", 3, "--axis", 0]),
        ("cur", ["--rank", 3]),
        ("cr", ["--rank", 3]),
        ("balance", ["--k", 2]),
        ("assign", []),
    ],
)
def test_pictures_show_names(run, tmp_path, command, options):
    """Names that are chosen, and no others, stand at the axes of picture and report; a dollar begins no formula."""
    path, plot, page = tmp_path / "a.csv", tmp_path / "a.svg", tmp_path / "page.html"
    entries = np.random.default_rng(0).standard_normal((6, 6))
    lines = (
        ["", *(f"row {number}" for number in range(6))],
        *[[f"${name}$", *map(str, entries[:, place])] for place, name in enumerate("uvwxyz")],
    )
    path.write_text("\n".join(",".join(cells) for cells in zip(*lines, strict=True)))
    files = [path, path] if command == "cr" else [path]
    outcome = run(command, *files, *options, "--plot", plot, "--report", page, "--json", tmp_path / "r.json")
    assert outcome.status == 0, outcome.err
    names = json.loads((tmp_path / "r.json").read_text())["names"]
    chosen = {name for listed in names.values() for name in np.ravel(listed)}
    assert len(chosen) >= 3
    drawn = page.read_text().partition("<svg")[2].partition("</svg>")[0]
    assert {name for name in (*lines[0][1:], *(line[0] for line in lines[1:])) if name in drawn} == chosen
    assert plot.stat().st_size > 1000


@pytest.mark.parametrize(("side", "aspect", "apart"), [("x", "auto", 5), ("y", "auto", 10), ("x", "equal", 10)])
def test_names_of_close_places_do_not_overlap(side, aspect, apart):
    """Where there is no room for a name the one before counts it."""
    axes = Figure().subplots()
    axes.set(xlim=(0, 200), ylim=(200, 0), aspect=aspect)
    places = [100, 50 + apart, 50, 50 + apart - 1, 101, 102]
    drawing.name_ticks(getattr(axes, f"{side}axis"), {place: f"$at {place}" for place in places})
    texts = [label.get_text() for label in getattr(axes, f"get_{side}ticklabels")()]
    assert texts == ["$at 50 +1", f"$at {50 + apart}", "$at 100 +2"]
    drawing.name_ticks(axes.xaxis, {3: "\x1b" + "a" * 99})
    assert [label.get_text() for label in axes.get_xticklabels()] == [r"\x1b" + "a" * (drawing.LONGEST_NAME - 1)]
