"""Lengths and frame rates of video files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.datasets import measure as module
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.measure import measure
from vad_toolkit.progress import ProgressEvent

MakeEntry = Callable[..., Entry]
MakeVideos = Callable[..., Path]


def test_the_container_tells_without_decoding(
    make_entry: MakeEntry, make_videos: MakeVideos
) -> None:
    events: list[ProgressEvent] = []
    root = make_videos("a.mp4")
    (entry,), failures = measure([make_entry("a")], root, progress=events.append)
    assert (entry.frames, entry.container_frames, entry.fps, failures) == (None, 8, 10.0, ())
    assert [(event.done, event.total, event.note) for event in events] == [(1, 1, "a")]


def test_counting_decodes(make_entry: MakeEntry, make_videos: MakeVideos) -> None:
    (entry,), _ = measure([make_entry("a")], make_videos("a.mp4", frames=5), count=True)
    assert (entry.frames, entry.container_frames) == (5, 5)


def test_what_is_no_video_is_a_line(make_entry: MakeEntry, make_videos: MakeVideos) -> None:
    root = make_videos("a.mp4")
    (root / "b.mp4").write_text("no video")
    (root / "c.mp4").touch()
    entries = [make_entry("b"), make_entry("a"), make_entry("c"), make_entry("d")]
    measured, failures = measure(entries, root)
    assert [entry.id for entry in measured] == ["a"]
    assert [line.partition(":")[0] for line in failures] == ["video 'b'", "video 'c'", "video 'd'"]
    assert not any("\n" in line for line in failures)


def test_a_length_that_is_needed_is_decoded_where_the_container_is_silent(
    make_entry: MakeEntry, make_videos: MakeVideos, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    probe = module.probe
    silent = lambda path: dataclasses.replace(probe(path), frames_reported=0, fps=0.0)  # noqa: E731
    monkeypatch.setattr(module, "probe", silent)
    root = make_videos("a.mp4", "b.mp4")
    (a, b), _ = measure([make_entry("a"), make_entry("b")], root, lengths_for={"b"})
    assert (a.frames, a.container_frames, a.fps) == (None, None, None)
    assert (b.frames, b.container_frames) == (8, None)
