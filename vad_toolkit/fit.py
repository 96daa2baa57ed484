"""Whether a pack holds a manifest's videos: where datasets and features meet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.datasets.video_files import missing_files
from vad_toolkit.packs.pack import FeaturePack


def check_manifest(
    manifest: str | Path | Manifest,
    *,
    root: str | Path | None = None,
    pack: str | Path | None = None,
    side: str | None = None,
) -> list[str]:
    """Check a manifest: its lines, and whether its videos are in a folder and fit a pack.

    Args:
        manifest: A manifest, its file, or a dataset's name.
        root: The folder of raw videos; if None, the files are not checked.
        pack: A feature pack; if None, it is not checked.
        side: "train", "validation" or "test": of a dataset the side to check. Abnormal videos need
            known events except in training. If None, "train" for a file train.jsonl, else "test".

    Returns:
        Problems, one line per video and problem; empty if there are none.

    Raises:
        InputError: If there is no such manifest.
        ManifestError: If a line of the manifest is wrong.
        PackError: If the pack cannot be opened.

    Example:
        >>> check_manifest("cctv-fights", side="train")
        []
    """
    listed = find_manifest(manifest, side or "test")
    problems: list[str] = []
    if root is not None:
        missing = missing_files(listed, Path(root))
        lines = listed.lines_of(missing)
        problems += [
            f"{lines.get(id, listed.dataset)}: video {id!r}: {reason}"
            for id, reason in missing.items()
        ]
    if pack is not None:
        is_train = side == "train" or (
            side is None and listed.path is not None and listed.path.stem == "train"
        )
        with FeaturePack.open(Path(pack)) as opened:
            problems += pack_problems(listed, opened, needs_events=not is_train)
    return problems


def pack_problems(manifest: Manifest, pack: FeaturePack, *, needs_events: bool = True) -> list[str]:
    """Everything that keeps a manifest from being used with a pack, one line a problem.

    Args:
        manifest: the videos that are wanted.
        pack: an open pack; only metadata and shapes are read.
        needs_events: whether abnormal videos need known events: yes for a test, no for training.

    Returns:
        Lines that each name a video (`datasets.fit.check_fit`); empty when all fits.
    """
    videos = {id: pack.meta(id) for id in pack.ids}
    return check_fit(
        manifest,
        {id: meta.frames for id, meta in videos.items()},
        {id: pack.shape(id)[0] for id in videos},
        {id: pack.recipe.snippet_count(meta.frames, meta.fps) for id, meta in videos.items()},
        needs_events=needs_events,
    )


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
