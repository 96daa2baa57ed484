"""Checks that a manifest fits a pack and a folder of videos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vad_toolkit.core.files import AnyPath
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.datasets.video_files import missing_files
from vad_toolkit.packs.pack import FeaturePack


def check_manifest(
    manifest: AnyPath | Manifest,
    *,
    root: AnyPath | None = None,
    pack: AnyPath | None = None,
    side: str | None = None,
) -> list[str]:
    """Check a manifest: its lines, and whether its videos are in a folder and fit a pack.

    Args:
        manifest: A manifest, its file, or a dataset's name.
        root: The folder of raw videos. If None, the files are not checked.
        pack: A feature pack. If None, it is not checked.
        side: "train", "validation" or "test": the side of a dataset to check. Abnormal videos need
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
        stem = "" if listed.path is None else listed.path.stem
        with FeaturePack.open(pack) as opened:
            problems += pack_problems(listed, opened, needs_events=(side or stem) != "train")
    return problems


def pack_problems(manifest: Manifest, pack: FeaturePack, *, needs_events: bool = True) -> list[str]:
    """Return everything that prevents using a manifest with a pack: lines that each name a video.

    The pack may have more videos; only its metadata is read. With `needs_events`, abnormal videos
    must have known events, as testing needs them and training does not.
    """
    return [
        f"video {entry.id!r}: {problem}"
        for entry in manifest
        for problem in _problems(entry, pack, needs_events)
    ]


def _problems(entry: Entry, pack: FeaturePack, needs_events: bool) -> Iterator[str]:
    if entry.id not in pack:
        yield "in the manifest, but not in the pack"
        return
    frames = pack.meta(entry.id).frames
    if entry.frames is not None and entry.frames != frames:
        yield f"{entry.frames} frames in the manifest, {frames} in the pack"
    if entry.label == 1 and entry.events is None and needs_events:
        yield "abnormal, and its events are not known"
    for start, stop in entry.events or ():
        if start >= frames:
            yield f"event [{start}, {stop}) begins after the last of {frames} frames"
