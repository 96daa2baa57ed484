"""UBnormal (Acsintoae et al.: New Benchmark for Supervised Open-Set Video Anomaly Detection, 2022).

Six lists of names, `normal_training_video_names.txt` and so on, of which each side has a normal and
an abnormal one. The number of a video's scene, which is its folder, stands in its name. Events are
published as maps of each frame's pixels, beside the videos.
"""

from __future__ import annotations

import re
from pathlib import Path

from vad_manifests.official.lists import OfficialSplit, Row, by_name, read_rows

from vad_toolkit.datasets.manifest import Entry, make_entry

_NAME = re.compile(r"(normal|abnormal)_scene_([0-9]+)_")


def build(folder: Path) -> OfficialSplit:
    """Entries out of the six lists in `folder`: of each side first the normal videos.

    Raises:
        ManifestError: a file is missing or a line is wrong; names both.
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
        raise row.error(f"{row.name!r} has to begin with {kind}_scene_ and a number")
    id = f"Scene{match[2]}/{row.name}"
    return make_entry(row.where, {"id": id, "path": f"{id}.mp4", "label": int(kind == "abnormal")})
