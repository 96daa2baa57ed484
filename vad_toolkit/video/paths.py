"""Which files and folders are videos, where they lie, and what identifies their content."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from vad_toolkit.core.files import sha256_file
from vad_toolkit.errors import DecodeError, InputError


def find_videos(folder: Path) -> list[Path]:
    """List the videos in a folder and its sub-folders, sorted by their POSIX path.

    A video is a file with a video's name, or a folder of frames (see `frame_folder`), which may be
    `folder` itself. Hidden files and folders (a leading dot) are passed over. Links to videos are
    taken, other linked folders are not entered. Names decide, nothing is opened. An empty list
    where there is none.

    Raises:
        InputError: `folder` is not a folder, a sub-folder cannot be read, or one holds numbered
            images beside sub-folders, so that it cannot be told whether it is a video.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; name a folder that holds videos")
    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not is_hidden(name)]
        if holds_frames(names):
            if folders:
                raise InputError(f"{root}: {mixed(names, folders)}")
            found.append(Path(root))
        found += [Path(root, name) for name in names if is_video_name(name)]
        links = [path for name in folders if (path := Path(root, name)).is_symlink()]
        found += filter(is_frame_folder, links)
    return sorted(found, key=Path.as_posix)


def is_video_source(path: Path) -> bool:
    """Say whether there is something at `path` to open: a file of any name, or a frame folder."""
    return path.is_file() or is_frame_folder(path)


def source_sha256(path: Path) -> str:
    """Hex digest that identifies a video's content.

    Of a file: the sha256 of its bytes. Of a folder of frames: the sha256 of what `sha256sum` prints
    for its images in the byte order of their names, a line "<sha256>  <name>" each.

    Raises:
        DecodeError: a folder that is no whole sequence of frames.
        OSError: a file cannot be read.
    """
    if not path.is_dir():
        return sha256_file(path)
    digest = hashlib.sha256()
    for name in sorted(map(os.fsencode, list_frames(path))):
        content = sha256_file(path / os.fsdecode(name))
        digest.update(content.encode("ascii") + b"  " + name + b"\n")
    return digest.hexdigest()


def source_bytes(path: Path) -> int:
    """About how many bytes a video has, for a guess of the time it takes; 0 where not known.

    A folder of frames is taken for that many images of the first one's size.
    """
    try:
        if path.is_dir():
            frames = list_frames(path)
            return len(frames) * (path / frames[0]).stat().st_size
        return path.stat().st_size
    except (OSError, DecodeError):
        return 0


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be listed ({error.strerror})")


# Folders of numbered images (`000.jpg`, `001.jpg`, ...): which of them are a video, in what order.
#
# A folder is one video where it directly holds an image whose name ends in a number, and neither a
# video file nor a sub-folder. Files of other kinds do not matter, nor do hidden ones.

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


# What a file's name says: a video, a frame of one, or nothing of ours. Nothing is opened.

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


def check_file(path: Path) -> None:
    """Refuse what is no regular file with something in it."""
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
