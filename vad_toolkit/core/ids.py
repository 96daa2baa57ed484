"""Video ids and relative paths: the rules that manifests and packs share.

A video id is a relative POSIX path without suffix ("fight/fi001"). In a pack it is a path of HDF5
groups, and a group is either a video or a folder of videos. One id can therefore not lie inside
another ("a" and "a/b").
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from vad_toolkit.errors import PackError

MAX_BYTES = 1024
MAX_PARTS = 32
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Parts of ASCII letters, digits, "_", "-", " " and ".", that do not begin with the last two.
_PLAIN = re.compile(rf"[\w-][\w .-]*(?:/[\w-][\w .-]*){{0,{MAX_PARTS - 1}}}", re.ASCII)


def check_relative_path(text: str) -> str:
    """Return `text`. Raises ValueError if it is not a relative POSIX path in its shortest form."""
    if len(text) <= MAX_BYTES and _PLAIN.fullmatch(text):
        return text  # the fast way, for nearly all: manifests have millions of paths
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts) or len(parts) > MAX_PARTS:
        raise ValueError(
            f"must be a relative path of at most {MAX_PARTS} parts, none of them empty, '.' or '..'"
        )
    if CONTROL_CHARACTERS.search(text):
        raise ValueError("control characters are not allowed")
    if len(text.encode("utf-8")) > MAX_BYTES:
        raise ValueError(f"must have at most {MAX_BYTES} bytes")
    return text


def path_inside(root: Path, path: str) -> Path:
    """Return `root / path`. Raises ValueError if `path`, or a link on the way, leads out of it."""
    inside = root / check_relative_path(path)
    real = Path(os.path.realpath(inside))
    if not real.is_relative_to(os.path.realpath(root)):
        raise ValueError(
            f"leads out of {root}, by a link to {real}; name the folder that really holds it, or "
            "copy the file"
        )
    return inside


def shown(name: str | bytes) -> str:
    """Return a name from a file, safe to print: quoted, escaped, cut after 200 characters."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    return repr(text if len(text) <= 200 else f"{text[:200]}...")


class IdSet:
    """The video ids of one pack: each valid, none twice, none inside another."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._folders: set[str] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: str) -> None:
        """Add an id. Raises PackError if it is not valid or does not fit the others."""
        self._folders |= self.check(id)
        self._ids.add(id)

    def check(self, id: str) -> set[str]:
        """Check that `id` can be added, and return the folders it lies in. Raises PackError."""
        parts = check_id(id).split("/")
        folders = {"/".join(parts[:length]) for length in range(1, len(parts))}
        if id in self._ids:
            raise PackError(f"video id {id!r} occurs twice; ids must be unique in a pack")
        inside = sorted(folders & self._ids)
        if inside or id in self._folders:
            outer = inside[0] if inside else id
            raise PackError(
                f"video id {id!r}: {outer!r} cannot be a video and a folder of videos in one pack; "
                "rename one of them"
            )
        return folders


def check_ids(ids: Iterable[str]) -> None:
    """Check that ids can be in one pack together, before any work. Raises PackError."""
    known = IdSet()
    for id in ids:
        known.add(id)


def check_id(id: str) -> str:
    """Return `id` if it is a valid video id. Raises PackError."""
    try:
        return check_relative_path(id)
    except ValueError as error:
        raise PackError(f"video id {shown(id)}: {error}") from error


def check_text(name: str, value: object) -> str:
    """Return `value` if it is one line of text without control characters. Raises PackError."""
    if not isinstance(value, str):
        raise PackError(f"{name} must be a text, got {value!r}")
    if CONTROL_CHARACTERS.search(value):
        raise PackError(f"{name} {shown(value)}: control characters are not allowed")
    return value
