"""ShanghaiTech Campus (Luo, Liu, Gao, ICCV 2017) in the weakly-supervised split of Zhong et al.

The split (Graph Convolutional Label Noise Cleaner, CVPR 2019) moves abnormal test videos to the
training side and normal training videos to the test: `SH_Train_new.txt` (video, label) and
`SH_Test_NEW.txt` (video, label, frames of normal videos). `test_videos.tsv` has the order of
published arrays, decoded frames, and how many labels RTFM's array has for each video.
`test_frame_mask/VIDEO.npy` are the owners' labels of each frame of the 107 abnormal videos.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vad_toolkit.datasets.manifest import Entry, make_entry
from vad_toolkit.datasets.masks import mask_events
from vad_toolkit.datasets.official.lists import OfficialSplit, Row, by_name, read_rows, require
from vad_toolkit.datasets.rules import RULES, label_count

TRAIN = "SH_Train_new.txt"
TEST = "SH_Test_NEW.txt"
TEST_ORDER = "test_videos.tsv"
HEADER = "video label frames rtfm_labels"
MASKS = "test_frame_mask"
RTFM = "rtfm"


def build(folder: Path) -> OfficialSplit:
    """Entries out of the three lists and the masks in `folder`.

    Raises:
        ManifestError: a file is missing or a line is wrong; names both.
    """
    train = by_name(read_rows(folder / TRAIN, 2, ","))
    listed = by_name(read_rows(folder / TEST, 3, ","))
    test: dict[str, Entry] = {}
    for row in by_name(read_rows(folder / TEST_ORDER, header=HEADER)).values():
        label = require(listed, row.name, row, TEST).number(1)
        if row.number(1) != label:
            raise row.error(f"label {row.number(1)}, and {label} in {TEST}")
        entry = _entry(row, label, folder, row.number(2))
        published = row.number(3)
        if published != label_count(entry, RTFM, RULES[RTFM]):
            entry = entry.model_copy(update={"label_counts": {RTFM: published}})
        test[row.name] = entry
    for name, row in listed.items():
        if name not in test:
            raise row.error(f"{name!r} is not in {TEST_ORDER}")
    return OfficialSplit(
        tuple(_entry(row, row.number(1), folder) for row in train.values()), tuple(test.values())
    )


def _entry(row: Row, label: int, folder: Path, frames: int | None = None) -> Entry:
    """`frames` is what the list says; the mask of an abnormal video has to have as many."""
    name = row.name
    camera, _, number = name.partition("_")
    if not (camera.isdigit() and number.isdigit() and len(number) in (3, 4)):
        raise row.error(f"{name!r} is no video of ShanghaiTech; such as 01_001 or 01_0014")
    # Videos that were made for training have three digits and are files; the others are folders.
    path = f"training/videos/{name}.avi" if len(number) == 3 else f"testing/frames/{name}"
    fields: dict[str, object] = {"id": name, "path": path, "label": label}
    if label == 1:
        mask = folder / MASKS / f"{name}.npy"
        try:
            labels = np.load(mask, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise row.error(f"the mask of {name!r}, {mask}, cannot be read") from error
        if frames is not None and labels.shape != (frames,):
            raise row.error(f"{frames} frames, and a mask of shape {labels.shape} in {mask}")
        frames = len(labels)
        fields["events"] = mask_events(labels)
    if frames is not None:
        fields["frames"] = frames
    return make_entry(row.where, fields)
