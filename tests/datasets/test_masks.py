"""Masks become events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.datasets.masks import mask_events
from vad_toolkit.errors import ManifestError


@pytest.mark.parametrize(
    ("mask", "events"),
    [
        ([], ()),
        ([0, 0], ()),
        ([1], ((0, 1),)),
        ([0, 1, 1, 0, 255], ((1, 3), (4, 5))),
        ([2, 1, 0], ((0, 2),)),
    ],
)
def test_runs_are_events(mask: list[int], events: tuple[tuple[int, int], ...]) -> None:
    assert mask_events(np.array(mask, np.uint8)) == events
    assert mask_events(np.array(mask, bool)) == events


def test_a_mask_of_pixels_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"shape \(3, 2\): it has to hold one value a frame"):
        mask_events(np.zeros((3, 2), np.uint8))


def test_the_masks_of_shanghaitech(reference: Path) -> None:
    folder = reference / "annotations" / "shanghaitech"
    rows = (folder / "test_videos.tsv").read_text(encoding="utf-8").splitlines()[1:]
    abnormal = [name for name, label, *_ in map(str.split, rows) if label == "1"]
    masks = [np.load(folder / "test_frame_mask" / f"{name}.npy") for name in abnormal]
    events = [mask_events(mask) for mask in masks]
    assert len(masks) == 44
    assert sum(map(len, masks)) == 17_472
    assert sum(stop - start for video in events for start, stop in video) == 7_962
