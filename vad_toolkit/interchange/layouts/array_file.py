"""Arrays in .npy, .npz and text files, read piece by piece and never unpickled.

An array that cannot be read piece by piece in place (text, a member of an archive, Fortran order)
is first copied in blocks to a temporary file in C order. Files are read into a fixed buffer instead
of being mapped, because mapped pages would count as the process's memory, and because a file that
becomes shorter would end the process.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import shutil
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError

COPY_BYTES = 8 << 20
MAX_TEXT_BYTES = 64 << 20
MEMBER = "feature.npy"  # of an archive
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
        path: A .npy file, a .npz archive with the array `feature`, or a text file (.txt) with rows
            of numbers separated by spaces, which are float32.

    Attributes:
        shape: The array's shape.
        dtype: The type that `read` returns, in native byte order, whatever the file's order is.

    Raises:
        InputError: If the file cannot be read, is cut short, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: io.BufferedIOBase | None = None
        self._first = 0  # position of the first number in the open file
        with _readable(path), self._npy() as (file, size), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 wrote
            version = np.lib.format.read_magic(file)
            if version not in _HEADERS:
                raise ValueError(f"unknown format version {version[0]}.{version[1]}")
            self.shape, self._fortran, self._stored = _HEADERS[version](file)
            self._offset = file.tell()
            if any(length < 0 for length in self.shape):
                raise ValueError(f"its header states the shape {self.shape}")
        if self._stored.hasobject:
            target = path.with_name(f"{path.stem}-plain.npy")
            raise InputError(
                f"{path} contains pickled objects, which can run any code when loaded; if you "
                'trust its origin, convert it: python -c "import numpy as np; np.save('
                f"'{target}', np.load('{path}', allow_pickle=True).astype('float32'))\""
            )
        if self._stored.kind != "f" or self._stored.itemsize not in (2, 4, 8):
            raise InputError(
                f"{path} contains {self._stored}; features must be float16, float32 or float64"
            )
        self.dtype = self._stored.newbyteorder("=")
        needed = self._offset + math.prod(self.shape) * self.dtype.itemsize
        if size != needed:
            problem = "is cut short" if size < needed else "is longer than its header states"
            raise InputError(
                f"{path} {problem}: {size:,} bytes, but {self.dtype} {self.shape} needs "
                f"{needed:,}; copy it again"
            )

    @contextmanager
    def _npy(self) -> Iterator[tuple[IO[bytes], int]]:
        """Open the .npy file, the archive's member, or text as a .npy file; yield its size too."""
        suffix = self.path.suffix.lower()
        if suffix == ".npz":
            with zipfile.ZipFile(self.path) as archive:
                names = archive.namelist()
                if MEMBER not in names:
                    found = ", ".join(name.removesuffix(".npy") for name in names[:10]) or "none"
                    raise InputError(f"{self.path} has no array 'feature'; available: {found}")
                with archive.open(MEMBER) as member:  # reading it compares the checksum too
                    yield member, archive.getinfo(MEMBER).file_size
        elif suffix == ".txt":
            made = io.BytesIO()
            np.save(made, _read_text(self.path))
            size = made.tell()
            made.seek(0)
            yield made, size
        else:
            with self.path.open("rb") as file:
                yield file, os.fstat(file.fileno()).st_size

    def read(self, start: int, out: Numbers) -> None:
        """Fill `out` (C order, of `dtype`) with the numbers from `start` on, in C order."""
        with _readable(self.path):
            if self._file is None:
                self._file, self._first = self._open()
            self._file.seek(self._first + start * self.dtype.itemsize)
            if self._file.readinto(out.data.cast("B")) < out.nbytes:
                raise InputError(f"{self.path} became shorter while it was read")
        if self._stored != self.dtype:
            out.byteswap(inplace=True)

    def close(self) -> None:
        """Close the file. A later `read` opens it again, and closing twice is allowed."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> tuple[io.BufferedIOBase, int]:
        file: io.BufferedIOBase
        if self.path.suffix.lower() in (".npz", ".txt"):
            with self._npy() as (source, _):
                file = _temporary(lambda out: shutil.copyfileobj(source, out, COPY_BYTES))
        else:
            file = self.path.open("rb")
        if self._fortran and len(self.shape) > 1:
            with file:
                return self._in_c_order(file), 0
        return file, self._offset

    def _in_c_order(self, file: io.BufferedIOBase) -> io.BufferedIOBase:
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


def _read_text(path: Path) -> NDArray[np.float32]:
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise InputError(
            f"{path} has {size:,} bytes; a text file of features must have at most "
            f"{MAX_TEXT_BYTES:,}"
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


def _temporary(fill: Callable[[IO[bytes]], None]) -> io.BufferedIOBase:
    """Return an unnamed file written by `fill`, which is deleted when it is closed."""
    with ExitStack() as stack:
        out = stack.enter_context(tempfile.TemporaryFile())
        fill(out)
        out.flush()  # for readers of its descriptor
        stack.pop_all()
    return out
