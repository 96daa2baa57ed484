"""Files that appear whole or not at all, digests, and JSON that always has the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError

TEMPORARY_MARK = ".tmp-"  # in the name of every file that is still being written
_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, it becomes `path`.

    The file is fsynced, renamed, and its folder fsynced, so that after a crash either the whole new
    file is there or the old one. When the block raises, the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}{TEMPORARY_MARK}{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """As `atomic_path`, for a folder of files: it is there whole or not at all.

    Raises:
        InputError: `path` is there already and is not an empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} is not an empty folder; name another one, or remove it")
    temporary = path.with_name(f"{path.name}{TEMPORARY_MARK}{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                with Path(folder, name).open("rb") as written:
                    os.fsync(written.fileno())
            fsync_folder(Path(folder))
        temporary.replace(path)
        fsync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class EarlySync:
    """Sends a large file to the disk while more of it is written, so that the last fsync is short.

    A context manager; what is written is told to `wrote`. A sync runs in a thread, one at a time.
    """

    def __init__(self, path: Path, every: int = 256 << 20) -> None:
        """`path` has to exist when `every` bytes were written to it."""
        self._path = path
        self._every = every
        self._waiting = 0
        self._pool = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def wrote(self, count: int) -> None:
        """Say that `count` bytes more were written. Raises OSError where an earlier sync failed."""
        self._waiting += count
        if self._waiting < self._every or not (self._running is None or self._running.done()):
            return
        if self._running is not None:
            self._running.result()
        self._waiting = 0
        self._running = self._pool.submit(_fdatasync, self._path)

    def __enter__(self) -> EarlySync:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._pool.shutdown()
        if kind is None and self._running is not None:
            self._running.result()  # a failed sync is told once: the last fsync would not repeat it


def _fdatasync(path: Path) -> None:
    with path.open("rb") as file:
        os.fdatasync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_open_file(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at `path`, which another process may have replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file, atomically; equal arrays give equal bytes. None of them holds objects."""
    named: dict[str, Any] = dict(arrays)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **named)


def claim_folder(folder: Path, name: str, record: Mapping[str, Any], what: str) -> None:
    """Make `folder` that of what `record` describes: a new or empty one gets it as file `name`.

    Args:
        what: that the folder holds, for the error: "a dataset".

    Raises:
        InputError: it holds what another record describes, or other files.
    """
    path = folder / name
    if path.is_file():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            there = None
        if there != record:
            raise InputError(
                f"{folder} holds {what} with other data or settings (see {name} there): name "
                "another folder, or remove this one"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there and not an empty folder: name another one")
    write_json(path, record)


def read_settings(path: Path, what: str, names: Iterable[str]) -> dict[str, Any]:
    """Keys and values of a .toml or .json file that a user named.

    Raises:
        InputError: no such file (`what` it should be, and the `names` that would do, are told), or
            it holds something else.
    """
    if not path.is_file():
        raise InputError(
            f"no {what} {str(path)!r}: give a file (.toml, .json) or one of {', '.join(names)}"
        )
    try:
        text = path.read_text(encoding="utf-8")
        settings = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a {what}: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path} is not a {what}: it has to hold keys and values")
    return settings


def canonical_json(value: Any) -> str:
    """One text for one value: keys sorted, no spaces, no NaN. What hashes are taken of."""
    return _CANONICAL.encode(value)


def sha256_text(text: str) -> str:
    """Hex digest of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def home() -> Path:
    """The toolkit's cache folder: `VAD_HOME`, else `vad` in the user's cache folder."""
    if chosen := os.environ.get("VAD_HOME"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vad"


def check_unused(folder: Path) -> None:
    """Refuse a folder that has anything in it, or a file. Raises InputError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already: results are not overwritten, name a new one")
