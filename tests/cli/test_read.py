"""Files of every format, whole and broken."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch
from safetensors.torch import save_file

from infimum.cli.read import read_array
from infimum.errors import FileFormatError

TABLE = np.array([[1.0, -2.5], [3.25, 4.0], [0.0, 1e-3]])


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t"), (".txt", " ")])
def test_text(tmp_path, suffix, delimiter):
    path = tmp_path / f"a{suffix}"
    np.savetxt(path, TABLE, delimiter=delimiter, header="a heading")
    assert np.array_equal(read_array(str(path)), TABLE)


def test_spreadsheet_text_with_byte_order_mark(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf1,2\r\n3,4\r\n")
    assert np.array_equal(read_array(str(path)), [[1, 2], [3, 4]])


def test_single_row_stays_a_matrix_unless_a_vector_is_wanted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2,3\n")
    assert read_array(str(path)).shape == (1, 3)
    assert read_array(str(path), axes=1).shape == (3,)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int64"])
def test_npy(tmp_path, dtype):
    np.save(tmp_path / "a.npy", TABLE.astype(dtype))
    array = read_array(str(tmp_path / "a.npy"))
    assert array.dtype == dtype
    assert np.array_equal(array, TABLE.astype(dtype))


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, first=TABLE)
    assert np.array_equal(read_array(str(path)), TABLE)
    np.savez(path, first=TABLE, second=2 * TABLE)
    assert np.array_equal(read_array(f"{path}::second"), 2 * TABLE)
    for source in (str(path), f"{path}::third"):
        with pytest.raises(FileFormatError, match="first, second"):
            read_array(source)


def test_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    tensor = torch.from_numpy(TABLE)
    save_file(
        {"w": tensor.float(), "b": tensor.bfloat16(), "h": tensor.half(), "q": tensor.to(torch.float8_e5m2)}, path
    )
    assert read_array(f"{path}::w").dtype == np.float32
    assert np.array_equal(read_array(f"{path}::b"), tensor.bfloat16().float().numpy())
    assert read_array(f"{path}::h").dtype == np.float16
    with pytest.raises(FileFormatError, match="b, h, q, w"):
        read_array(str(path))
    with pytest.raises(FileFormatError, match="F8_E5M2"):
        read_array(f"{path}::q")


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
def test_wide_and_whole_numbers_of_safetensors(tmp_path, dtype):
    path, tensor = tmp_path / "a.safetensors", (16 * torch.from_numpy(TABLE)).abs().to(dtype)
    save_file({"w": tensor}, path)
    array = read_array(str(path))
    assert array.dtype == tensor.numpy().dtype
    assert np.array_equal(array, tensor.numpy())


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_arrays_without_entries(tmp_path, shape):
    nothing, stored = np.zeros(shape), scipy.sparse.csr_array(shape)
    np.save(tmp_path / "a.npy", nothing)
    np.savez(tmp_path / "a.npz", nothing)
    scipy.sparse.save_npz(tmp_path / "sparse.npz", stored)
    save_file({"w": torch.from_numpy(nothing)}, tmp_path / "a.safetensors")
    torch.save({"w": torch.from_numpy(nothing)}, tmp_path / "a.pt")
    scipy.io.savemat(tmp_path / "a.mat", {"A": nothing})
    scipy.io.savemat(tmp_path / "packed.mat", {"A": nothing}, do_compression=True)
    scipy.io.savemat(tmp_path / "sparse.mat", {"A": stored.tocsc()})
    scipy.io.mmwrite(tmp_path / "a.mtx", nothing)
    for path in tmp_path.iterdir():
        with pytest.raises(FileFormatError, match=rf"{path.name} holds no numbers: .*\({shape[0]}, {shape[1]}\)"):
            read_array(str(path))


@pytest.mark.parametrize("sparse", [True, False])
def test_matrix_market(tmp_path, sparse):
    scipy.io.mmwrite(tmp_path / "a.mtx", scipy.sparse.coo_array(TABLE) if sparse else TABLE)
    assert np.allclose(read_array(str(tmp_path / "a.mtx")), TABLE, rtol=1e-12)
    kept = read_array(str(tmp_path / "a.mtx"), sparse=True)
    assert scipy.sparse.issparse(kept) == sparse


def test_sparse_archive(tmp_path):
    path = tmp_path / "a.npz"
    scipy.sparse.save_npz(path, scipy.sparse.csr_array(TABLE))
    assert np.array_equal(read_array(str(path)), TABLE)
    assert read_array(str(path), sparse=True).nnz == 5
    assert read_array(f"{path}::shape").tolist() == [3, 2]
    np.savez(path, format=np.array("other"), shape=TABLE, data=TABLE)
    with pytest.raises(FileFormatError, match=r"a.npz cannot be read as .npz"):
        read_array(str(path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\nc,d\n", "a number was expected in column 'b', got 'd'"),
        ("a.csv", b"1,2\n3\n", "line 2: rows of equal length were expected, got 1 entries after 2"),
        ("a.csv", b"", "no numbers"),
        ("a.txt", b"\xff\xfe\x00", "a.txt"),
        ("a.npy", b"not an array", "cannot be read as .npy"),
        ("a.npz", b"not an archive", "cannot be read as .npz"),
        ("a.npz", b"PK\x03\x04 cut short", "cannot be read as .npz"),
        ("a.safetensors", b"short", "cannot be read as .safetensors"),
        ("a.mtx", b"1 2 3\n", "cannot be read as .mtx"),
        ("a.xlsx", b"1 2 3\n", "must end in one of"),
        ("a", b"1 2 3\n", "must end in one of"),
    ],
)
def test_broken_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        read_array(str(tmp_path / name))


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="allow_pickle=False"):
        read_array(str(tmp_path / "a.npy"))


def test_names_where_there_are_none(tmp_path):
    np.save(tmp_path / "a.npy", TABLE)
    with pytest.raises(FileFormatError, match="without a name"):
        read_array(f"{tmp_path / 'a.npy'}::w")


def test_single_array_named_like_an_archive(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, TABLE)
    with pytest.raises(FileFormatError, match="rename it"):
        read_array(str(tmp_path / "a.npz"))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_array(str(tmp_path / "a.npy"))


def test_pictures_are_read_as_grey_values(tmp_path):
    from PIL import Image

    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    for suffix in ("png", "bmp", "tif"):
        Image.fromarray(grey).save(tmp_path / f"grey.{suffix}")
        read = read_array(str(tmp_path / f"grey.{suffix}"))
        assert read.dtype == np.float64
        assert np.array_equal(read, grey)
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(read_array(str(tmp_path / "deep.png")), deep)
    Image.fromarray(np.full((2, 2, 3), (10, 20, 30), dtype=np.uint8)).save(tmp_path / "colour.png")
    assert np.array_equal(read_array(str(tmp_path / "colour.png")), np.full((2, 2), 18.0))
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(FileFormatError, match=r"broken.png cannot be read"):
        read_array(str(tmp_path / "broken.png"))
