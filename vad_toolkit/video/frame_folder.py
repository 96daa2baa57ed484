"""Folders of numbered images (`000.jpg`, `001.jpg`, ...): which of them are a video, in what order.

A folder is one video where it directly holds an image whose name ends in a number, and neither a
video file nor a sub-folder. Files of other kinds do not matter, nor do hidden ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from ..errors import DecodeError
from .names import frame_number, is_hidden, is_image_name, is_video_name

EXAMPLE = "000.jpg, 001.jpg, ..."


def is_frame_folder(path: Path) -> bool:
    """Say whether a path is a folder that is one video. False where it cannot be listed."""
    try:
        folders, names = _list(path)
    except OSError:
        return False
    return holds_frames(names) and not folders


def holds_frames(names: Iterable[str]) -> bool:
    """Say whether files of these names are frames: a numbered image among them, and no video."""
    names = list(names)
    return any(map(frame_number, names)) and not any(map(is_video_name, names))


def mixed(names: Iterable[str], folders: Sequence[str]) -> str:
    """What is wrong with a folder that holds frames and sub-folders, in words."""
    first = min(name for name in names if frame_number(name))
    return (
        f"numbered images ({first!r}) lie beside the folder {min(folders)!r}; "
        "a folder of frames holds nothing else: move one of them"
    )


def list_frames(folder: Path) -> list[str]:
    """Names of a frame folder's images in the order of their numbers, which may start anywhere.

    Raises:
        DecodeError: it cannot be listed, or is no frame folder; an image without a number, names
            that differ before the number, a number that is missing or that two images have.
    """
    try:
        folders, names = _list(folder)
    except OSError as error:
        raise DecodeError(f"{folder}: cannot be listed ({error.strerror})") from error
    if not any(map(frame_number, names)):
        raise DecodeError(f"{folder}: is a folder, not a video, and holds no frames ({EXAMPLE})")
    if videos := sorted(filter(is_video_name, names)):
        raise DecodeError(
            f"{folder}: is a folder, not a video: {videos[0]!r} lies beside its images"
        )
    if folders:
        raise DecodeError(f"{folder}: {mixed(names, folders)}")
    return _in_order(folder, names)


def _list(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the other things in a folder that are not hidden."""
    folders: list[str] = []
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_hidden(entry.name):
                (folders if entry.is_dir() else names).append(entry.name)
    return folders, names


def _in_order(folder: Path, names: Iterable[str]) -> list[str]:
    numbered: list[tuple[int, str]] = []
    prefix, its_name = None, ""
    for name in sorted(names):
        found = frame_number(name)
        if found is None:
            if not is_image_name(name):
                continue
            raise DecodeError(f"{folder}: image {name!r} has no number, so its place is not known")
        if prefix is None:
            prefix, its_name = found[0], name
        elif found[0] != prefix:
            raise DecodeError(
                f"{folder}: {its_name!r} and {name!r} differ before the number; "
                "a folder of frames holds one video"
            )
        numbered.append((found[1], name))
    numbered.sort()
    for (before, one), (after, other) in pairwise(numbered):
        if before == after:
            raise DecodeError(f"{folder}: {one!r} and {other!r} are both frame {before}")
        if after != before + 1:
            raise DecodeError(
                f"{folder}: frame {before + 1} is missing, between {one!r} and {other!r}"
            )
    return [name for _, name in numbered]
