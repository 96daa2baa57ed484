"""Arrays that take long to make, kept as files and mapped into memory.

They lie in `$VAD_HOME/cache/segments`, a `.npy` file each, whole or not there. A mapped file fills
memory only as far as there is room, and runs side by side share it. The folder may be deleted at
any time; beyond LIMIT_BYTES the files that were used least recently go.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import TEMPORARY_MARK, atomic_path, home
from vad_toolkit.errors import VadError

LIMIT_BYTES = 64 << 30
SPARE_BYTES = 1 << 30  # of the disk, that stay free


def cached_array(
    key: str, size: int, dtype: np.dtype[Any], fill: Callable[[NDArray[Any]], None]
) -> NDArray[Any]:
    """A flat array of `size`, mapped from its file. Writing to it does not reach the file.

    Args:
        key: hex digits; a name for everything that decides the content.
        fill: writes the content, where the file is not there yet.

    Raises:
        VadError: there is no room for it, or the folder cannot be written.
        Whatever `fill` raises: then nothing is kept.
    """
    path = home() / "cache" / "segments" / f"{key}.npy"
    try:
        found = _open(path, size, dtype)
        if found is None:
            with _locked(path.parent):
                found = _open(path, size, dtype)  # another process may have made it meanwhile
                if found is None:
                    _make_room(path.parent, size * dtype.itemsize)
                    _write(path, size, dtype, fill)
                    found = _open(path, size, dtype)
    except OSError as error:
        raise VadError(
            f"the cache {path.parent} cannot be used ({error.strerror or error}): set VAD_HOME to "
            "a folder that can be written"
        ) from error
    assert found is not None
    return found


def _open(path: Path, size: int, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """The mapped array, None where there is no such file or it is another one."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    if array.shape != (size,) or array.dtype != dtype:
        return None
    os.utime(path)  # what is in use goes last
    return array


def _write(
    path: Path, size: int, dtype: np.dtype[Any], fill: Callable[[NDArray[Any]], None]
) -> None:
    with atomic_path(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=(size,))
        fill(array)
        array.flush()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time writes; what killed ones were writing is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for path in folder.glob(f"*{TEMPORARY_MARK}*"):
            path.unlink()
        yield
    finally:
        os.close(descriptor)


def _make_room(folder: Path, needed: int) -> None:
    files = [(path, path.stat()) for path in folder.glob("*.npy")]
    total = sum(stat.st_size for _, stat in files)
    for path, stat in sorted(files, key=lambda item: item[1].st_mtime):
        free = shutil.disk_usage(folder).free
        if total + needed <= LIMIT_BYTES and free >= needed + SPARE_BYTES:
            return
        path.unlink()  # a process that has it mapped keeps it
        total -= stat.st_size
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise VadError(
            f"{folder} needs {needed / 1e9:.1f} GB for the segments, and its disk has "
            f"{free / 1e9:.1f} GB: set VAD_HOME to a folder on a larger one"
        )
