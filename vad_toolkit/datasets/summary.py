"""Counts of a manifest's videos, classes, sources, frames and events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vad_toolkit.datasets.manifest import NORMAL, Entry, Manifest

SNIPPET_FRAMES = 16
SHORT_SNIPPETS = 32  # methods that cut a video into 32 segments need at least this many


@dataclass(frozen=True)
class Summary:
    """Counts of a manifest. A video with several classes counts once in each.

    A number of frames is None if it is not known for any video. Abnormal frames are the frames
    inside events, which are cut at the video's last frame if its length is known.
    """

    dataset: str
    sha256: str
    videos: int
    normal: int
    abnormal: int
    anomaly_classes: int  # classes other than "normal"
    classes: Mapping[str, int]  # videos by class, sorted by name; normal videos are "normal"
    multi_class_videos: int
    sources: int  # known original videos
    without_source: int  # videos whose original is not known
    frames: int  # of the videos with known length: decoded, else the container's
    frames_not_known: int  # videos with unknown length
    decoded_frames: int | None
    container_frames: int | None
    differing_counts: int  # videos whose decoded and container frames differ
    longest_video: int | None  # frames
    short_videos: int  # videos with fewer than 32 snippets of 16 frames, the last one padded
    events: int
    events_not_known: int  # abnormal videos with unknown events
    several_events: int  # videos with more than one event
    events_past_end: int  # events that end after the video's last frame
    frames_with_events: int  # frames of abnormal videos with known length and events
    abnormal_frames: int
    annotated_abnormal_frames: int  # the same, but not cut


def summarize(manifest: Manifest) -> Summary:
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
        differing_counts=sum(
            len({entry.frames, entry.container_frames} - {None}) == 2 for entry in manifest
        ),
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


def _ends_late(entry: Entry) -> int:
    """Count the events that end after the last frame; 0 if the length is not known."""
    end = entry.length
    return 0 if end is None else sum(stop > end for _, stop in entry.events or ())


def _event_frames(entry: Entry, end: int | None) -> int:
    """Count the frames inside events, up to frame `end` if it is given."""
    return sum(
        max(0, (stop if end is None else min(stop, end)) - start)
        for start, stop in entry.events or ()
    )
