"""Files that appear whole or not at all, digests, and JSON that always has the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError

AnyPath = str | os.PathLike[str]
TEMPORARY_MARK = ".tmp-"  # in the name of every file that is still being written


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file or folder, which becomes `path` when the block ends.

    It is fsynced, then renamed, then the folder that it is in is fsynced. After a crash, either the
    old file or the whole new one exists. If the block raises, the temporary one is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}{TEMPORARY_MARK}{os.getpid()}")
    try:
        yield temporary
        for written in (temporary, *temporary.rglob("*")):  # if it is a folder, all of it
            fsync(written)
        temporary.replace(path)
        fsync(path.parent)
    finally:
        remove(temporary)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder as `atomic_path` does. Raises InputError if `path` is in use."""
    check_new_folder(path)
    with atomic_path(path) as temporary:
        temporary.mkdir()
        yield temporary


class EarlySync:
    """A context that syncs a file after each `every` bytes: the fsync at the end is then short.

    One sync at a time runs, in a thread. The file must exist as soon as `every` bytes were written.
    """

    def __init__(self, path: Path, every: int = 256 << 20) -> None:
        self._path = path
        self._every = every
        self._waiting = 0
        self._pool = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def wrote(self, count: int) -> None:
        """Count `count` more bytes as written. Raises OSError if an earlier sync failed."""
        self._waiting += count
        if self._waiting < self._every or not (self._running is None or self._running.done()):
            return
        if self._running is not None:
            self._running.result()
        self._waiting = 0
        self._running = self._pool.submit(fsync, self._path)

    def __enter__(self) -> EarlySync:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._pool.shutdown()
        if kind is None and self._running is not None:
            self._running.result()  # the system reports a failed sync once: fsync may then succeed


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def fsync(path: Path) -> None:
    """Make a file, or the renames and removals in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_new_file(path: Path, what: str = "files", option: str = "--out") -> None:
    """Raise InputError if anything exists at `path`, even a broken link.

    `what` are the files that are written, "packs"; `option` of the command line chooses the path.
    """
    if os.path.lexists(path):
        raise InputError(
            f"{path} already exists; choose another {option} ({what} are never overwritten)"
        )


def check_new_folder(path: Path, what: str = "results", option: str = "--out") -> None:
    """Raise InputError if `path` exists and is not an empty folder."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(
            f"{path} already exists and is not an empty folder; choose another {option} ({what} "
            "are never overwritten)"
        )


def claim_folder(folder: Path, name: str, record: Mapping[str, Any], what: str) -> None:
    """Reserve a new or empty folder by writing `record` into it, or check that it has that record.

    The record is everything that the content of the folder depends on; `name` is its JSON file and
    `what` the content, "a dataset". Raises InputError if the folder has another record, or other
    files and no record.
    """
    path = folder / name
    if not path.is_file():
        check_new_folder(folder)
        write_json(path, record)
    found = None
    with suppress(ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
    if found != record:
        raise InputError(
            f"{folder} holds {what} with other data or settings (see {name} there); choose "
            "another --out, or remove this folder"
        )


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file of arrays without objects, atomically; equal arrays give equal bytes."""
    named: dict[str, Any] = dict(arrays)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **named)


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value, for hashes: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def sha256_text(text: str) -> str:
    """Return the hex digest of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def home() -> Path:
    """Return the toolkit's cache folder: `VAD_HOME`, else `vad` in the user's cache folder."""
    if chosen := os.environ.get("VAD_HOME"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vad"
