"""Frames before decoding, and shares that are equal and the same for everybody."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad_toolkit.errors import PackError
from vad_toolkit.extraction.plan import VideoSize, longest_first, measure_videos, share_videos
from vad_toolkit.extraction.sources import VideoSource, list_sources


def sized(*frames: int) -> list[VideoSize]:
    return [
        VideoSize(VideoSource(f"v{index}", Path(f"{index}.mp4")), count, "manifest")
        for index, count in enumerate(frames)
    ]


def loads(shares: list[list[VideoSize]]) -> list[int]:
    return [sum(video.frames for video in share) for share in shares]


def test_frames_come_from_the_manifest_then_the_container_then_bytes(videos: Path) -> None:
    told = VideoSource("told", videos / "good" / "0.mp4", frames=7, fps=3.0)
    sources = [told, *list_sources([videos])]
    found = {size.source.id: size for size in measure_videos(sources)}
    assert (found["told"].frames, found["told"].known, found["told"].fps) == (7, "manifest", 3.0)
    assert found["told"].width == 0  # nobody looked
    one = found["good/1"]
    assert (one.frames, one.known, one.fps, one.width, one.height) == (33, "container", 8.0, 96, 64)
    assert found["bad/text"].known == found["bad/empty"].known == "bytes"
    assert found["bad/empty"].frames == 1
    assert measure_videos([told], look_at_all=True)[0].width == 96


def test_bytes_are_taken_as_other_videos_tell(tmp_path: Path) -> None:
    (tmp_path / "told.mp4").write_bytes(bytes(1000))
    (tmp_path / "not.mp4").write_bytes(bytes(500))
    told = VideoSource("told", tmp_path / "told.mp4", frames=100)
    other = VideoSource("not", tmp_path / "not.mp4")
    assert [size.frames for size in measure_videos([other, told])] == [50, 100]
    (tmp_path / "alone.mp4").write_bytes(bytes(40_000))
    (alone,) = measure_videos([VideoSource("alone", tmp_path / "alone.mp4")])
    assert (alone.frames, alone.known) == (10, "bytes")


def test_known_answer() -> None:
    """Graham's example: LPT makes 11 of it, where 9 is the best."""
    shares = share_videos(sized(5, 5, 4, 4, 3, 3, 3), 3)
    assert loads(shares) == [11, 8, 8]
    assert [video.frames for video in shares[0]] == [5, 3, 3]


@given(st.lists(st.integers(1, 10_000), max_size=40), st.integers(1, 9), st.randoms())
def test_shares_are_whole_equal_and_the_same_in_any_order(
    frames: list[int], count: int, chance: random.Random
) -> None:
    videos = sized(*frames)
    shares = share_videos(videos, count)
    assert sorted(v.source.id for share in shares for v in share) == sorted(
        video.source.id for video in videos
    )
    assert max(loads(shares)) - min(loads(shares)) <= max(frames, default=0)
    shuffled = list(videos)
    chance.shuffle(shuffled)
    assert share_videos(shuffled, count) == shares


def test_ids_that_could_not_be_merged_are_refused() -> None:
    twice = sized(1, 2)
    with pytest.raises(PackError, match="occurs twice"):
        share_videos([*twice, twice[0]], 2)


def test_longest_first(videos: Path) -> None:
    told = [VideoSource(str(n), Path("x"), frames=n) for n in (3, 9, 5)]
    assert [video.frames for video in longest_first(told)] == [9, 5, 3]
    by_bytes = longest_first(list_sources([videos / "good"]))
    sizes = [video.path.stat().st_size for video in by_bytes]
    assert sizes == sorted(sizes, reverse=True)
