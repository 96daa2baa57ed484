"""Whether a manifest, a pack and the ground truth belong together."""

from __future__ import annotations

from pathlib import Path

from vad_toolkit.core.ids import path_inside
from vad_toolkit.datasets.manifest import Manifest, places
from vad_toolkit.errors import ManifestError
from vad_toolkit.video.paths import is_video_source


def missing_files(manifest: Manifest, root: Path) -> dict[str, str]:
    """Videos of a manifest that are neither a file nor a folder of frames in `root`.

    A link that leads out of `root` is none either: what a manifest names has to lie in it.

    Returns:
        What is wrong by id, in the manifest's order.
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


def video_paths(manifest: Manifest, root: Path, file: Path) -> list[Path]:
    """The videos of a manifest in `root`, whether they are there or not.

    Args:
        manifest: whose videos.
        root: the folder that their paths start from.
        file: the manifest's file, for the message.

    Raises:
        ManifestError: a link leads out of `root`; names the line.
    """
    paths: list[Path] = []
    for entry in manifest:
        try:
            paths.append(path_inside(root, entry.path))
        except ValueError as error:
            where = places(file, {entry.id})[entry.id]
            raise ManifestError(f"{where}: id {entry.id!r}: path {entry.path!r} {error}") from error
    return paths
