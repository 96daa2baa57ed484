"""Array files: they are read as NumPy reads them, and other files are refused."""

from __future__ import annotations

import io
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import ArrayFile


def array(dtype: str = "float32", order: str = "C") -> np.ndarray:
    numbers = np.random.default_rng(0).standard_normal((7, 3, 5))
    return np.asarray(numbers, dtype=dtype, order=order)  # type: ignore[call-overload]


def read_all(file: ArrayFile) -> np.ndarray:
    """Read it in three uneven pieces."""
    out = np.empty(file.shape, file.dtype)
    flat = out.reshape(-1)
    for start, stop in ((0, 16), (16, 90), (90, flat.size)):
        file.read(start, flat[start:stop])
    file.close()
    return out


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
def test_npy(dtype: str, order: str, tmp_path: Path) -> None:
    written = array(dtype, order)
    np.save(tmp_path / "a.npy", written)
    file = ArrayFile(tmp_path / "a.npy")
    assert (file.shape, file.dtype) == (written.shape, written.dtype.newbyteorder("="))
    np.testing.assert_array_equal(read_all(file), written)
    np.testing.assert_array_equal(read_all(file), written)  # opened again


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz(save, order: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    written = array(order=order)
    save(tmp_path / "a.npz", feature=written, other=np.zeros(3))
    np.testing.assert_array_equal(read_all(ArrayFile(tmp_path / "a.npz")), written)


def test_header_of_version_2(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, array(), version=(2, 0))
    np.testing.assert_array_equal(read_all(ArrayFile(tmp_path / "a.npy")), array())


def test_header_of_python_2(tmp_path: Path) -> None:
    data = io.BytesIO()
    np.save(data, np.ones((2, 3), "<f4"))
    text = data.getvalue().replace(b"(2, 3), }  ", b"(2L, 3L), }")
    assert b"2L" in text
    (tmp_path / "a.npy").write_bytes(text)
    file = ArrayFile(tmp_path / "a.npy")
    assert file.shape == (2, 3)
    np.testing.assert_array_equal(read_2d(file), np.ones((2, 3)))


def read_2d(file: ArrayFile) -> np.ndarray:
    out = np.empty(file.shape, file.dtype)
    file.read(0, out)
    file.close()
    return out


@pytest.mark.parametrize(
    ("written", "match"),
    [
        (np.zeros((2, 3), np.int64), r"a.npy contains int64; features must be float16, flo"),
        (np.zeros((2, 3), np.complex64), r"a.npy contains complex64; features must"),
        (np.zeros((2, 3), bool), r"a.npy contains bool; features must"),
        (np.zeros(2, [("x", "<f4")]), r"a.npy contains \[\('x', '<f4'\)\]; features must"),
    ],
)
def test_other_numbers_are_refused(written: np.ndarray, match: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", written)
    with pytest.raises(InputError, match=match):
        ArrayFile(tmp_path / "a.npy")


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (exit, ("unpickled",))


def test_pickled_objects_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError) as caught:
        ArrayFile(path)
    text = str(caught.value)
    assert text.startswith(f"{path} contains pickled objects, which can run any code")
    assert text.endswith(
        f"python -c \"import numpy as np; np.save('{tmp_path}/a-plain.npy', "
        f"np.load('{path}', allow_pickle=True).astype('float32'))\""
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda data: data[:-1],
            r"a.npy is cut short: 547 bytes, but float32 \(7, 3, 5\) needs 548;",
        ),
        (lambda data: data + b"x", r"a.npy is longer than its header states: 549 bytes"),
        (lambda data: data[:20], r"a.npy is not a feature array: .*; check the file"),
        (lambda data: b"", r"a.npy is not a feature array"),
        (lambda data: b"hello" * 100, r"a.npy is not a feature array: .*magic string"),
        (lambda data: data[:6] + b"\x09\x00" + data[8:], r"unknown format version 9.0"),
        (lambda data: data.replace(b"(7, 3", b"(-7,3"), r"a.npy .* states the shape \(-7, 3, 5\)"),
        (lambda data: data.replace(b"{'descr'", b"{'d3scr'"), r"a.npy is not a feature array"),
    ],
)
def test_damaged_files_are_refused(change, match: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = io.BytesIO()
    np.save(data, array())
    (tmp_path / "a.npy").write_bytes(change(data.getvalue()))
    with pytest.raises(InputError, match=match):
        ArrayFile(tmp_path / "a.npy")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.npy is not a feature array: No such file"):
        ArrayFile(tmp_path / "a.npy")


def test_a_file_that_shrinks(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array())
    file = ArrayFile(tmp_path / "a.npy")
    with (tmp_path / "a.npy").open("r+b") as other:
        other.truncate(300)
    with closing(file), pytest.raises(InputError, match=r"a.npy became shorter while it was read"):
        read_all(file)


def test_an_archive_without_the_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", features=array(), gt=array())
    with pytest.raises(InputError, match=r"a.npz has no array 'feature'; available: features, gt"):
        ArrayFile(tmp_path / "a.npz")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no archive"])
def test_a_file_that_is_not_an_archive(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"a.npz is not a feature array: File is not a zip file"):
        ArrayFile(tmp_path / "a.npz")


def test_an_archive_with_a_damaged_member(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", feature=array())
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        start = archive.getinfo("feature.npy").header_offset
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[start + 400] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"a.npz is not a feature array: Bad CRC-32"):
        read_all(ArrayFile(tmp_path / "a.npz"))


def test_an_archive_that_does_not_decompress(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", feature=np.zeros((500, 10, 16), np.float32))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[60:90] = bytes(30)
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"a.npz is not a feature array: "):
        read_2d(ArrayFile(tmp_path / "a.npz"))


def test_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 2.5 -3e-2\n0 1 2\n")
    file = ArrayFile(tmp_path / "a.txt")
    assert file.dtype == np.float32
    np.testing.assert_array_equal(read_2d(file), np.float32([[1, 2.5, -0.03], [0, 1, 2]]))


@pytest.mark.parametrize("text", ["1 2\n3\n", "1 two\n", "\x00\x01"])
def test_a_text_that_is_not_a_table(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=r"a.txt is not a feature array: "):
        ArrayFile(tmp_path / "a.txt")


def test_a_huge_text_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(
        InputError, match=r"a.txt has 68,157,440 bytes; a text file .* at most 67,108"
    ):
        ArrayFile(tmp_path / "a.txt")
