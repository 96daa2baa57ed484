"""Relative paths as manifests and packs name videos by: what may be one.

A video id is such a path without suffix ("fight/fi001"): here features and datasets agree on it.
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
    """Give back `text` when it is a relative POSIX path with nothing to resolve in it.

    Raises:
        ValueError: an empty text, an absolute path, a component that is empty, "." or "..", a
            control or broken character, more than 32 components or 1,024 bytes.
    """
    if len(text) <= MAX_BYTES and _PLAIN.fullmatch(text):
        return text  # as nearly all are: manifests have millions of them
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts) or len(parts) > MAX_PARTS:
        raise ValueError(
            f"has to be a relative path of at most {MAX_PARTS} parts, "
            "none of them empty, '.' or '..'"
        )
    if CONTROL_CHARACTERS.search(text):
        raise ValueError("control characters are not allowed")
    if len(text.encode("utf-8")) > MAX_BYTES:
        raise ValueError(f"may have at most {MAX_BYTES} bytes")
    return text


def path_inside(root: Path, path: str) -> Path:
    """`root / path`, where no symbolic link on the way leads out of `root`.

    Raises:
        ValueError: it leads out, or `path` itself is not relative (`check_relative_path`).
    """
    inside = root / check_relative_path(path)
    real = Path(os.path.realpath(inside))
    if not real.is_relative_to(os.path.realpath(root)):
        raise ValueError(
            f"leads out of {root}, by a link to {real}; name the folder that really holds it, or "
            "copy the file"
        )
    return inside


def shown(name: str | bytes) -> str:
    """A name out of a file, safe to print: quoted, control characters escaped, cut at 200."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    return repr(text if len(text) <= 200 else f"{text[:200]}...")


# Video ids: what may be one, and which can stand in one pack together.
#
# An id is a relative POSIX path without suffix ("fight/fi001"). In a pack it is a path of HDF5
# groups, so that one id cannot lie inside another: a group is a video or a folder of videos.


class IdSet:
    """Video ids of one pack: each valid, none twice, none inside another ("a" and "a/b")."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._folders: set[str] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: str) -> None:
        """Take in one more id. Raises PackError."""
        self._folders |= self.check(id)
        self._ids.add(id)

    def check(self, id: str) -> set[str]:
        """Whether `id` could be added; the folders that it lies in. Raises PackError."""
        parts = check_id(id).split("/")
        folders = {"/".join(parts[:length]) for length in range(1, len(parts))}
        if id in self._ids:
            raise PackError(f"video id {id!r} is there twice: ids have to be unique in a pack")
        inside = sorted(folders & self._ids)
        if inside or id in self._folders:
            outer = inside[0] if inside else id
            raise PackError(
                f"video id {id!r}: {outer!r} cannot be a video and a folder of videos in one pack; "
                "rename one of them"
            )
        return folders


def check_ids(ids: Iterable[str]) -> None:
    """Whether these ids can stand in one pack together, told before any work. Raises PackError."""
    known = IdSet()
    for id in ids:
        known.add(id)


def check_id(id: str) -> str:
    """`id`, if it is a video id. Raises PackError."""
    try:
        return check_relative_path(id)
    except ValueError as error:
        raise PackError(f"video id {shown(id)}: {error}") from error


def check_text(name: str, value: object) -> str:
    """`value`, if it is one line of text without control characters. Raises PackError."""
    if not isinstance(value, str):
        raise PackError(f"{name} is {value!r}: it has to be a text")
    if CONTROL_CHARACTERS.search(value):
        raise PackError(f"{name} {shown(value)}: control characters are not allowed")
    return value
