"""A dataset from a CSV file: one video a row."""

from __future__ import annotations

import re
from pathlib import Path

from vad_toolkit.datasets.build import BuiltDataset
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import Entry, Event, Manifest, make_entry
from vad_toolkit.datasets.measure import measure
from vad_toolkit.datasets.scan import video_id
from vad_toolkit.datasets.split import split_by_source
from vad_toolkit.datasets.table import Row, read_table
from vad_toolkit.errors import ManifestError
from vad_toolkit.progress import ProgressCallback, silent
from vad_toolkit.video.files import is_video_source

REQUIRED = ("path", "label")
OPTIONAL = ("id", "split", "classes", "events", "source")
SPLITS = ("train", "test")


def build_csv_manifest(
    file: Path,
    root: Path,
    *,
    test_fraction: float = 0.3,
    seed: int = 0,
    count: bool = False,
    name: str | None = None,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> BuiltDataset:
    """Make train and test entries of a CSV file.

    Columns: `path` (relative to `root`, or absolute and inside it) and `label` (0 or 1); and, each
    of them optional, `id` (by default the path without suffix), `split` (train or test, in every
    row or in none), `classes` (with ; between them), `events` ("10-40;80-95": frames [start, stop))
    and `source`.

    Args:
        file: the CSV file, UTF-8, with a header.
        root: the folder of raw videos.
        test_fraction: of each label, for test, where no row has a split; 0 makes only a train
            manifest.
        seed: of the split (`split_by_source`).
        count: decode every video and record its frames.
        name: of the dataset; the file's own name by default.
        timeout_seconds: how long a decoder may give no frame.
        progress: called after each video.

    Returns:
        The dataset. Videos that cannot be opened are left out and named in `failures`.

    Raises:
        InputError: an option that is not allowed.
        ManifestError: with the line's number, value and what was allowed; no such video file; a
            source on both sides.
    """
    rows = list(read_table(file, REQUIRED, OPTIONAL))
    if not rows:
        raise ManifestError(f"{file}: holds no rows; one a video is needed")
    entries = [_entry(row, root) for row in rows]
    _check_unique(rows, entries)
    Manifest(tuple(entries), dataset="")  # no id inside another
    splits = {entry.id: _split(row) for row, entry in zip(rows, entries, strict=True)}
    if len({bool(split) for split in splits.values()}) > 1:
        row = next(row for row in rows if not row.values["split"])
        raise ManifestError(f"{row.where}: split is empty; give it in every row, or in none")
    measured, failures = measure(
        entries, root, count=count, timeout_seconds=timeout_seconds, progress=progress
    )
    if any(splits.values()):
        train = tuple(entry for entry in measured if splits[entry.id] == "train")
        test = tuple(entry for entry in measured if splits[entry.id] == "test")
    else:
        train, test = split_by_source(measured, test_fraction, seed)
    return BuiltDataset(
        info=DatasetInfo(name=name or file.stem), train=train, test=test, failures=failures
    )


def _entry(row: Row, root: Path) -> Entry:
    values = row.values
    path = _relative(row, root)
    if values["label"] not in ("0", "1"):
        raise ManifestError(
            f"{row.where}: label = {values['label']!r}: has to be 0 (normal) or 1 (abnormal)"
        )
    try:
        id = values["id"] or video_id(path, is_folder=(root / path).is_dir())
    except ManifestError as error:
        raise ManifestError(f"{row.where}: {error}") from error
    entry = make_entry(
        row.where,
        {
            "id": id,
            "path": path,
            "label": int(values["label"]),
            "classes": tuple(n.strip() for n in values["classes"].split(";") if n.strip()),
            "events": _events(row),
            "source": values["source"] or None,
        },
    )
    if not is_video_source(root / path):
        raise ManifestError(f"{row.where}: no file or folder of frames {path!r} in {root}")
    return entry


def _relative(row: Row, root: Path) -> str:
    path = Path(row.values["path"])
    if not path.is_absolute():
        return row.values["path"].removeprefix("./")
    try:
        return path.relative_to(root.absolute()).as_posix()
    except ValueError:
        raise ManifestError(f"{row.where}: path {str(path)!r} does not lie in {root}") from None


def _events(row: Row) -> tuple[Event, ...] | None:
    text = row.values["events"]
    if not text:
        return None
    events: list[Event] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = re.fullmatch(r"([0-9]+)\s*-\s*([0-9]+)", part)
        if match is None:
            raise ManifestError(
                f"{row.where}: events: {part!r} has to be START-STOP in frames, as in 10-40;80-95"
            )
        events.append((int(match.group(1)), int(match.group(2))))
    return tuple(sorted(events))


def _split(row: Row) -> str:
    split = row.values["split"]
    if split and split not in SPLITS:
        raise ManifestError(f"{row.where}: split = {split!r}: has to be train or test")
    return split


def _check_unique(rows: list[Row], entries: list[Entry]) -> None:
    line_of: dict[str, str] = {}
    for row, entry in zip(rows, entries, strict=True):
        if entry.id in line_of:
            raise ManifestError(
                f"{row.where}: id {entry.id!r} stands in {line_of[entry.id]} already; "
                "ids have to be unique"
            )
        line_of[entry.id] = row.where
