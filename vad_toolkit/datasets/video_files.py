"""Videos of a dataset on disk: ids of the files in a folder, and files of a manifest's videos."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from vad_toolkit.core.ids import check_relative_path, path_inside
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.errors import ManifestError
from vad_toolkit.video.paths import find_videos, is_video_source


def video_id(path: str, *, is_folder: bool = False) -> str:
    """Return a video's id: its relative POSIX path, without the suffix if it is a file.

    The name of a folder of frames has no suffix: `01.02` stays whole.

    Raises:
        ManifestError: If the path cannot be an id.
    """
    try:
        checked = PurePosixPath(check_relative_path(path))
        return str(checked if is_folder else checked.with_suffix(""))
    except ValueError as error:
        raise ManifestError(f"video {path!r}: {error}") from error


def video_ids(root: Path) -> dict[str, str]:
    """Return the relative POSIX paths of all videos in a folder and its sub-folders, by id.

    Raises:
        InputError: If `root` is not a folder, or holds a folder that may or may not be a video
            (`find_videos`).
        ManifestError: If two videos differ only in their suffix, a name cannot be an id, or `root`
            itself is a folder of frames.
    """
    files: dict[str, str] = {}
    for video in find_videos(root):
        if video == root:
            raise ManifestError(f"{root} is a single video (frames); name the folder above it")
        path = video.relative_to(root).as_posix()
        id = video_id(path, is_folder=video.is_dir())
        if id in files:
            raise ManifestError(
                f"{files[id]!r} and {path!r} would both have the id {id!r}; rename or remove one"
            )
        files[id] = path
    return files


def missing_files(manifest: Manifest, root: Path) -> dict[str, str]:
    """Return problems by id, in order, of videos that are neither file nor frame folder in `root`.

    A link that leads out of `root` counts as missing: a manifest's videos must lie in that folder.
    """
    problems: dict[str, str] = {}
    for entry in manifest:
        try:
            path = path_inside(root, entry.path)
        except ValueError as error:
            problems[entry.id] = f"path {entry.path!r} {error}"
            continue
        if not is_video_source(path):
            problems[entry.id] = f"no file or folder of frames {entry.path!r} in {root}"
    return problems


def video_paths(manifest: Manifest, root: Path) -> list[Path]:
    """Return the paths of a manifest's videos in `root`, without checking that they exist.

    Raises:
        ManifestError: If a link leads out of `root`; the message names the manifest's line.
    """
    paths: list[Path] = []
    for entry in manifest:
        try:
            paths.append(path_inside(root, entry.path))
        except ValueError as error:
            line = manifest.lines_of({entry.id}).get(entry.id, manifest.dataset)
            raise ManifestError(f"{line}: id {entry.id!r}: path {entry.path!r} {error}") from error
    return paths
