"""Videos of a folder by id."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from vad_toolkit.core.ids import check_relative_path
from vad_toolkit.errors import ManifestError
from vad_toolkit.video.paths import find_videos


def video_id(path: str, *, is_folder: bool = False) -> str:
    """The id of a video: its relative POSIX path, of a file without the suffix.

    The name of a folder of frames has none: `01.02` is whole.

    Raises:
        ManifestError: the path cannot be an id.
    """
    try:
        checked = PurePosixPath(check_relative_path(path))
        return str(checked if is_folder else checked.with_suffix(""))
    except ValueError as error:
        raise ManifestError(f"video {path!r}: {error}") from error


def video_ids(root: Path) -> dict[str, str]:
    """All videos in a folder and its sub-folders: their relative POSIX paths by id, sorted.

    Raises:
        InputError: `root` is not a folder, or one in it may or may not be a video (`find_videos`).
        ManifestError: two videos differ only in their suffix, a name cannot be an id, or `root` is
            a folder of frames itself.
    """
    files: dict[str, str] = {}
    for video in find_videos(root):
        if video == root:
            raise ManifestError(f"{root} is one video, a folder of frames; name the folder above")
        path = video.relative_to(root).as_posix()
        id = video_id(path, is_folder=video.is_dir())
        if id in files:
            raise ManifestError(
                f"{files[id]!r} and {path!r} would both be video {id!r}; rename or remove one"
            )
        files[id] = path
    return files
