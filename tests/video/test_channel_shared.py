"""Frames in memory that two sides share: views, slots that come back, new generations."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.video import channel as shared
from vad_toolkit.video.channel import SLOTS, FilledSlots, ReadSlots
from vad_toolkit.video.open import open_video
from vad_toolkit.video.worker import DecodeWorker

MakeVideo = Callable[..., Path]


def frames(value: int, count: int = 2) -> NDArray[np.uint8]:
    return np.full((count, 4, 6, 3), value, np.uint8)


def both(slot_bytes: int) -> tuple[FilledSlots, ReadSlots]:
    filled = FilledSlots()
    descriptor = filled.reserve(slot_bytes)
    assert descriptor is not None
    return filled, ReadSlots(filled.layout, descriptor, filled.free)


def test_what_is_filled_is_seen() -> None:
    filled, read = both(frames(0).nbytes)
    for value in (1, 2):
        slot = filled.fill(frames(value))
        assert slot is not None
        np.testing.assert_array_equal(read.view(slot, (2, 4, 6, 3)), frames(value))


def test_a_slot_is_free_when_its_last_view_is_gone() -> None:
    filled, read = both(frames(0).nbytes)
    views = []
    for value in range(SLOTS):
        slot = filled.fill(frames(value))
        assert slot is not None
        views.append(read.view(slot, (2, 4, 6, 3)))
    assert filled.fill(frames(9)) is None
    part = views[1][1:, 0]  # a view of a view keeps the slot
    del views[1]
    assert filled.fill(frames(9)) is None
    np.testing.assert_array_equal(part, frames(1)[1:, 0])
    del part
    gc.collect()
    slot = filled.fill(frames(9))
    assert slot == 1
    assert [view[0, 0, 0, 0] for view in views] == [0, 2, 3]


def test_larger_frames_get_new_memory_and_old_views_stay() -> None:
    filled, read = both(frames(0).nbytes)
    slot = filled.fill(frames(5))
    assert slot is not None
    old = read.view(slot, (2, 4, 6, 3))
    assert filled.fill(frames(6, count=3)) is None  # does not fit
    assert filled.reserve(frames(0).nbytes) is None  # is there
    descriptor = filled.reserve(frames(0, count=3).nbytes)
    assert descriptor is not None
    newer = ReadSlots(filled.layout, descriptor, filled.free)
    for value in range(SLOTS):
        slot = filled.fill(frames(value, count=3))
        assert slot is not None
        newer.view(slot, (3, 4, 6, 3))
    np.testing.assert_array_equal(old, frames(5))
    del old  # a slot of the older generation, which the newer one does not know
    taken = [filled.fill(frames(1)) for _ in range(SLOTS + 1)]
    assert sorted(slot for slot in taken if slot is not None) == list(range(SLOTS))


def test_where_there_is_no_such_memory_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FilledSlots().reserve(shared.SLOT_LIMIT + 1) is None
    monkeypatch.delattr(os, "memfd_create")
    filled = FilledSlots()
    assert filled.reserve(100) is None
    assert filled.fill(frames(1)) is None


def whole(path: Path) -> NDArray[np.uint8]:
    reader = open_video(path)
    try:
        return np.concatenate(list(reader.chunks(8)))
    finally:
        reader.close()


def test_a_caller_may_keep_all_chunks(make_video: MakeVideo) -> None:
    """More than there are slots: the rest is sent. Later videos of any size do not touch them."""
    paths = [
        make_video("a.mp4", frames=70),
        make_video("b.mp4", frames=70, sizes=((192, 128),)),
        make_video("c.mp4", frames=70),
    ]
    with DecodeWorker() as worker:
        kept = []
        for path in paths:
            with worker.stream(path, "auto", 8) as stream:
                kept.append(list(stream))
    for path, chunks in zip(paths, kept, strict=True):  # the child is gone by now
        assert len(chunks) > 2 * SLOTS
        np.testing.assert_array_equal(np.concatenate(chunks), whole(path))


def test_frames_that_are_not_read_give_their_slots_back(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", frames=70)
    with DecodeWorker() as worker:
        for _ in range(2 * SLOTS):
            with worker.stream(path, "auto", 8) as stream:
                next(stream)
        with worker.stream(path, "auto", 8) as stream:
            chunk = next(stream)
            assert chunk.base is not None  # a view of a slot: shared, not sent
            np.testing.assert_array_equal(np.concatenate([chunk, *stream]), whole(path))
