"""XD-Violence (Wu et al.: Not only Look, but also Listen, ECCV 2020).

`xdv_flist_train.txt` and `published_test_order.txt` list the videos, whose names end in their
label: `_label_A` normal, `_label_B1-0-0` fighting, `_label_G-B2-B6` three classes.
`xdv_tframes.txt` has the decoded frames of the test videos (`NAME@FRAMES`), `annotations.txt` the
events of the violent ones, and `annotations_multiclasses.txt` these events with their classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vad_manifests.official.lists import OfficialSplit, Row, by_name, read_rows, require

from vad_toolkit.datasets.manifest import Entry, Event, make_entry

TRAIN = "xdv_flist_train.txt"
TEST = "published_test_order.txt"
COUNTS = "xdv_tframes.txt"
EVENTS = "annotations.txt"
CLASS_EVENTS = "annotations_multiclasses.txt"
CLASSES = {
    "B1": "fighting",
    "B2": "shooting",
    "B4": "riot",
    "B5": "abuse",
    "B6": "car accident",
    "G": "explosion",
}
NORMAL = "A"
NO_CLASS = "0"  # pads labels with fewer than three classes


def build(folder: Path) -> OfficialSplit:
    """Build the split from the five files in `folder`.

    Raises:
        ManifestError: If a file is missing or a line is wrong; the message names both.
    """
    train = tuple(_entry(row, {}) for row in by_name(read_rows(folder / TRAIN)).values())
    counts = by_name(read_rows(folder / COUNTS, 2, "@"))
    events = by_name(read_rows(folder / EVENTS, None))
    # Some names in this file have a suffix.
    class_events = by_name(
        read_rows(folder / CLASS_EVENTS, None), lambda row: row.name.removesuffix(".mp4")
    )
    test: list[Entry] = []
    for row in by_name(read_rows(folder / TEST)).values():
        fields: dict[str, object] = {
            "frames": require(counts, row.name, row, COUNTS).number(1),
        }
        classes = _classes(row)
        if classes:
            fields["events"] = _events(require(events, row.name, row, EVENTS))
        if len(classes) > 1:
            fields["class_events"] = _class_events(
                require(class_events, row.name, row, CLASS_EVENTS)
            )
        test.append(_entry(row, fields))
    return OfficialSplit(train, tuple(test))


def _entry(row: Row, fields: Mapping[str, object]) -> Entry:
    classes = _classes(row)
    return make_entry(
        row.where,
        {
            "id": row.name,
            "path": f"{row.name}.mp4",
            "label": int(bool(classes)),
            "classes": classes,
            **fields,
        },
    )


def _classes(row: Row) -> tuple[str, ...]:
    """Return the classes at the end of a name, in its order; none for a normal video."""
    _, mark, label = row.name.rpartition("_label_")
    codes = [code for code in label.split("-") if code != NO_CLASS]
    if not mark or not codes:
        raise row.error(f"{row.name!r} must end with _label_ and classes")
    if codes == [NORMAL]:
        return ()
    for code in codes:
        _check_class(row, code)
    return tuple(CLASSES[code] for code in codes)


def _events(row: Row) -> tuple[Event, ...]:
    if len(row.cells) % 2 == 0:
        raise row.error("an event has no end")
    return tuple(
        (row.number(column), row.number(column + 1)) for column in range(1, len(row.cells), 2)
    )


def _class_events(row: Row) -> dict[str, tuple[Event, ...]]:
    if len(row.cells) % 3 != 1:
        raise row.error("every event must be CLASS START END")
    events: dict[str, list[Event]] = {}
    for column in range(1, len(row.cells), 3):
        code = row.cells[column]
        _check_class(row, code)
        events.setdefault(CLASSES[code], []).append(
            (row.number(column + 1), row.number(column + 2))
        )
    return {name: tuple(sorted(pieces)) for name, pieces in events.items()}


def _check_class(row: Row, code: str) -> None:
    if code not in CLASSES:
        raise row.error(f"unknown class {code!r}; available: {', '.join(CLASSES)}")
