"""Which files are videos, and where they lie in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import InputError

VIDEO_SUFFIXES = frozenset(
    {
        ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
        ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv",
    }
)  # fmt: skip


def is_video_name(name: str) -> bool:
    """Say whether a file's name ends like a video's (in any case) and is not hidden."""
    return not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES


def find_videos(folder: Path) -> list[Path]:
    """List the videos in a folder and its sub-folders, sorted by their POSIX path.

    Hidden files and folders (a leading dot) are passed over, linked folders are not entered. Names
    decide, nothing is opened. An empty list where there is none. Raises InputError when `folder` is
    not a folder or a sub-folder cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; name a folder that holds videos")
    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if is_video_name(name)]
    return sorted(found, key=Path.as_posix)


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be listed ({error.strerror})")
