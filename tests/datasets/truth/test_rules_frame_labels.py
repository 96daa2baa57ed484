"""Frame-level labels from events."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.truth.rules import frame_labels
from vad_toolkit.errors import InputError, ManifestError

MakeEntry = Callable[..., Entry]


def test_events_are_half_open(make_entry: MakeEntry) -> None:
    labels = frame_labels(make_entry("a", 1, events=((1, 3), (3, 4), (6, 7))), 8)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [0, 1, 1, 1, 0, 0, 1, 0]


def test_an_event_is_cut_at_the_videos_end(make_entry: MakeEntry) -> None:
    entry = make_entry("a", 1, events=((2, 9), (10, 12)))
    assert frame_labels(entry, 4).tolist() == [0, 0, 1, 1]
    assert frame_labels(entry, 0).tolist() == []


def test_a_normal_video_is_normal_throughout(make_entry: MakeEntry) -> None:
    assert frame_labels(make_entry("a", 0), 3).tolist() == [0, 0, 0]


def test_unknown_events_give_no_ground_truth(make_entry: MakeEntry) -> None:
    with pytest.raises(ManifestError, match="video 'a' is abnormal, but its events are not known"):
        frame_labels(make_entry("a", 1), 3)


def test_a_negative_length(make_entry: MakeEntry) -> None:
    with pytest.raises(InputError, match="video 'a': frames must be 0 or more, got -1"):
        frame_labels(make_entry("a", 0), -1)


@given(
    edges=st.lists(st.integers(0, 60), min_size=2, max_size=8, unique=True).map(sorted),
    frames=st.integers(0, 50),
)
def test_every_frame_is_labelled_by_its_events(edges: list[int], frames: int) -> None:
    events = tuple(zip(edges[::2], edges[1::2], strict=False))
    entry = Entry(id="a", path="a", label=1, events=events)
    expected = [int(any(a <= i < b for a, b in events)) for i in range(frames)]
    assert frame_labels(entry, frames).tolist() == expected
