"""Videos on disk: which files and folders are videos, where they are, and digests of their content.

A video is a file with a video's suffix, or a folder of numbered images (`000.jpg`, `001.jpg`, ...),
one per frame. Such a folder directly contains an image whose name ends in a number, and neither a
video file nor a sub-folder; hidden files and files of other types do not matter. Names decide: no
file is opened.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from vad_toolkit.core.files import AnyPath, sha256_file
from vad_toolkit.errors import DecodeError, InputError

VIDEO_SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv",
})  # fmt: skip
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})
LITTER = frozenset({"desktop.ini", "thumbs.db"})  # files that Windows adds to folders of images
EXAMPLE = "000.jpg, 001.jpg, ..."
_NUMBERED = re.compile(r"(.*?)([0-9]+)", re.DOTALL)


def find_videos(folder: AnyPath) -> list[Path]:
    """Return the videos in a folder and its sub-folders, sorted by their POSIX path.

    The folder itself may be a folder of frames. Hidden files and folders (a leading dot) are
    skipped. Links to videos are followed, other linked folders are not searched.

    Raises:
        InputError: If `folder` is not a folder, a sub-folder cannot be read, or a folder contains
            both numbered images and sub-folders, so that it is unclear whether it is a video.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name a folder of videos")
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be listed ({error.strerror})")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not is_hidden(name)]
        if _holds_frames(names):
            if folders:
                raise InputError(f"{root}: {_mixed(names, folders)}")
            found.append(Path(root))
        found += [Path(root, name) for name in names if is_video_name(name)]
        links = [path for name in folders if (path := Path(root, name)).is_symlink()]
        found += filter(is_frame_folder, links)
    return sorted(found, key=Path.as_posix)


def is_video_source(path: Path) -> bool:
    """Return whether `path` can be opened: it is a file of any name, or a folder of frames."""
    return path.is_file() or is_frame_folder(path)


def is_frame_folder(path: Path) -> bool:
    """Return whether a path is a folder of frames. False if it cannot be listed."""
    try:
        folders, names = _list(path)
    except OSError:
        return False
    return not folders and _holds_frames(names)


def list_frames(folder: Path) -> list[str]:
    """Return the names of a folder's images in the order of their numbers (the first may be any).

    Raises DecodeError if it is not a folder of frames, or the names are not one complete sequence.
    """
    try:
        folders, names = _list(folder)
    except OSError as error:
        raise DecodeError(f"{folder}: cannot be listed ({error.strerror})") from error
    if not any(map(frame_number, names)):
        raise DecodeError(f"{folder}: is a folder without numbered images ({EXAMPLE}), not a video")
    if videos := sorted(filter(is_video_name, names)):
        problem = f"is a folder, not a video: {videos[0]!r} is next to its images"
        raise DecodeError(f"{folder}: {problem}")
    if folders:
        raise DecodeError(f"{folder}: {_mixed(names, folders)}")
    numbered: list[tuple[str, int, str]] = []
    for name in sorted(filter(is_image_name, names)):
        if (found := frame_number(name)) is None:
            raise DecodeError(f"{folder}: image {name!r} has no number, so its place is unknown")
        numbered.append((*found, name))
        if found[0] != numbered[0][0]:
            raise DecodeError(
                f"{folder}: {numbered[0][2]!r} and {name!r} differ before the number; "
                "a folder of frames is one video"
            )
    numbered.sort()
    for (_, before, one), (_, after, other) in pairwise(numbered):
        pair = f"{one!r} and {other!r}"
        if before == after:
            raise DecodeError(f"{folder}: {pair} are both frame {before}")
        if after != before + 1:
            raise DecodeError(f"{folder}: frame {before + 1} is missing, between {pair}")
    return [name for *_, name in numbered]


def source_sha256(path: Path) -> str:
    """Return the hex digest that identifies a video's content.

    For a file it is the SHA-256 of its bytes. For a folder of frames it is the SHA-256 of the
    output of `sha256sum` for its images: a line "<sha256>  <name>" per image, sorted by bytes.
    """
    if not path.is_dir():
        return sha256_file(path)
    digest = hashlib.sha256()
    for name in sorted(map(os.fsencode, list_frames(path))):
        content = sha256_file(path / os.fsdecode(name))
        digest.update(content.encode("ascii") + b"  " + name + b"\n")
    return digest.hexdigest()


def source_bytes(path: Path) -> int:
    """Return the approximate size of a video in bytes, 0 if unknown, to estimate its run time.

    The images of a folder are assumed to be as large as the first one.
    """
    try:
        if path.is_dir():
            frames = list_frames(path)
            return len(frames) * (path / frames[0]).stat().st_size
        return path.stat().st_size
    except (OSError, DecodeError):
        return 0


def check_file(path: Path) -> None:
    """Raise DecodeError unless `path` is a regular, readable file that is not empty."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DecodeError(f"{path}: cannot be opened ({reason})") from error
    if not stat.S_ISREG(status.st_mode):
        raise DecodeError(f"{path}: is not a regular file")
    if status.st_size == 0:
        raise DecodeError(f"{path}: is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise DecodeError(f"{path}: cannot be opened (Permission denied)")


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is skipped: it has a leading dot, or is litter."""
    return name.startswith(".") or name.lower() in LITTER


def is_video_name(name: str) -> bool:
    """Return whether a name has a video's suffix (in any case) and is not hidden."""
    return _suffix(name) in VIDEO_SUFFIXES and not is_hidden(name)


def is_image_name(name: str) -> bool:
    """Return whether a name has an image's suffix (in any case) and is not hidden."""
    return _suffix(name) in IMAGE_SUFFIXES and not is_hidden(name)


def frame_number(name: str) -> tuple[str, int] | None:
    """Return the part of an image's name before its number, and the number.

    For example ("img_", 7) for `img_007.jpg`. None if the name is not an image's, or does not end
    in a number.
    """
    match = _NUMBERED.fullmatch(name.rpartition(".")[0]) if is_image_name(name) else None
    return (match[1], int(match[2])) if match else None


def _suffix(name: str) -> str:
    # pathlib takes five times as long, and a folder may have 100,000 names.
    return "".join(name.rpartition(".")[1:]).lower()


def _holds_frames(names: Sequence[str]) -> bool:
    """Return whether files of these names are frames: there is a numbered image, and no video."""
    return any(map(frame_number, names)) and not any(map(is_video_name, names))


def _mixed(names: Sequence[str], folders: Sequence[str]) -> str:
    """Return the error message for a folder that contains frames and sub-folders."""
    first = min(name for name in names if frame_number(name))
    return (
        f"numbered images ({first!r}) are next to the folder {min(folders)!r}; "
        "a folder of frames contains nothing else: move one of them"
    )


def _list(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of the folders, and of everything else, that are not hidden."""
    with os.scandir(folder) as entries:
        found = [(entry.is_dir(), entry.name) for entry in entries if not is_hidden(entry.name)]
    return [name for is_dir, name in found if is_dir], [
        name for is_dir, name in found if not is_dir
    ]
