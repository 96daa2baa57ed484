"""Counts of a manifest."""

from __future__ import annotations

from collections.abc import Callable

from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.summary import summarise


def test_everything_is_counted(make_entry: Callable[..., Entry]) -> None:
    manifest = Manifest(
        (
            make_entry("a", 0, frames=10, source="s"),
            make_entry("b", 0, classes=("normal",)),
            make_entry("c", 1, classes=("fight", "fire"), frames=30, events=((0, 5), (20, 99))),
            make_entry("d", 1, classes=("fire",), container_frames=7, source="s"),
            make_entry("e", 1, events=((3, 6),), source="t"),
        ),
        "mine",
    )
    summary = summarise(manifest)
    assert (summary.dataset, summary.sha256) == ("mine", manifest.sha256)
    assert (summary.videos, summary.normal, summary.abnormal) == (5, 2, 3)
    assert summary.classes == {"fight": 1, "fire": 2, "normal": 2}
    assert (summary.sources, summary.without_source) == (2, 2)
    assert (summary.frames, summary.frames_not_known) == (47, 2)
    assert (summary.events, summary.events_not_known, summary.abnormal_frames) == (3, 1, 18)
