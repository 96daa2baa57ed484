"""Locks between processes, on files: they end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vad_toolkit.core.files import TEMPORARY_MARK, remove
from vad_toolkit.errors import InputError


def acquire_lock(path: Path, *, wait_seconds: float | None = None, busy: str = "") -> int:
    """Create a file if it is missing, lock it or a folder, and return the file descriptor.

    The lock is held until the descriptor is closed or the process ends. If another process still
    holds it after `wait_seconds` (None: wait for it), raise InputError with the text `busy`.
    If the file cannot be opened, or its file system has no locks, raise OSError.

    A lock on a file that was removed or replaced while this process waited keeps nobody out: then
    the new file is locked.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    while True:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
        try:
            _flock(descriptor, wait_seconds, busy)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, wait_seconds: float | None = None, busy: str = "") -> Iterator[None]:
    """Hold a lock during the block. The arguments and errors are those of `acquire_lock`."""
    descriptor = acquire_lock(path, wait_seconds=wait_seconds, busy=busy)
    try:
        yield
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Remove the files and folders that killed processes were writing in `folder`.

    The caller holds the lock that all writers of the folder take, so that none of them is alive.
    """
    for path in folder.glob(f"*{TEMPORARY_MARK}*"):
        remove(path)


def _flock(descriptor: int, wait_seconds: float | None, busy: str) -> None:
    mode = fcntl.LOCK_EX if wait_seconds is None else fcntl.LOCK_EX | fcntl.LOCK_NB
    deadline = time.monotonic() + (wait_seconds or 0)
    while True:
        try:
            fcntl.flock(descriptor, mode)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise InputError(busy) from None
            time.sleep(0.05)
