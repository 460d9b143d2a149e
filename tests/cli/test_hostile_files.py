"""Files that declare more than they hold, and what is no file: one line, before memory is taken."""

import io
import json
import os
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from infimum.cli.formats.limits import ALWAYS, TIMES
from infimum.cli.read import read_array
from infimum.errors import FileFormatError

TABLE = np.arange(12.0).reshape(4, 3)
MEMORY = 2**26  # bytes that a refusal may take at most: far less than any of these files declares
LONG = 10**18


def npy(shape, descr="<f8", data=b"", version=(1, 0), order="False"):
    """Return the bytes of a .npy file that declares what it is told to."""
    header = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    size = "<H" if version == (1, 0) else "<I"
    return b"\x93NUMPY" + bytes(version) + struct.pack(size, len(header)) + header + data


def npz(level=zipfile.ZIP_DEFLATED, **members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", level) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def saved(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def bomb():
    """Zeros: a megabyte of archive that would take a gigabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        member.write(npy((2**27,)))
        zeros = bytes(2**22)
        for _ in range(2**30 // len(zeros)):
            member.write(zeros)
    return buffer.getvalue()


def sparse(kind="csr_array", **changes):
    buffer = io.BytesIO()
    scipy.sparse.save_npz(buffer, getattr(scipy.sparse, kind)(TABLE))
    with np.load(io.BytesIO(buffer.getvalue())) as archive:
        members = {**archive, **changes}
    return npz(**{name: saved(np.asarray(item)) for name, item in members.items()})


def tensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype="F64", shape=(2, 2), offsets=(0, 32)):
    return {"w": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}


def matrix_market(size, rows="", layout="coordinate", field="real", symmetry="general"):
    return f"%%MatrixMarket matrix {layout} {field} {symmetry}\n{size}\n{rows}".encode()


def matlab(compressed=False, **variables):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, do_compression=compressed)
    return buffer.getvalue()


def matlab_size(content, rows, columns):
    """Return the bytes of a file of MATLAB whose first variable declares another size than its own, 4 x 3."""
    assert struct.pack("<ii", *TABLE.shape) in content
    return content.replace(struct.pack("<ii", *TABLE.shape), struct.pack("<ii", rows, columns), 1)


def matlab_packed(unpacked):
    """Return a file of MATLAB with one compressed element."""
    body = zlib.compress(unpacked)
    return matlab(A=TABLE)[:128] + struct.pack("<II", 15, len(body)) + body


def structs(depth):
    """Return a struct in a struct, and so on."""
    inner = {"a": TABLE}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def png(width, height):
    """Return the bytes of a picture that declares a size and holds nothing."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


FILES = {
    # .npy
    "a.npy": {
        "10^18 numbers": npy((LONG,)),
        "10^18 in two axes": npy((10**9, 10**9)),
        "more than fits an index": npy((10**30, 4)),
        "10^900 numbers": npy((10**900,)),
        "gigabytes": npy((2**28,), data=bytes(80)),
        "one number short": npy((4, 3), data=bytes(88)),
        "negative": npy((-1, 3), data=bytes(96)),
        "a length of text": npy(("4", "3"), data=bytes(96)),
        "no tuple": npy([4, 3], data=bytes(96)),
        "unknown dtype": npy((4, 3), "<q9", data=bytes(96)),
        "Python objects": npy((4,), "|O", data=bytes(96)),
        "objects in a record": npy((1,), [("a", "|O")], data=bytes(96)),
        "a header of code": npy("__import__('os').system('true')"),
        "a long header": npy((1,) * 5000),
        "version 2, cut": npy((LONG,), version=(2, 0)),
        "version 2, a header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
        "version 3": npy((LONG,), version=(3, 0)),
        "version 9": npy((LONG,), version=(9, 0)),
        "magic alone": b"\x93NUMPY",
        "half a header": npy((4, 3))[:20],
        "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05hello\x94.",
        "an archive": npz(a=saved(TABLE)),
        "zeros": bytes(100),
        "text": b"1,2,3\n",
    },
    # .npz
    "a.npz": {
        "10^18 numbers": npz(a=npy((LONG,))),
        "more numbers than the member": npz(a=npy((2**28,), data=bytes(80))),
        "objects": npz(a=npy((4,), "|O", data=bytes(96))),
        "no archive": b"PK\x05\x06",
        "cut": npz(a=saved(TABLE))[:-30],
        "damaged": npz(zipfile.ZIP_STORED, a=saved(TABLE)).replace(np.float64(7).tobytes(), np.float64(8).tobytes()),
        "empty archive": npz(),
        "no arrays": npz(a=saved(TABLE)).replace(b"a.npy", b"a.txt"),
        "sparse of 10^18 columns": sparse(shape=[4, LONG]),
        "sparse, an index outside": sparse(indices=[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 10**6]),
        "sparse, a negative index": sparse(indices=[0, 1, -5, 0, 1, 2, 0, 1, 2, 0, 1]),
        "sparse, pointers outside": sparse(indptr=[0, 2, 5, 8, 10**9]),
        "sparse, pointers that fall": sparse(indptr=[0, 8, 5, 8, 11]),
        "sparse, unknown format": sparse(format=np.array("abc")),
        "sparse columns, an index outside": sparse("csc_array", indices=[10**6] * 11),
        "sparse blocks, an index outside": sparse("bsr_array", indices=[10**6] * 4),
        "sparse entries, an index outside": sparse("coo_array", row=[10**6] * 11),
    },
    # .safetensors
    "a.safetensors": {
        "a header of 10^12 bytes": tensors({}, length=10**12),
        "a header of 2^63 bytes": tensors({}, length=2**63),
        "a header of 80 MB": tensors({}, length=80_000_000),
        "no header": b"\x00" * 8,
        "header no JSON": tensors(b"{nothing"),
        "header a list": tensors([1]),
        "header nested": tensors(b"[" * 100_000),
        "no tensors": tensors({}),
        "offsets outside": tensors(tensor(offsets=(0, LONG))),
        "offsets that fall": tensors(tensor(offsets=(32, 0)), bytes(32)),
        "offsets and shape": tensors(tensor(shape=(LONG, 4)), bytes(32)),
        "shape beyond 64 bits": tensors(tensor(shape=(2**63, 2**63)), bytes(32)),
        "negative shape": tensors(tensor(shape=(-2, -2)), bytes(32)),
        "unknown dtype": tensors(tensor("F99"), bytes(32)),
        "cut": tensors(tensor(), bytes(31)),
        "bfloat16, cut": tensors(tensor("BF16", (4, 4)), bytes(31)),
    },
    # .mtx
    "a.mtx": {
        "10^9 x 10^9": matrix_market("1000000000 1000000000 1", "1 1 1.0\n"),
        "10^18 entries": matrix_market(f"5 5 {LONG}", "1 1 1.0\n"),
        "10^18 rows": matrix_market(f"{LONG} 1 1", "1 1 1.0\n"),
        "10^30 rows": matrix_market(f"{10**30} 1 1", "1 1 1.0\n"),
        "dense 10^9 x 10^9": matrix_market("1000000000 1000000000", "1.0\n", layout="array"),
        "dense 20000 x 20000": matrix_market("20000 20000", "1.0\n", layout="array"),
        "dense symmetric 20000": matrix_market("20000 20000", "1.0\n", layout="array", symmetry="symmetric"),
        "sparse 2^16 x 2^16": matrix_market("65536 65536 1", "1 1 1.0\n"),
        # SciPy's reader ends the process on these two
        "a zero byte among numbers": matrix_market("2 2 3", "1 2 1\n2 1 3\0\0\0\0\0\0\0@ 2 5\n2\0\0\0\0\0\0\0\0 1E1\n"),
        "the last number cut off": matrix_market("2 2 2", "1 2 1\n2 1 1.1E"),
        "one entry too many": matrix_market("2 2 1", "1 2 1\n2 1 1\n"),
        "an index of 30 digits": matrix_market("2 2 1", f"{10**30} 2 1\n"),
        "a symmetric matrix that is not square": matrix_market("2 3 1", "1 2 1\n", symmetry="symmetric"),
        "entries missing": matrix_market("5 5 3", "1 1 1.0\n"),
        "an index outside": matrix_market("5 5 1", "6 1 1.0\n"),
        "index 0": matrix_market("5 5 1", "0 1 1.0\n"),
        "negative": matrix_market("-5 -5 -1"),
        "text for a number": matrix_market("5 5 1", "1 1 one\n"),
        "two numbers a size": matrix_market("5 5"),
        "no size": b"%%MatrixMarket matrix coordinate real general\n",
        "no header": b"5 5 1\n1 1 1.0\n",
        "another header": b"%%MatrixMarket vector dense real general\n5\n",
        "zero bytes": matrix_market("5 5 1", "1 1 1.0\n").replace(b" ", b"\0"),
    },
    # .mat
    "a.mat": {
        "a header alone": matlab(A=TABLE)[:128],
        "half a header": matlab(A=TABLE)[:60],
        "cut": matlab(A=TABLE)[:-30],
        "compressed, cut": matlab(True, A=TABLE)[:-30],
        "compressed, damaged": matlab(True, A=TABLE)[:150] + b"\xff" * 20 + matlab(True, A=TABLE)[170:],
        "text for a header": b"not a matrix of any kind, but a text of some length" * 5,
        "no order of bytes": matlab(A=TABLE).replace(b"IM", b"XX", 1),
        "the other order of bytes": matlab(A=TABLE).replace(b"IM", b"MI", 1),
        "version 7.3": b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n",
        "version 9": matlab(A=TABLE).replace(b"\x00\x01IM", b"\x00\x09IM", 1),
        "a struct alone": matlab(A=structs(1)),
        "nested structs": matlab(A=structs(25)),
        "nested structs, compressed": matlab(True, A=structs(25)),
        "cells": matlab(A=np.array(["text", 1.0], dtype=object)),
        "text": matlab(A="text"),
        "two variables": matlab(A=TABLE, B=TABLE),
        "no variables": matlab(),
        "10^18 numbers": matlab_size(matlab(A=TABLE), 10**9, 10**9),
        "gigabytes": matlab_size(matlab(A=TABLE), 2**14, 2**14),
        "one row more": matlab_size(matlab(A=TABLE), 5, 3),
        "negative": matlab_size(matlab(A=TABLE), -4, -3),
        "an element of 4 GB": matlab(A=TABLE)[:128] + struct.pack("<II", 14, 2**32 - 1),
        "sparse of 2^60 entries": matlab_size(matlab(A=scipy.sparse.csc_array(TABLE)), 2**30, 2**30),
        "compressed, 10^18 numbers": matlab_packed(matlab_size(matlab(A=TABLE), 10**9, 10**9)[128:]),
        "compressed twice": matlab_packed(matlab(True, A=TABLE)[128:]),
    },
    # text
    "a.csv": {
        "ragged": b"1,2\n3\n",
        "ragged at the end": b"1,2\n" * 10_000 + b"1\n",
        "words": b"a,b\nc,d\n",
        "a header and nothing else": b"a,b\n",
        "a header without names": b",,\n1,2,3\n",
        "a header with a gap": b"a,,c\n1,2,3\n",
        "one name twice": b"a,b,a\n1,2,3\n",
        "names and numbers in a header": b"a,2\n1,2\n",
        "a typing error in the first row": b"1,2x\n3,4\n",
        "a typing error in the first column": b"a,b\n1x,2\n3,4\n",
        "an empty entry below a header": b"a,b\n1,\n",
        "a row too long": b"a,b\n1,2,3\n",
        "grouped digits": b"1_000,2\n",
        "two decimal marks": b"1,5;2.5\n",
        "thousands and a decimal comma": b"1.234,5;2\n",
        "Latin letters of one byte": "größe,höhe\n1,2\n".encode("latin-1"),
        "a byte order mark alone": b"\xef\xbb\xbf",
        "an empty field": b"1,,3\n",
        "comments alone": b"# nothing\n# at all\n",
        "blank lines": b"\n\n\n",
        "zero bytes": b"1,2\0\n",
        "UTF-16": "1,2\n3,4\n".encode("utf-16"),
        "another delimiter": b"1|2\n3|4\n",
        "a row of a million words": b"x," * 1_000_000,
        "an open quote": b'"1,2\n3,4\n',
        "a picture": png(2, 2),
    },
    # pictures
    "a.png": {
        "10^9 pixels": png(40_000, 40_000),
        "10^18 pixels": png(2**31 - 1, 2**31 - 1),
        "10^8 pixels, within a warning": png(10_000, 10_000),
        "nothing in it": png(4, 4),
        "no pixels": png(0, 0),
        "cut": png(4, 4)[:40],
        "magic alone": b"\x89PNG\r\n\x1a\n",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nquit\n",
        "text": b"1 2 3\n",
    },
}
CASES = [
    pytest.param(name, content, id=f"{name} {label}")
    for name, files in FILES.items()
    for label, content in files.items()
]


def refused(path, sparse=False):
    """Return the error of a file, which is one line and costs no memory."""
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError) as caught:
            read_array(str(path), sparse=sparse)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY, f"{peak:,} bytes"
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 600
    return message


@pytest.mark.parametrize(("name", "content"), CASES)
def test_broken_files(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    refused(path)
    if name.endswith(".npz") or b"10^9" in content:
        refused(path, sparse=True)


def test_a_bomb_of_numpy(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(bomb())
    refused(path)
    refused(path, sparse=True)


def test_what_is_no_file(tmp_path, run):
    folder, pipe = tmp_path / "folder.npy", tmp_path / "pipe.csv"
    folder.mkdir()
    os.mkfifo(pipe)
    (tmp_path / "empty.npz").touch()
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "loop.npy").symlink_to("loop.npy")
    for name, reason in {
        "folder.npy": "a folder",
        "pipe.csv": "a pipe",
        "zero.csv": "a device",
        "empty.npz": "empty",
    }.items():
        assert reason in refused(tmp_path / name)
    for name in ("folder.npy", "pipe.csv", "zero.csv", "empty.npz", "loop.npy", "nowhere.npy", "x" * 300 + ".npy"):
        for arguments in (["svd", tmp_path / name, "--rank", 1], ["msign", "--verify", tmp_path / name]):
            outcome = run(*arguments)
            assert outcome.status == 1
            assert outcome.out == ""
            assert outcome.err.startswith("error: ")
            assert outcome.err.count("\n") == 1
    for name in ("pipe.csv", "zero.csv", "empty.npz"):
        assert run("verify", tmp_path / name, tmp_path / "empty.npz").status == 1
        assert run("memory", "--csv", tmp_path / name).status == 1


def test_honest_files_are_within_the_limits(tmp_path):
    """Zeros compress a thousand times; what is small may expand as it likes."""
    zeros = np.zeros((3000, 3000))
    np.savez_compressed(tmp_path / "zeros.npz", zeros)
    assert (tmp_path / "zeros.npz").stat().st_size * TIMES < zeros.nbytes * 2
    assert np.array_equal(read_array(str(tmp_path / "zeros.npz")), zeros)
    (tmp_path / "wide.mtx").write_bytes(matrix_market("2000 10000 1", "7 9 2.5\n"))
    dense = read_array(str(tmp_path / "wide.mtx"))
    assert dense.nbytes < ALWAYS
    assert dense[6, 8] == 2.5
    (tmp_path / "tall.mtx").write_bytes(matrix_market("10000000 10 1", "7 9 2.5\n"))
    assert read_array(str(tmp_path / "tall.mtx"), sparse=True).shape == (10_000_000, 10)
    assert "dense" in refused(tmp_path / "tall.mtx")


@pytest.mark.parametrize("layout", ["1", "1 2\n3 4", "1 1 1\n1 2 3"])
@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_tables_without_a_last_line_end(tmp_path, layout, ending):
    (tmp_path / "a.txt").write_text(layout + ending)
    assert read_array(str(tmp_path / "a.txt")).shape == np.loadtxt(io.StringIO(layout), ndmin=2).shape


@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric"])
@pytest.mark.parametrize("layout", ["array", "coordinate"])
def test_terse_matrix_market_files_are_read(tmp_path, symmetry, layout):
    """The shortest text that holds a matrix is within the limits."""
    n = 12
    first = {"general": -n, "symmetric": 0, "skew-symmetric": 1}[symmetry]
    lower = [(i, j) for j in range(n) for i in range(n) if i - j >= first]
    numbers = "".join("1\n" if layout == "array" else f"{i + 1} {j + 1} 1\n" for i, j in lower)
    size = f"{n} {n}" if layout == "array" else f"{n} {n} {len(lower)}"
    (tmp_path / "a.mtx").write_bytes(matrix_market(size, numbers.rstrip(), layout, "integer", symmetry))
    assert abs(read_array(str(tmp_path / "a.mtx"))).sum() >= n * (n - 1)


TABLES = [
    *("", "\0", "null", "7", '"a"', "[]", "[[]]", "[1]", "[[1, null]]", "[[true]]", '[["1"]]', "[[1], {}]", "[[[1]]]"),
    *("[[NaN]]", "[[1e999]]", f"[[{'9' * 5000}]]", f"[[{'9' * 400}]]", "[[1, 2]", '{"infimum": 1}', "[" * 100_000),
]


@pytest.mark.parametrize("text", TABLES, ids=lambda text: text[:12])
def test_broken_tables_of_coefficients(run, tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    outcome = run("msign", "--verify", tmp_path / "t.json")
    assert outcome.status == 1
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


LOGS = [b"", b"lr\n", b"lr\n1\0\n", b"\xff\xfe", b"lr\nNaN\n", b"lr\n" + b"9" * 200_000, b'lr\n"' + b"1\n" * 99]


@pytest.mark.parametrize("content", LOGS, ids=lambda content: repr(content[:8]))
def test_broken_logs(run, tmp_path, content):
    (tmp_path / "log.csv").write_bytes(content)
    outcome = run("memory", "--csv", tmp_path / "log.csv", "--weight-decay", 0.1)
    assert outcome.status == 1
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric", "hermitian"])
@pytest.mark.parametrize("field", ["real", "complex", "integer", "pattern"])
@pytest.mark.parametrize("kept", [True, False])
def test_matrix_market_as_scipy_reads_it(tmp_path, symmetry, field, kept):
    rng = np.random.default_rng(5)
    path = tmp_path / "a.mtx"
    for size in (1, 2, 5):
        A = (
            rng.integers(-9, 9, (size, size + (symmetry == "general"))).astype(float)
            * (rng.random(size + 1) < 0.6)[:size, None]
        )
        A = A * (1 + 2j) if field == "complex" else A
        half = {"symmetric": A.T, "skew-symmetric": -A.T, "hermitian": A.conj().T}.get(symmetry, 0.0)
        if (field == "pattern" and not kept) or (symmetry == "hermitian" and field != "complex"):
            continue
        whole = (A + half).astype(int) if field == "integer" else A + half
        scipy.io.mmwrite(path, scipy.sparse.coo_array(whole) if kept else whole, field=field, symmetry=symmetry)
        theirs, ours = scipy.io.mmread(path), read_array(str(path), sparse=True)
        assert scipy.sparse.issparse(ours) == kept
        theirs, ours = (item.toarray() if kept else item for item in (theirs, ours))
        assert np.array_equal(theirs, ours)
        assert theirs.dtype.kind == ours.dtype.kind


def spoiled(content, rng):
    """Change, insert, remove or repeat some bytes."""
    content = bytearray(content)
    for _ in range(int(rng.choice([1, 2, 8]))):
        place, length = int(rng.integers(len(content))), int(rng.integers(1, 20))
        piece = bytes(rng.choice([b"9" * length, b"-", b"\n", b" ", b"e400", b"nan", bytes(length), b"\xff" * 8]))
        kind = int(rng.integers(4))
        if kind == 0:
            content[place : place + 1] = bytes([int(rng.integers(256))])
        elif kind == 1:
            content[place:place] = piece
        elif kind == 2 and len(content) > length:
            del content[place : place + length]
        elif kind == 3:
            content[place:place] = content[place // 2 : place // 2 + length]
        content = content or bytearray(b"x")
    return bytes(content)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_spoiled_files_are_read_or_refused(tmp_path, name):
    """Whatever happens to the bytes of a file, it is read, or refused by the one error."""
    from PIL import Image

    rng, path, sound = np.random.default_rng(1), tmp_path / name, io.BytesIO()
    if name.endswith(".png"):
        Image.fromarray(TABLE.astype(np.uint8)).save(sound, "png")
    elif name.endswith(".mtx"):
        scipy.io.mmwrite(sound, scipy.sparse.coo_array(TABLE))
    elif name.endswith(".csv"):
        np.savetxt(sound, TABLE, delimiter=",")
    elif name.endswith(".safetensors"):
        sound.write(tensors(tensor(), bytes(32)))
    else:
        sound.write(saved(TABLE) if name.endswith(".npy") else sparse())
    for _ in range(150):
        path.write_bytes(spoiled(sound.getvalue(), rng))
        try:
            read_array(str(path), sparse=bool(rng.integers(2)))
        except FileFormatError as error:
            message = str(error)
        else:
            continue
        assert "\n" not in message


def test_a_bomb_of_matlab(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(matlab_packed(bytes(ALWAYS + 1)))
    with pytest.raises(FileFormatError, match=r"a.mat .*unpacks to more than") as caught:
        read_array(str(path))
    assert "\n" not in str(caught.value)
