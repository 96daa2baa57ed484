"""What a builder records of videos: frame rate, and frames by container or by decoding."""

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

    A folder of frames is a container that states its number of images, and no rate.

    Args:
        entries: whose `path`, under `root`, is measured.
        root: the folder of raw videos.
        count: decode every video and record its `frames`. Slow and exact, in a process of its own
            that a damaged file cannot take down with it.
        lengths_for: ids of videos whose length is needed; where the container does not tell it,
            they are decoded without `count` too.
        timeout_seconds: how long a decoder may give no frame.
        progress: called after each video.

    Returns:
        The entries that could be measured, in order, and a line for each that could not.
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
