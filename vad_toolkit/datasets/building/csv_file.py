"""A dataset from a CSV file: one video a row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.building.build import BuiltDataset
from vad_toolkit.datasets.building.measure import measure
from vad_toolkit.datasets.video_files import video_id
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import Entry, Event, Manifest, make_entry
from vad_toolkit.datasets.source_split import split_by_source
from vad_toolkit.errors import ManifestError
from vad_toolkit.video.paths import is_video_source

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


# Events of many videos in one CSV file: columns id, start, end, in frames [start, end).

COLUMNS = ("id", "start", "end")


def read_events(path: Path) -> dict[str, tuple[Event, ...]]:
    """Events by video id, each video's sorted.

    Raises:
        ManifestError: naming file, line and value; also where two events of a video overlap.
    """
    events: dict[str, list[Event]] = {}
    for row in read_table(path, required=COLUMNS):
        start = parse_frame(row, "start")
        stop = parse_frame(row, "end")
        if start >= stop:
            raise ManifestError(f"{row.where}: start {start} has to be less than end {stop}")
        own = events.setdefault(row.values["id"], [])
        for other in own:
            if start < other[1] and other[0] < stop:
                raise ManifestError(
                    f"{row.where}: event [{start}, {stop}) of {row.values['id']!r} overlaps "
                    f"[{other[0]}, {other[1]})"
                )
        own.append((start, stop))
    return {id: tuple(sorted(own)) for id, own in events.items()}


# CSV files that people write by hand: a header, known columns, errors with the line number.


@dataclass(frozen=True)
class Row:
    """One row: its cells by column, stripped, and where it stands ("videos.csv:7")."""

    where: str
    values: Mapping[str, str]


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Rows of a CSV file in UTF-8 with a header. Empty rows are passed over.

    Columns that are not there give empty texts; those in `required` may not be empty.

    Raises:
        ManifestError: the file cannot be read, a column is missing, unknown or there twice, or a
            row has too many cells or lacks a required one; names the line.
    """
    allowed = (*required, *optional)
    try:
        # utf-8-sig, since spreadsheets put a byte order mark in front.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(path, header, required, allowed)
            for cells in reader:
                where = f"{path}:{reader.line_num}"
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) > len(header):
                    raise ManifestError(
                        f"{where}: {len(cells)} cells under {len(header)} columns; a cell with a "
                        'comma has to stand in "double quotes"'
                    )
                values = dict.fromkeys(allowed, "")
                values.update(zip(header, (cell.strip() for cell in cells), strict=False))
                for column in required:
                    if not values[column]:
                        raise ManifestError(f"{where}: column {column} is empty; it is needed")
                yield Row(where, values)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not a text in UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise ManifestError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def parse_frame(row: Row, column: str) -> int:
    """A cell as a frame number, 0 or more. Raises ManifestError."""
    text = row.values[column]
    if not text.isascii() or not text.isdigit():
        raise ManifestError(f"{row.where}: {column} = {text!r}: has to be a frame, 0 or more")
    return int(text)


def _check_header(
    path: Path, header: Sequence[str], required: Sequence[str], allowed: Sequence[str]
) -> None:
    for column in header:
        if column not in allowed:
            raise ManifestError(
                f"{path}:1: column {column!r} is not known; allowed are {', '.join(allowed)}, "
                "separated by commas"
            )
        if header.count(column) > 1:
            raise ManifestError(f"{path}:1: column {column!r} stands twice")
    for column in required:
        if column not in header:
            raise ManifestError(
                f"{path}:1: column {column} is missing; needed are {', '.join(required)}"
            )
