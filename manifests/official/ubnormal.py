"""UBnormal (Acsintoae et al.: New Benchmark for Supervised Open-Set Video Anomaly Detection, 2022).

Each of the three sides has a list of normal and a list of abnormal names,
`normal_training_video_names.txt` and so on. A video's name has the number of its scene, which is
its folder. Events are published as pixel maps of each frame, next to the videos.
"""

from __future__ import annotations

import re
from pathlib import Path

from vad_manifests.official.lists import OfficialSplit, Row, by_name, read_rows

from vad_toolkit.datasets.manifest import Entry, make_entry

_NAME = re.compile(r"(normal|abnormal)_scene_([0-9]+)_")


def build(folder: Path) -> OfficialSplit:
    """Build the split from the six lists in `folder`, with the normal videos of a side first.

    Raises:
        ManifestError: If a file is missing or a line is wrong; the message names both.
    """
    return OfficialSplit(
        train=_side(folder, "training"),
        test=_side(folder, "test"),
        validation=_side(folder, "validation"),
    )


def _side(folder: Path, side: str) -> tuple[Entry, ...]:
    return tuple(
        _entry(row, kind)
        for kind in ("normal", "abnormal")
        for row in by_name(read_rows(folder / f"{kind}_{side}_video_names.txt")).values()
    )


def _entry(row: Row, kind: str) -> Entry:
    match = _NAME.match(row.name)
    if match is None or match[1] != kind:
        raise row.error(f"{row.name!r} must begin with {kind}_scene_ and a number")
    id = f"Scene{match[2]}/{row.name}"
    return make_entry(row.where, {"id": id, "path": f"{id}.mp4", "label": int(kind == "abnormal")})
