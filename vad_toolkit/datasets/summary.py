"""What a manifest holds, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from vad_toolkit.datasets.groundtruth import frame_labels
from vad_toolkit.datasets.manifest import NORMAL, Manifest


@dataclass(frozen=True)
class Summary:
    """Counts of a manifest. A video of several classes counts once in each."""

    dataset: str
    sha256: str
    videos: int
    normal: int
    abnormal: int
    classes: Mapping[str, int]  # videos by class, sorted by name; normal videos are "normal"
    sources: int  # originals that are known
    without_source: int  # videos whose original is not given
    frames: int  # of the videos whose length is known
    frames_not_known: int  # videos whose length is not known
    events: int
    events_not_known: int  # abnormal videos whose events are not known
    abnormal_frames: int  # inside events, cut at the video's end where its length is known


def summarise(manifest: Manifest) -> Summary:
    """Count a manifest's videos, classes, sources, frames and events."""
    classes: Counter[str] = Counter()
    frames = abnormal_frames = 0
    for entry in manifest:
        classes.update(entry.classes or ((NORMAL,) if entry.label == 0 else ()))
        known = entry.length
        frames += known or 0
        if entry.events:
            last = entry.events[-1][1]
            abnormal_frames += int(frame_labels(entry, min(known or last, last)).sum())
    return Summary(
        dataset=manifest.dataset,
        sha256=manifest.sha256,
        videos=len(manifest),
        normal=len(manifest.normal),
        abnormal=len(manifest.abnormal),
        classes=dict(sorted(classes.items())),
        sources=len({entry.source for entry in manifest} - {None}),
        without_source=sum(entry.source is None for entry in manifest),
        frames=frames,
        frames_not_known=sum(entry.length is None for entry in manifest),
        events=sum(len(entry.events or ()) for entry in manifest),
        events_not_known=sum(entry.events is None for entry in manifest.abnormal),
        abnormal_frames=abnormal_frames,
    )
