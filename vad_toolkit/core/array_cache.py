"""A disk cache of arrays that take long to compute, mapped into memory.

The arrays are `.npy` files in `$VAD_HOME/cache/segments`. A mapped file takes memory only as far as
there is room, and runs side by side share it. The folder may be deleted at any time. If its files
exceed LIMIT_BYTES, those that were used least recently are removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import atomic_path, home
from vad_toolkit.core.locks import locked, remove_temporaries
from vad_toolkit.errors import VadError

LIMIT_BYTES = 64 << 30
SPARE_BYTES = 1 << 30  # of the disk, that stay free


def cached_array(
    key: str, size: int, dtype: np.dtype[Any], fill: Callable[[NDArray[Any]], None]
) -> NDArray[Any]:
    """Return an array, (size,), mapped from the cache; changes to it do not reach the file.

    `key` has the hex digits that identify everything that the content depends on. `fill` writes the
    content if it is not in the cache yet. If it raises, nothing is kept. If the disk has no room
    for the array, or the folder cannot be written, raise VadError.
    """
    path = home() / "cache" / "segments" / f"{key}.npy"
    folder = path.parent
    try:
        if (found := _open(path, size, dtype)) is not None:
            return found
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "lock"):
            remove_temporaries(folder)
            if (found := _open(path, size, dtype)) is None:  # no other process has written it
                _make_room(folder, size * dtype.itemsize)
                with atomic_path(path) as temporary:
                    array = np.lib.format.open_memmap(temporary, "w+", dtype, (size,))
                    fill(array)
                    array.flush()
                found = _open(path, size, dtype)
    except OSError as error:
        raise VadError(
            f"the cache {folder} cannot be used ({error.strerror or error}); set VAD_HOME to a "
            "writable folder"
        ) from error
    assert found is not None
    return found


def _open(path: Path, size: int, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return the mapped array, or None if the file is missing or holds another array."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    if array.shape != (size,) or array.dtype != dtype:
        return None
    os.utime(path)  # marks it as used: arrays in use are removed last
    return array


def _make_room(folder: Path, needed: int) -> None:
    files = [(path, path.stat()) for path in folder.glob("*.npy")]
    total = sum(stat.st_size for _, stat in files)
    free = shutil.disk_usage(folder).free
    for path, stat in sorted(files, key=lambda item: item[1].st_mtime):
        if total + needed <= LIMIT_BYTES and free >= needed + SPARE_BYTES:
            return
        path.unlink()  # processes that have it mapped keep it
        total -= stat.st_size
        free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise VadError(
            f"the cache {folder} needs {needed / 1e9:.1f} GB for the segments, and its disk has "
            f"{free / 1e9:.1f} GB free; set VAD_HOME to a folder on a larger disk"
        )
