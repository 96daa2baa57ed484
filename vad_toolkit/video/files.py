"""Which files and folders are videos, where they lie, and what identifies their content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..errors import DecodeError, InputError
from ..files import sha256_file
from .frame_folder import holds_frames, is_frame_folder, list_frames, mixed
from .names import is_hidden, is_video_name


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
