"""Decoders ahead of a reader: order, bounds, failures, and an early end."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.errors import DecodeError
from vad_toolkit.extraction import decoding
from vad_toolkit.extraction.decoding import DecodeAhead, Ended, Failed, Frames, Opened
from vad_toolkit.video.open import open_video


def whole(path: Path) -> np.ndarray:
    reader = open_video(path)
    frames = np.concatenate(list(reader.chunks(16)))
    reader.close()
    return frames


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_videos_events_are_in_order(videos: Path, jobs: int) -> None:
    paths = sorted(videos.rglob("*.mp4"))
    with DecodeAhead(paths, jobs=jobs) as ahead:
        events = list(ahead)
    for index, path in enumerate(paths):
        own = [event for event in events if event.index == index]
        if path.parent.name == "bad":
            (failed,) = [event for event in own if isinstance(event, Failed)]
            assert failed is own[-1]
            assert isinstance(failed.error, DecodeError)
            continue
        assert isinstance(own[0], Opened)
        assert isinstance(own[-1], Ended)
        frames = np.concatenate([e.frames.numpy() for e in own if isinstance(e, Frames)])
        np.testing.assert_array_equal(frames, whole(path))
        assert own[-1].stats.frames_decoded == len(frames)


def test_a_file_that_goes_away_is_one_failure(videos: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "gone.mp4", videos / "good" / "0.mp4"]
    with DecodeAhead(paths) as ahead:
        kinds = [(event.index, type(event)) for event in ahead]
    assert kinds[0] == (0, Failed)
    assert kinds[-1] == (1, Ended)


def test_what_lies_ahead_is_bounded(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "QUEUE_BYTES", 1)  # one chunk, then
    path = videos / "good" / "1.mp4"
    with DecodeAhead([path], chunk_frames=4) as ahead:
        events = iter(ahead)
        next(events)
        first = next(events)
        assert isinstance(first, Frames)
        time.sleep(0.2)
        assert len(ahead._queue._items) <= 1
        assert sum(isinstance(event, Frames) for event in events) == 8


def test_an_early_end_ends_the_decoders(videos: Path) -> None:
    with DecodeAhead([videos / "good" / "1.mp4"] * 20, jobs=2, chunk_frames=1) as ahead:
        next(iter(ahead))
    assert not any(thread.is_alive() for thread in ahead._threads)


def test_our_own_mistakes_are_not_swallowed(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(decoding, "source_sha256", broken)
    with (
        DecodeAhead([videos / "good" / "0.mp4"]) as ahead,
        pytest.raises(ZeroDivisionError),
    ):
        list(ahead)
