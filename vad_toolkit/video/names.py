"""What a file's name says: a video, a frame of one, or nothing of ours. Nothing is opened."""

from __future__ import annotations

import re

VIDEO_SUFFIXES = frozenset(
    {
        ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
        ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv",
    }
)  # fmt: skip
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})
LITTER = frozenset({"desktop.ini", "thumbs.db"})  # what Windows leaves in folders of pictures
_NUMBERED = re.compile(r"(.*?)([0-9]+)", re.DOTALL)


def is_hidden(name: str) -> bool:
    """Say whether a file or folder is passed over: a leading dot, or litter."""
    return name.startswith(".") or name.lower() in LITTER


def is_video_name(name: str) -> bool:
    """Say whether a file's name ends like a video's (in any case) and is not hidden."""
    return _suffix(name) in VIDEO_SUFFIXES and not is_hidden(name)


def is_image_name(name: str) -> bool:
    """Say whether a file's name ends like an image's (in any case) and is not hidden."""
    return _suffix(name) in IMAGE_SUFFIXES and not is_hidden(name)


def frame_number(name: str) -> tuple[str, int] | None:
    """What an image's name says before its number, and the number: `img_007.jpg` is ("img_", 7).

    None where the name is no image's, or does not end in a number.
    """
    match = _NUMBERED.fullmatch(name.rpartition(".")[0]) if is_image_name(name) else None
    return (match[1], int(match[2])) if match else None


def _suffix(name: str) -> str:
    """The last dot and what follows, in lower case; not by pathlib, which takes five times as long
    and there may be 100,000 names in a folder."""
    _, dot, end = name.rpartition(".")
    return (dot + end).lower()
