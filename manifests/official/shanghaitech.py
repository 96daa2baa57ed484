"""ShanghaiTech Campus (Luo, Liu, Gao, ICCV 2017) in the weakly-supervised split of Zhong et al.

The split (Graph Convolutional Label Noise Cleaner, CVPR 2019) moves abnormal test videos to
training and normal training videos to test: `SH_Train_new.txt` (video, label) and `SH_Test_NEW.txt`
(video, label, frames of normal videos). `test_videos.tsv` has the order of published arrays, the
decoded frames, and the number of labels of each video in RTFM's array.
`test_frame_mask/VIDEO.npy` are the owners' frame labels of the 107 abnormal videos.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vad_manifests.official.lists import OfficialSplit, Row, by_name, read_rows, require

from vad_toolkit.datasets.building.masks import mask_events, read_masks
from vad_toolkit.datasets.manifest import Entry, make_entry
from vad_toolkit.datasets.truth.rules import RULES, label_count
from vad_toolkit.errors import InputError, ManifestError

TRAIN = "SH_Train_new.txt"
TEST = "SH_Test_NEW.txt"
TEST_ORDER = "test_videos.tsv"
HEADER = "video label frames rtfm_labels"
MASKS = "test_frame_mask"
RTFM = "rtfm"


def build(folder: Path) -> OfficialSplit:
    """Build the split from the three lists and the masks in `folder`.

    Raises:
        ManifestError: If a file is missing or a line is wrong; the message names both.
    """
    train = by_name(read_rows(folder / TRAIN, 2, ","))
    listed = by_name(read_rows(folder / TEST, 3, ","))
    ordered = by_name(read_rows(folder / TEST_ORDER, header=HEADER))
    for row in ordered.values():
        label = require(listed, row.name, row, TEST).number(1)
        if row.number(1) != label:
            raise row.error(f"label {row.number(1)} here, but {label} in {TEST}")
    for name, row in listed.items():
        require(ordered, name, row, TEST_ORDER)
    abnormal = [row.name for row in (*train.values(), *ordered.values()) if row.number(1) == 1]
    masks = _masks(folder / MASKS, abnormal)
    test: list[Entry] = []
    for row in ordered.values():
        frames, published = row.number(2), row.number(3)
        entry = _entry(row, masks, frames)
        if published != label_count(entry, RTFM, RULES[RTFM]):
            entry = entry.model_copy(update={"label_counts": {RTFM: published}})
        test.append(entry)
    return OfficialSplit(tuple(_entry(row, masks) for row in train.values()), tuple(test))


def _masks(folder: Path, abnormal: list[str]) -> Mapping[str, NDArray[np.bool_]]:
    try:
        return read_masks(folder, abnormal)
    except InputError as error:  # here the folder is no option of the user's
        raise ManifestError(f"{folder}: cannot be read; the owners' masks are needed") from error


def _entry(row: Row, masks: Mapping[str, NDArray[np.bool_]], frames: int | None = None) -> Entry:
    """Return the entry of a row; the mask of an abnormal video must have `frames`, if given."""
    name, label = row.name, row.number(1)
    camera, _, number = name.partition("_")
    if not (camera.isdigit() and number.isdigit() and len(number) in (3, 4)):
        raise row.error(f"{name!r} must be a name such as 01_001 or 01_0014")
    # The owners' training videos have three digits and are files; their test videos are folders.
    path = f"training/videos/{name}.avi" if len(number) == 3 else f"testing/frames/{name}"
    fields: dict[str, object] = {"id": name, "path": path, "label": label}
    if label == 1:
        if name not in masks:
            raise row.error(f"{name!r} is abnormal, but {MASKS} has no mask of it")
        mask = masks[name]
        if frames is not None and len(mask) != frames:
            raise row.error(f"{frames} frames here, but {len(mask)} in the mask of {name!r}")
        frames = len(mask)
        fields["events"] = mask_events(mask)
    if frames is not None:
        fields["frames"] = frames
    return make_entry(row.where, fields)
