"""TAD, the Traffic Anomaly Dataset (Lv et al.: Localizing Anomalies from Weakly-Labeled Videos).

`TAD_train.txt` has `PATH 0 FRAMES CLASS` and `TAD_test.txt` has `PATH FRAMES CLASS START END`.
CLASS is a number, 0 for normal; the class name is part of the file's name. The list gives a normal
test video an event of its whole length, which is ignored.
"""

from __future__ import annotations

from pathlib import Path

from vad_manifests.official.lists import OfficialSplit, Row, by_name, read_rows

from vad_toolkit.datasets.manifest import Entry, make_entry

TRAIN = "TAD_train.txt"
TEST = "TAD_test.txt"
CLASSES = {
    1: "Accident",
    2: "IllegalTurn",
    3: "IllegalOccupation",
    4: "Retrograde",
    5: "else",
    6: "PedestrianOnRoad",
    7: "RoadSpills",
}
NORMAL = "Normal"


def build(folder: Path) -> OfficialSplit:
    """Build the split from the two lists in `folder`.

    Raises:
        ManifestError: If a file is missing or a line is wrong; the message names both.
    """
    return OfficialSplit(
        train=tuple(
            _entry(row, row.number(2), row.number(3))
            for row in by_name(read_rows(folder / TRAIN, 4)).values()
        ),
        test=tuple(
            _entry(row, row.number(1), row.number(2), (row.number(3), row.number(4)))
            for row in by_name(read_rows(folder / TEST, 5)).values()
        ),
    )


def _entry(row: Row, frames: int, code: int, event: tuple[int, int] | None = None) -> Entry:
    if code not in (0, *CLASSES):
        raise row.error(f"class must be 0 (normal) to {max(CLASSES)}, got {code}")
    wanted = CLASSES.get(code, NORMAL)
    if wanted not in row.name.rpartition("/")[2].split("_"):
        raise row.error(f"class {code} is {wanted}, but the name is {row.name!r}")
    fields: dict[str, object] = {
        "id": row.name.removesuffix(".mp4"),
        "path": row.name,
        "label": int(code > 0),
        "classes": (wanted,) if code else (),
        "frames": frames,
    }
    if code and event is not None:
        fields["events"] = (event,)
    return make_entry(row.where, fields)
