"""Arrays in .npy, .npz and text files, read piece by piece and never unpickled.

An array that cannot be read piece by piece in place (a member of an archive, Fortran order) is
first copied in blocks to a temporary file in C order. Files are read into a fixed buffer instead of
being mapped, because mapped pages would count as the process's memory.
"""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError

COPY_BYTES = 8 << 20
MAX_TEXT_BYTES = 64 << 20
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Raised by NumPy and zipfile for files of other kinds, damaged ones, and encrypted archives.
ARRAY_ERRORS = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
Numbers = NDArray[np.floating[Any]]


class ArrayFile:
    """An array of float16, float32 or float64 in a file. Creating it reads only the header.

    Args:
        path: A .npy file or a .npz archive.
        key: The name of the array in an archive.

    Attributes:
        shape: The array's shape.
        dtype: The type that `read` returns, in native byte order, whatever the file's order is.

    Raises:
        InputError: If the file cannot be read, is cut short, or holds something else.
    """

    def __init__(self, path: Path, key: str = "feature") -> None:
        self.path = path
        self._key = key
        self._file: IO[bytes] | None = None
        self._first = 0  # position of the first number in the open file
        with _readable(path):
            if path.suffix.lower() == ".npz":
                with zipfile.ZipFile(path) as archive:
                    info = _member(path, archive, key)
                    with archive.open(info) as member:
                        self._header(member, info.file_size)
            else:
                with path.open("rb") as file:
                    self._header(file, os.fstat(file.fileno()).st_size)

    def _header(self, file: IO[bytes], size: int) -> None:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"unknown format version {version[0]}.{version[1]}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 wrote
            self.shape, self._fortran, self._stored = _HEADERS[version](file)
        self._offset = file.tell()
        if any(length < 0 for length in self.shape):
            raise ValueError(f"its header states the shape {self.shape}")
        if self._stored.hasobject:
            target = self.path.with_name(f"{self.path.stem}-plain.npy")
            raise InputError(
                f"{self.path} contains pickled objects, which can run any code when loaded; if you "
                'trust its origin, convert it: python -c "import numpy as np; np.save('
                f"'{target}', np.load('{self.path}', allow_pickle=True).astype('float32'))\""
            )
        if self._stored.kind != "f" or self._stored.itemsize not in (2, 4, 8):
            raise InputError(
                f"{self.path} contains {self._stored}; features must be float16, float32 or float64"
            )
        self.dtype = self._stored.newbyteorder("=")
        needed = self._offset + math.prod(self.shape) * self.dtype.itemsize
        if size != needed:
            problem = "is cut short" if size < needed else "is longer than its header states"
            raise InputError(
                f"{self.path} {problem}: {size:,} bytes, but {self.dtype} {self.shape} needs "
                f"{needed:,}; copy it again"
            )

    def read(self, start: int, out: Numbers) -> None:
        """Fill `out` (C order, of `dtype`) with the numbers from `start` on, in C order."""
        with _readable(self.path):
            if self._file is None:
                self._file, self._first = self._open()
            view = out.data.cast("B")
            position = self._first + start * self.dtype.itemsize
            while view:
                count = os.preadv(self._file.fileno(), [view], position)
                if not count:
                    raise InputError(f"{self.path} became shorter while it was read")
                view, position = view[count:], position + count
        if self._stored != self.dtype:
            out.byteswap(inplace=True)

    def close(self) -> None:
        """Close the file. A later `read` opens it again, and closing twice is allowed."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> tuple[IO[bytes], int]:
        file: IO[bytes] = self.path.open("rb", buffering=0)
        if self.path.suffix.lower() == ".npz":
            with (
                file,
                zipfile.ZipFile(file) as archive,
                archive.open(_member(self.path, archive, self._key)) as member,
            ):
                # This also compares the archive's checksum.
                file = _temporary(lambda out: shutil.copyfileobj(member, out, COPY_BYTES))
        if self._fortran and len(self.shape) > 1:
            with file:
                return self._in_c_order(file), 0
        return file, self._offset

    def _in_c_order(self, file: IO[bytes]) -> IO[bytes]:
        size = math.prod(self.shape)
        rows = max(1, COPY_BYTES * self.shape[0] // (size * self.dtype.itemsize))
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        flat = np.frombuffer(mapped, self._stored, size, self._offset)
        array = flat.reshape(self.shape, order="F")

        def fill(out: IO[bytes]) -> None:
            for start in range(0, self.shape[0], rows):
                out.write(np.ascontiguousarray(array[start : start + rows]).data)
                mapped.madvise(mmap.MADV_DONTNEED)  # or the whole file would stay in memory

        return _temporary(fill)


def read_text_array(path: Path) -> NDArray[np.float32]:
    """Read a text file with rows of numbers separated by spaces, as float32 (rows, numbers).

    Raises:
        InputError: If the file cannot be read, is larger than 64 MiB, or is not such a table.
    """
    with _readable(path):
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise InputError(
                f"{path} has {path.stat().st_size:,} bytes; a text file of features must have at "
                f"most {MAX_TEXT_BYTES:,}"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about an empty file, which its shape shows
            return np.loadtxt(path, dtype=np.float32, ndmin=2)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except ARRAY_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(
            f"{path} is not a feature array: {' '.join(str(reason).split())[:300]}; check the "
            "file, or leave it out"
        ) from error


def _member(path: Path, archive: zipfile.ZipFile, key: str) -> zipfile.ZipInfo:
    names = archive.namelist()
    if f"{key}.npy" not in names:
        found = ", ".join(name.removesuffix(".npy") for name in names[:10]) or "none"
        raise InputError(f"{path} has no array {key!r}; available: {found}")
    return archive.getinfo(f"{key}.npy")


def _temporary(fill: Callable[[IO[bytes]], None]) -> IO[bytes]:
    """Return an unnamed file written by `fill`, which is deleted when it is closed."""
    out = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - handed on open
    try:
        fill(out)
    except BaseException:
        out.close()
        raise
    return out
