"""What a manifest holds, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vad_toolkit.datasets.manifest import NORMAL, Entry, Manifest

SNIPPET_FRAMES = 16
SHORT_SNIPPETS = 32  # what methods that cut videos into 32 segments need


@dataclass(frozen=True)
class Summary:
    """Counts of a manifest. A video of several classes counts once in each.

    Numbers of frames are None where they are known of no video. "Abnormal frames" are those inside
    events; they are cut at the video's last frame, where its length is known.
    """

    dataset: str
    sha256: str
    videos: int
    normal: int
    abnormal: int
    anomaly_classes: int  # classes besides "normal"
    classes: Mapping[str, int]  # videos by class, sorted by name; normal videos are "normal"
    multi_class_videos: int
    sources: int  # originals that are known
    without_source: int  # videos whose original is not given
    frames: int  # of the videos whose length is known: decoded, else the container's
    frames_not_known: int  # videos whose length is not known
    decoded_frames: int | None
    container_frames: int | None
    differing_counts: int  # videos whose decoded and container frames are known and differ
    longest_video: int | None  # frames
    short_videos: int  # videos of fewer than 32 snippets of 16 frames, the last one filled up
    events: int
    events_not_known: int  # abnormal videos whose events are not known
    several_events: int  # videos with more than one
    events_past_end: int  # events that end after the video's last frame
    frames_with_events: int  # frames of the abnormal videos whose length and events are known
    abnormal_frames: int
    annotated_abnormal_frames: int  # the same, not cut


def summarise(manifest: Manifest) -> Summary:
    """Count a manifest's videos, classes, sources, frames and events."""
    classes: Counter[str] = Counter()
    for entry in manifest:
        classes.update(entry.classes or ((NORMAL,) if entry.label == 0 else ()))
    lengths = [entry.length for entry in manifest if entry.length is not None]
    evented = [entry for entry in manifest if entry.events]
    return Summary(
        dataset=manifest.dataset,
        sha256=manifest.sha256,
        videos=len(manifest),
        normal=len(manifest.normal),
        abnormal=len(manifest.abnormal),
        anomaly_classes=len(classes.keys() - {NORMAL}),
        classes=dict(sorted(classes.items())),
        multi_class_videos=sum(len(entry.classes) > 1 for entry in manifest),
        sources=len({entry.source for entry in manifest} - {None}),
        without_source=sum(entry.source is None for entry in manifest),
        frames=sum(lengths),
        frames_not_known=len(manifest) - len(lengths),
        decoded_frames=_sum([entry.frames for entry in manifest]),
        container_frames=_sum([entry.container_frames for entry in manifest]),
        differing_counts=sum(map(_counts_differ, manifest)),
        longest_video=max(lengths, default=None),
        short_videos=sum(-(-n // SNIPPET_FRAMES) < SHORT_SNIPPETS for n in lengths),
        events=sum(len(entry.events or ()) for entry in evented),
        events_not_known=sum(entry.events is None for entry in manifest.abnormal),
        several_events=sum(len(entry.events or ()) > 1 for entry in evented),
        events_past_end=sum(_ends_late(entry) for entry in evented),
        frames_with_events=sum(entry.length or 0 for entry in evented),
        abnormal_frames=sum(_event_frames(entry, entry.length) for entry in evented),
        annotated_abnormal_frames=sum(_event_frames(entry, None) for entry in evented),
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _counts_differ(entry: Entry) -> bool:
    counts = {entry.frames, entry.container_frames}
    return len(counts - {None}) == 2


def _ends_late(entry: Entry) -> int:
    """How many of a video's events end after its last frame; 0 where its length is not known."""
    end = entry.length
    return 0 if end is None else sum(stop > end for _, stop in entry.events or ())


def _event_frames(entry: Entry, end: int | None) -> int:
    """Frames inside a video's events, before frame `end` where that is given."""
    return sum(
        max(0, (stop if end is None else min(stop, end)) - start)
        for start, stop in entry.events or ()
    )
