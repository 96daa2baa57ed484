"""Measurement of videos: frame rate, and frames according to the container or by decoding."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.errors import DecodeError
from vad_toolkit.video.probe import probe
from vad_toolkit.video.survey import count_frames
from vad_toolkit.video.worker import DecodeWorker


def measure(
    entries: Sequence[Entry],
    root: Path,
    *,
    count: bool = False,
    lengths_for: Collection[str] = (),
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Fill in `fps` and `container_frames` from each video's container, and `frames` by decoding.

    A folder of frames counts as a container that states the number of its images and no rate.

    Args:
        entries: The entries, whose `path` is relative to `root`.
        root: The folder of raw videos.
        count: Whether to decode every video and record its `frames`: slow and exact. Decoding runs
            in a separate process, so that a damaged file cannot crash this one.
        lengths_for: Ids of videos whose length is needed: they are decoded even without `count` if
            the container does not state the length.
        timeout_seconds: Seconds without a frame after which a video is given up.
        progress: Called after each video.

    Returns:
        The entries that could be measured, in order, and one line for each that could not.
    """
    measured: list[Entry] = []
    failures: list[str] = []
    with DecodeWorker(timeout_seconds) as worker:
        for done, entry in enumerate(entries, start=1):
            path = root / entry.path
            try:
                facts = probe(path)
                found: dict[str, int | float] = {}
                if facts.fps > 0:
                    found["fps"] = facts.fps
                if facts.frames_reported > 0:
                    found["container_frames"] = facts.frames_reported
                if count or (entry.id in lengths_for and "container_frames" not in found):
                    found["frames"] = count_frames(worker, path).frames_decoded
                measured.append(entry.model_copy(update=found))
            except DecodeError as error:
                failures.append(f"video {entry.id!r}: {error}")
            progress(ProgressEvent("measure", done, len(entries), "videos", entry.id))
    return tuple(measured), tuple(failures)
