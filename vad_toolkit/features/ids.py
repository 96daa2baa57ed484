"""Video ids: what may be one, and which can stand in one pack together.

An id is a relative POSIX path without suffix ("fight/fi001"). In a pack it is a path of HDF5
groups, so that one id cannot lie inside another: a group is a video or a folder of videos.
"""

from __future__ import annotations

from collections.abc import Iterable

from vad_toolkit.errors import PackError
from vad_toolkit.features.hdf5 import shown
from vad_toolkit.paths import CONTROL_CHARACTERS, check_relative_path


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
