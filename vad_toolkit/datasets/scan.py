"""Videos of a folder by id."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from vad_toolkit.errors import ManifestError
from vad_toolkit.paths import check_relative_path
from vad_toolkit.video.files import find_videos


def video_id(path: str) -> str:
    """The id of a video file: its relative POSIX path without the suffix.

    Raises:
        ManifestError: the path cannot be an id.
    """
    try:
        return str(PurePosixPath(check_relative_path(path)).with_suffix(""))
    except ValueError as error:
        raise ManifestError(f"video {path!r}: {error}") from error


def video_ids(root: Path) -> dict[str, str]:
    """All videos in a folder and its sub-folders: their relative POSIX paths by id, sorted.

    Raises:
        InputError: `root` is not a folder.
        ManifestError: two files differ only in their suffix, or a name cannot be an id.
    """
    files: dict[str, str] = {}
    for file in find_videos(root):
        path = file.relative_to(root).as_posix()
        id = video_id(path)
        if id in files:
            raise ManifestError(
                f"{files[id]!r} and {path!r} would both be video {id!r}; rename or remove one"
            )
        files[id] = path
    return files
