"""Lengths and frame rates of video files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.core.progress import ProgressEvent
from vad_toolkit.datasets.building import measure as module
from vad_toolkit.datasets.building.measure import measure
from vad_toolkit.datasets.manifest import Entry

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


def test_folders_of_frames_state_their_number_and_no_rate(
    make_entry: MakeEntry, make_frames: MakeVideos
) -> None:
    root = make_frames("a", "b")
    (root / "b" / "003.jpg").unlink()
    entries = [make_entry("a", path="a"), make_entry("b", path="b")]
    (entry,), failures = measure(entries, root)
    assert (entry.frames, entry.container_frames, entry.fps) == (None, 8, None)
    assert failures == (
        f"video 'b': {root / 'b'}: frame 3 is missing, between '002.jpg' and '004.jpg'",
    )
    (entry,), _ = measure(entries[:1], root, count=True)
    assert (entry.frames, entry.container_frames) == (8, 8)


def test_counting_finds_a_damaged_frame(make_entry: MakeEntry, make_frames: MakeVideos) -> None:
    root = make_frames("a")
    damaged = root / "a" / "005.jpg"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    assert len(measure([make_entry("a", path="a")], root)[0]) == 1
    measured, (line,) = measure([make_entry("a", path="a")], root, count=True)
    assert measured == ()
    assert line.startswith(f"video 'a': {damaged}: cannot be read (")
