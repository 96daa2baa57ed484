"""Alarms are exact intervals, merged and dropped as told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad_toolkit.errors import InputError
from vad_toolkit.scoring.alarms import Alarm, find_alarms, known_fps


def spans(bits: str, fps: float | None = 10.0, **options: float) -> list[tuple[int, int]]:
    scores = np.array([0.9 if bit == "1" else 0.1 for bit in bits], np.float32)
    return [(alarm.start, alarm.stop) for alarm in find_alarms(scores, fps, **options)]


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ("", []),
        ("000", []),
        ("111", [(0, 3)]),
        ("100", [(0, 1)]),
        ("001", [(2, 3)]),
        ("0110111", [(1, 3), (4, 7)]),
    ],
)
def test_stretches(bits: str, expected: list[tuple[int, int]]) -> None:
    assert spans(bits) == expected


def test_an_alarm_says_when_and_how_high() -> None:
    scores = np.array([0.0, 0.5, 0.75, 0.75, 0.0], np.float32)
    assert find_alarms(scores, 2.0) == (Alarm(1, 4, 0.5, 2.0, 0.75, 2),)


def test_plain_lists_are_taken() -> None:
    assert find_alarms([0.0, 2.5, -1.0], threshold=2) == (Alarm(1, 2, None, None, 2.5, 1),)
    with pytest.raises(InputError, match=r"scores must have shape \(frames,\), got \(1, 2\)"):
        find_alarms([[0.1, 0.2]])


def test_the_threshold_itself_is_an_alarm() -> None:
    scores = np.array([0.3, 0.29999998], np.float64)
    assert len(find_alarms(scores, 10, 0.3)) == 1
    assert find_alarms(scores, 10, 0.31) == ()


def test_gaps_shorter_than_merge_seconds_are_closed() -> None:
    assert spans("1100011", merge_seconds=0.3) == [
        (0, 2),
        (5, 7),
    ]  # 3 frames at 10 fps: not shorter
    assert spans("1100011", merge_seconds=0.31) == [(0, 7)]
    assert spans("101010001", merge_seconds=0.2) == [(0, 5), (8, 9)]


def test_alarms_shorter_than_min_seconds_are_dropped_after_merging() -> None:
    assert spans("1000111", min_seconds=0.3) == [(4, 7)]
    assert spans("1000111", min_seconds=0.31) == []
    assert spans("1010100", min_seconds=0.5, merge_seconds=0.2) == [(0, 5)]


@pytest.mark.parametrize("fps", [None, 0.0, float("nan"), float("inf")])
def test_without_a_frame_rate_there_are_frames_but_no_seconds(fps: float | None) -> None:
    assert known_fps(fps) is None
    assert find_alarms(np.array([0.1, 0.9]), fps) == (Alarm(1, 2, None, None, 0.9, 1),)
    with pytest.raises(InputError, match="need a frame rate; give fps"):
        find_alarms(np.array([0.1, 0.9]), fps, merge_seconds=1)
    with pytest.raises(InputError, match="need a frame rate; give fps"):
        find_alarms(np.array([0.1, 0.9]), fps, min_seconds=1)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"threshold must be a finite number such as 0\.5, got nan"
    ):
        spans("1", threshold=float("nan"))
    with pytest.raises(InputError, match=r"merge_seconds must be a number >= 0, got -1\.0"):
        spans("1", merge_seconds=-1.0)
    with pytest.raises(InputError, match="min_seconds must be a number >= 0, got inf"):
        spans("1", min_seconds=float("inf"))


@given(st.text("01", max_size=60), st.floats(0, 3), st.floats(0, 3))
def test_alarms_are_ordered_apart_and_begin_and_end_high(
    bits: str, merge: float, least: float
) -> None:
    found = spans(bits, merge_seconds=merge, min_seconds=least)
    for start, stop in found:
        assert bits[start] == bits[stop - 1] == "1"
        assert (stop - start) / 10 >= least
    for (_, stop), (start, _) in itertools.pairwise(found):
        assert (start - stop) / 10 >= merge
        assert start > stop
