"""UCF-Crime (Sultani, Chen, Shah: Real-world Anomaly Detection in Surveillance Videos, CVPR 2018).

The authors publish `Anomaly_Train.txt`, `Anomaly_Test.txt` and `Temporal_Anomaly_Annotation.txt`
(video, class, up to two events, -1 for none). `frame_counts_train.txt` (video, decoded frames) and
`test_videos.tsv` (video, decoded frames, the container's frames according to OpenCV) were counted
from the videos; the latter has the order of all published arrays of frame labels.
"""

from __future__ import annotations

from pathlib import Path

from vad_manifests.official.lists import OfficialSplit, Row, by_name, read_rows, require

from vad_toolkit.datasets.manifest import Entry, Event, make_entry
from vad_toolkit.datasets.names import NameIndex

TRAIN = "Anomaly_Train.txt"
TEST = "Anomaly_Test.txt"
EVENTS = "Temporal_Anomaly_Annotation.txt"
TRAIN_COUNTS = "frame_counts_train.txt"
TEST_COUNTS = "test_videos.tsv"
HEADER = "video frames cv2_frame_count start1 end1 start2 end2"
NORMAL_FOLDERS = ("Training_Normal_Videos_Anomaly", "Testing_Normal_Videos_Anomaly")


def build(folder: Path) -> OfficialSplit:
    """Build the split from the five files in `folder`.

    Raises:
        ManifestError: If a file is missing or a line is wrong; the message names both.
    """
    counts = by_name(read_rows(folder / TRAIN_COUNTS, 2))
    train = tuple(
        _entry(row, row.name, {"frames": require(counts, row.name, row, TRAIN_COUNTS).number(1)})
        for row in by_name(read_rows(folder / TRAIN)).values()
    )
    return OfficialSplit(train, _test(folder))


def _test(folder: Path) -> tuple[Entry, ...]:
    listed = by_name(read_rows(folder / TEST))
    paths = {_id(path): path for path in listed}
    index = NameIndex(paths)
    annotations = by_name(read_rows(folder / EVENTS, 6))
    entries: dict[str, Entry] = {}
    for row in by_name(read_rows(folder / TEST_COUNTS, header=HEADER)).values():
        found = index.find(row.name)
        if found is None:
            raise row.error(f"{row.name!r} is not in {TEST}")
        path = paths[found]
        annotation = require(annotations, path.rpartition("/")[2], row, EVENTS)
        fields: dict[str, object] = {"frames": row.number(1), "container_frames": row.number(2)}
        events = _events(annotation)
        if events:
            fields["events"] = events
        entries[path] = _entry(row, path, fields)
    for path, row in listed.items():
        if path not in entries:
            raise row.error(f"{path!r} is not in {TEST_COUNTS}")
    return tuple(entries.values())


def _entry(row: Row, path: str, fields: dict[str, object]) -> Entry:
    group, slash, _ = path.partition("/")
    if not slash:
        raise row.error(f"{path!r} must be CLASS/VIDEO.mp4")
    is_normal = group in NORMAL_FOLDERS
    classes = () if is_normal else (group,)
    return make_entry(
        row.where,
        {"id": _id(path), "path": path, "label": int(not is_normal), "classes": classes, **fields},
    )


def _events(row: Row) -> tuple[Event, ...]:
    """Return the intervals as annotated, even if one ends after the video."""
    pairs = ((row.number(2), row.number(3)), (row.number(4), row.number(5)))
    return tuple(pair for pair in pairs if pair != (-1, -1))


def _id(path: str) -> str:
    return path.removesuffix(".mp4")
