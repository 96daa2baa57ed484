"""CSV files: datasets with one video per row, and lists of events."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.building.build import BuiltDataset
from vad_toolkit.datasets.building.measure import measure
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import Entry, Event, Manifest, make_entry
from vad_toolkit.datasets.source_split import split_by_source
from vad_toolkit.datasets.video_files import video_id
from vad_toolkit.errors import ManifestError
from vad_toolkit.video.paths import is_video_source

REQUIRED = ("path", "label")
OPTIONAL = ("id", "split", "classes", "events", "source")


@dataclass(frozen=True)
class Row:
    """One row: its stripped cells by column, and its place ("videos.csv:7")."""

    where: str
    values: Mapping[str, str]

    def error(self, problem: str) -> ManifestError:
        """Return an error that names this row."""
        return ManifestError(f"{self.where}: {problem}")


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
    """Build the train and test entries of a dataset in a CSV file.

    Required columns are `path` (relative to `root`, or absolute and inside it) and `label` (0 or
    1). Optional columns are `id` (by default the path without suffix), `split` (train or test, in
    every row or in none), `classes` (separated by ;), `events` ("10-40;80-95": frames [start,
    stop)) and `source`.

    Args:
        file: The CSV file: UTF-8, with a header.
        root: The folder of raw videos.
        test_fraction: Fraction of each label's videos for test, if no row has a split. With 0 all
            videos are for training.
        seed: Seed of the split (`split_by_source`).
        name: Name of the dataset. If None, the file's name without suffix.
        count, timeout_seconds, progress: The arguments of `measure`.

    Returns:
        The dataset. Videos that cannot be opened are left out and listed in `failures`.

    Raises:
        InputError: If the fraction is not allowed.
        ManifestError: If a row is wrong or its video does not exist, or a source is on both sides.
    """
    rows = list(read_table(file, REQUIRED, OPTIONAL))
    if not rows:
        raise ManifestError(f"{file}: no videos; one row per video is needed")
    entries = [_entry(row, root) for row in rows]
    line_of: dict[str, str] = {}
    for row, entry in zip(rows, entries, strict=True):
        if entry.id in line_of:
            raise row.error(
                f"id {entry.id!r} is already in {line_of[entry.id]}; ids must be unique"
            )
        line_of[entry.id] = row.where
    Manifest(tuple(entries), dataset="")  # refuses an id that lies inside another
    splits = {entry.id: _split(row) for row, entry in zip(rows, entries, strict=True)}
    if len({bool(split) for split in splits.values()}) > 1:
        row = next(row for row in rows if not row.values["split"])
        raise row.error("split is empty; give it in every row, or in none")
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
        raise row.error(f"label must be 0 (normal) or 1 (abnormal), got {values['label']!r}")
    try:
        id = values["id"] or video_id(path, is_folder=(root / path).is_dir())
    except ManifestError as error:
        raise row.error(str(error)) from error
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
        raise row.error(f"no file or folder of frames {path!r} in {root}")
    return entry


def _relative(row: Row, root: Path) -> str:
    path = Path(row.values["path"])
    if not path.is_absolute():
        return row.values["path"].removeprefix("./")
    try:
        return path.relative_to(root.absolute()).as_posix()
    except ValueError:
        raise row.error(f"path {str(path)!r} is not inside {root}") from None


def _events(row: Row) -> tuple[Event, ...] | None:
    text = row.values["events"]
    if not text:
        return None
    events: list[Event] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = re.fullmatch(r"([0-9]+)\s*-\s*([0-9]+)", part)
        if match is None:
            raise row.error(
                f"events must look like 10-40;80-95 (START-STOP in frames), got {part!r}"
            )
        events.append((int(match.group(1)), int(match.group(2))))
    return tuple(sorted(events))


def _split(row: Row) -> str:
    split = row.values["split"]
    if split and split not in ("train", "test"):
        raise row.error(f"split must be train or test, got {split!r}")
    return split


def read_events(path: Path) -> dict[str, tuple[Event, ...]]:
    """Read sorted events by video id from a CSV file: columns id, start, end; frames [start, end).

    Raises:
        ManifestError: If a row is wrong, or two events of a video overlap.
    """
    events: dict[str, list[Event]] = {}
    for row in read_table(path, required=("id", "start", "end")):
        start, stop = _frame(row, "start"), _frame(row, "end")
        if start >= stop:
            raise row.error(f"start must be less than end ({stop}), got {start}")
        own = events.setdefault(row.values["id"], [])
        for other in own:
            if start < other[1] and other[0] < stop:
                raise row.error(
                    f"event [{start}, {stop}) of {row.values['id']!r} overlaps "
                    f"[{other[0]}, {other[1]})"
                )
        own.append((start, stop))
    return {id: tuple(sorted(own)) for id, own in events.items()}


def _frame(row: Row, column: str) -> int:
    text = row.values[column]
    if not text.isascii() or not text.isdigit():
        raise row.error(f"{column} must be a frame number >= 0, got {text!r}")
    return int(text)


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Read the rows of a CSV file: UTF-8, with a header. Empty rows are skipped.

    Required columns must not be empty. Cells of optional columns that are missing are empty texts.

    Raises:
        ManifestError: If the file cannot be read, a column is missing, unknown or repeated, or a
            row has too many cells or an empty required one. The message names the line.
    """
    allowed = (*required, *optional)
    try:
        # utf-8-sig, since spreadsheets write a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(path, header, required, allowed)
            for cells in reader:
                values = dict.fromkeys(allowed, "")
                values.update(zip(header, (cell.strip() for cell in cells), strict=False))
                row = Row(f"{path}:{reader.line_num}", values)
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) > len(header):
                    raise row.error(
                        f"{len(cells)} cells for {len(header)} columns; a cell with a comma needs "
                        '"double quotes"'
                    )
                for column in required:
                    if not values[column]:
                        raise row.error(f"column {column} must not be empty")
                yield row
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text ({error.reason})") from error
    except csv.Error as error:
        raise ManifestError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def _check_header(
    path: Path, header: Sequence[str], required: Sequence[str], allowed: Sequence[str]
) -> None:
    problems = [
        *(
            f"unknown column {column!r}; allowed, separated by commas: {', '.join(allowed)}"
            for column in header
            if column not in allowed
        ),
        *(f"column {column!r} appears twice" for column in header if header.count(column) > 1),
        *(
            f"column {column} is missing; required: {', '.join(required)}"
            for column in required
            if column not in header
        ),
    ]
    if problems:
        raise ManifestError(f"{path}:1: {problems[0]}")
