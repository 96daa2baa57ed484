"""Whether a manifest, a pack and the ground truth belong together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vad_toolkit.datasets.manifest import Entry, Manifest, places
from vad_toolkit.errors import ManifestError
from vad_toolkit.paths import path_inside
from vad_toolkit.video.files import is_video_source


def check_fit(
    manifest: Manifest,
    frames: Mapping[str, int],
    snippets: Mapping[str, int],
    by_recipe: Mapping[str, int | None],
    *,
    needs_events: bool = True,
) -> list[str]:
    """Everything that keeps a manifest from being scored on a pack, one line a problem.

    Args:
        manifest: the videos that are wanted; what a pack holds beside them does not matter.
        frames: decoded frames of each video of the pack, by id.
        snippets: snippets N of each video of the pack, by id.
        by_recipe: snippets that the recipe makes of each video, by id; None where it has no rule.
        needs_events: whether abnormal videos need known events: yes for a test, no for training.

    Returns:
        Lines that each name a video, in the manifest's order; empty when all fits.
    """
    problems: list[str] = []
    for entry in manifest:
        if entry.id not in frames or entry.id not in snippets:
            problems.append(f"video {entry.id!r}: in the manifest, but not in the pack")
            continue
        problems.extend(
            f"video {entry.id!r}: {problem}"
            for problem in _video_problems(
                entry, frames[entry.id], snippets[entry.id], by_recipe[entry.id], needs_events
            )
        )
    return problems


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


def _video_problems(
    entry: Entry,
    frames: int,
    snippets: int,
    wanted: int | None,
    needs_events: bool,
) -> list[str]:
    problems: list[str] = []
    if entry.frames is not None and entry.frames != frames:
        problems.append(f"{entry.frames} frames in the manifest, {frames} in the pack")
    if wanted is not None and wanted != snippets:
        problems.append(
            f"{snippets} snippets in the pack, where its recipe makes {wanted} of {frames} frames"
        )
    if entry.label == 1 and entry.events is None and needs_events:
        problems.append("abnormal, and its events are not known")
    problems.extend(
        f"event [{start}, {stop}) begins after the last of {frames} frames"
        for start, stop in entry.events or ()
        if start >= frames
    )
    return problems
