"""Counts of a manifest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.summary import summarize


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
    summary = summarize(manifest)
    assert (summary.dataset, summary.sha256) == ("mine", manifest.sha256)
    assert (summary.videos, summary.normal, summary.abnormal) == (5, 2, 3)
    assert summary.classes == {"fight": 1, "fire": 2, "normal": 2}
    assert (summary.anomaly_classes, summary.multi_class_videos) == (2, 1)
    assert (summary.sources, summary.without_source) == (2, 2)
    assert (summary.frames, summary.frames_not_known) == (47, 2)
    assert (summary.decoded_frames, summary.container_frames) == (40, 7)
    assert (summary.events, summary.events_not_known, summary.several_events) == (3, 1, 1)
    assert (summary.abnormal_frames, summary.annotated_abnormal_frames) == (18, 87)
    assert (summary.events_past_end, summary.frames_with_events) == (1, 30)
    assert summary.longest_video == 30


def test_counts_that_differ(make_entry: Callable[..., Entry]) -> None:
    manifest = Manifest(
        (
            make_entry("a", frames=10, container_frames=11),
            make_entry("b", frames=10, container_frames=10),
            make_entry("c", container_frames=10),
            make_entry("d", frames=10),
        ),
        "mine",
    )
    assert summarize(manifest).differing_counts == 1


@pytest.mark.parametrize(("frames", "short"), [(496, 1), (497, 0)])
def test_a_short_video_has_fewer_than_32_snippets(
    make_entry: Callable[..., Entry], frames: int, short: int
) -> None:
    assert summarize(Manifest((make_entry("a", frames=frames),), "x")).short_videos == short


def test_an_event_after_the_end_has_no_frames(make_entry: Callable[..., Entry]) -> None:
    summary = summarize(Manifest((make_entry("a", 1, frames=5, events=((7, 9),)),), "x"))
    assert (summary.abnormal_frames, summary.events_past_end) == (0, 1)


def test_nothing_known_is_none(make_entry: Callable[..., Entry]) -> None:
    summary = summarize(Manifest((make_entry("a", 1), make_entry("b")), "x"))
    assert summary.decoded_frames is None
    assert summary.container_frames is None
    assert summary.longest_video is None
    assert (summary.frames, summary.frames_not_known, summary.short_videos) == (0, 2, 0)
