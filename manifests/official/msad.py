"""MSAD, Multi-Scenario Anomaly Detection (Zhu et al., NeurIPS 2024), evaluation protocol ii.

`msad-i3d.list` and `msad-i3d-test.list` are the authors' lists of training and test features.
Videos are named by class and number, `Traffic_accident_12`, and normal ones `MSAD_normal_...`.
"""

from __future__ import annotations

import re
from pathlib import Path

from vad_manifests.official.lists import OfficialSplit, Row, by_name, read_rows

from vad_toolkit.datasets.manifest import Entry, make_entry

TRAIN = "msad-i3d.list"
TEST = "msad-i3d-test.list"
CLASSES = (
    "Assault",
    "Explosion",
    "Fighting",
    "Fire",
    "Object_falling",
    "People_falling",
    "Robbery",
    "Shooting",
    "Traffic_accident",
    "Vandalism",
    "Water_incident",
)
NORMAL = "MSAD_normal_"
_NUMBER = re.compile(r"_[0-9]+$")


def build(folder: Path) -> OfficialSplit:
    """Build the split from the two lists in `folder`.

    Raises:
        ManifestError: If a file is missing or a line is wrong; the message names both.
    """
    return OfficialSplit(_side(folder / TRAIN), _side(folder / TEST))


def _side(path: Path) -> tuple[Entry, ...]:
    return tuple(_entry(name, row) for name, row in by_name(read_rows(path), _name).items())


def _name(row: Row) -> str:
    """Return the video's name in the path of its features."""
    return row.name.rpartition("/")[2].removesuffix("_i3d.npy")


def _entry(name: str, row: Row) -> Entry:
    fields: dict[str, object] = {"id": name, "path": f"{name}.mp4", "label": 0}
    if not name.startswith(NORMAL):
        kind = _NUMBER.sub("", name)
        if kind not in CLASSES:
            raise row.error(
                f"{name!r} must be {NORMAL}... or one of {', '.join(CLASSES)} with a number"
            )
        fields |= {"label": 1, "classes": (kind,)}
    return make_entry(row.where, fields)
