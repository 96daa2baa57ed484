"""CUHK Avenue (Lu, Shi, Jia: Abnormal Event Detection at 150 FPS in Matlab, ICCV 2013).

There are 16 normal training videos and 21 test videos, all of which have abnormal frames. The
owners publish pixel masks, but the events here are those of the array of frame labels in MSAD's
code (`avenue__msad_repo.npz`, key `gt`). It has 16 * floor(n / 16) labels for a video of n frames;
the labels of its last n mod 16 frames are not known and count as normal here.

No weakly-supervised split is published. The split made here divides all 37 videos in two halves by
the rule of `split_by_source`. Half of the abnormal videos move to training, as weak supervision
requires. Half of the normal videos move to test, which otherwise would have none, and so neither a
false-alarm rate nor a video-level AUC.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vad_manifests.official.lists import OfficialSplit

from vad_toolkit.datasets.building.masks import mask_events
from vad_toolkit.datasets.manifest import Entry, make_entry
from vad_toolkit.datasets.source_split import split_by_source
from vad_toolkit.errors import ManifestError

ARRAY = "avenue__msad_repo.npz"
UNIT = 16  # labels per snippet of the array
TRAIN_VIDEOS = 16
# Decoded frames of testing_videos/01.avi to 21.avi, the counts used in published code.
TEST_FRAMES = (
    *(1439, 1211, 923, 947, 1007, 1283, 605, 36, 1175, 841, 472),
    *(1271, 549, 507, 1001, 740, 426, 294, 248, 273, 76),
)
WEAK_FRACTION = 0.5
WEAK_SEED = 0


def build(folder: Path) -> OfficialSplit:
    """Build the official split, with events from the array in `folder`.

    Raises:
        ManifestError: If the array is missing or has another length.
    """
    path = folder / ARRAY
    labels = _labels(path)
    kept = [frames // UNIT * UNIT for frames in TEST_FRAMES]
    if labels.shape != (sum(kept),):
        raise ManifestError(f"{path}: shape must be ({sum(kept)},), got {labels.shape}")
    pieces = np.split(labels, np.cumsum(kept)[:-1])
    train = tuple(
        _entry(str(path), f"training_videos/{number:02d}", {"label": 0})
        for number in range(1, TRAIN_VIDEOS + 1)
    )
    test = tuple(
        _entry(
            str(path),
            f"testing_videos/{number:02d}",
            {"label": 1, "frames": frames, "events": mask_events(piece)},
        )
        for number, (frames, piece) in enumerate(zip(TEST_FRAMES, pieces, strict=True), start=1)
    )
    return OfficialSplit(train, test)


def build_weak(folder: Path) -> OfficialSplit:
    """Build the toolkit's own weakly-supervised split of the same videos.

    Raises:
        ManifestError: Like `build`.
    """
    official = build(folder)
    videos = (*official.train, *official.test)
    return OfficialSplit(*split_by_source(videos, WEAK_FRACTION, WEAK_SEED))


def _labels(path: Path) -> NDArray[np.float64]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            labels: NDArray[np.float64] = arrays["gt"]
            return labels
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ManifestError(f"{path}: not an .npz file with an array gt ({error})") from error


def _entry(where: str, id: str, fields: dict[str, object]) -> Entry:
    return make_entry(where, {"id": id, "path": f"{id}.avi", **fields})
