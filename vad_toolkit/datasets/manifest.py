"""Manifests: the videos of one split of a dataset, with labels, events and lengths.

A manifest file holds one JSON object per line (`Entry`), in the order in which the dataset lists
its videos. The dataset's name and terms are in `dataset.toml` in the same folder (`dataset_info`).
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from vad_toolkit.core.files import canonical_json, write_text
from vad_toolkit.core.ids import check_relative_path
from vad_toolkit.core.settings import Settings
from vad_toolkit.datasets.dataset_info import (
    INFO_FILE,
    DatasetInfo,
    describe_field,
    read_dataset_info,
)
from vad_toolkit.errors import ManifestError

NORMAL = "normal"
UNLISTED = "unlisted"  # source of videos of unknown origin: any two of them might share one
Event = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]


class Entry(Settings):
    """One video: a line of a manifest. Immutable and strict: unknown fields are refused."""

    id: str = Field(description="Unique in the dataset: a relative POSIX path without suffix.")
    path: str = Field(
        description="The video file, relative to the folder of raw videos. A video composed from "
        "features has no file; its path is its id."
    )
    label: Literal[0, 1] = Field(description="0 normal, 1 abnormal.")
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Kinds of anomaly; a normal video has none, or only 'normal'."
    )
    frames: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Number of frames that decode."
    )
    container_frames: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Number of frames according to the container's header."
    )
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="Frames per second."
    )
    events: tuple[Event, ...] | None = Field(
        default=None,
        description="Abnormal intervals [start, stop) in frames, sorted and disjoint; omitted or "
        "null if they are not known. An event that ends after the video is cut at its end.",
    )
    class_events: Mapping[str, tuple[Event, ...]] | None = Field(
        default=None,
        description="Events by class, for a video with several classes. Events of two classes may "
        "overlap. For a video with one class, all its events are in `events`.",
    )
    label_counts: Mapping[str, Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        description="Number of labels that the video has in published arrays that follow no rule, "
        "by the name of the ground-truth rule.",
    )
    source: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="The original video that this one was cut from; a split keeps it together.",
    )

    @field_validator("id", "path")
    @classmethod
    def _check_path(cls, value: str) -> str:
        try:
            return check_relative_path(value)
        except ValueError as error:
            raise ValueError(f"{value!r} {error}") from error

    @field_validator("label", mode="before")
    @classmethod
    def _refuse_true(cls, value: Any) -> Any:
        # True and 1.0 equal 1 and would pass, but other readers of the file may not agree.
        if type(value) is not int:
            raise ValueError(f"must be 0 (normal) or 1 (abnormal), got {value!r}")
        return value

    @field_validator("events", "class_events")
    @classmethod
    def _check_events(cls, value: Any) -> Any:
        for events in value.values() if isinstance(value, Mapping) else (value or (),):
            _check_intervals(events)
        return value

    @model_validator(mode="after")
    def _check_label(self) -> Entry:
        if self.label == 0 and self.events:
            raise ValueError("events: a video with label 0 must not have any")
        if self.label == 0 and any(name != NORMAL for name in self.classes):
            raise ValueError("classes: a video with label 0 must have none, or only 'normal'")
        if self.label == 1 and self.events == ():
            raise ValueError(
                "events: a video with label 1 must have at least one; omit them if not known"
            )
        for name in self.class_events or ():
            if name not in self.classes:
                raise ValueError(f"class_events: {name!r} is not one of the video's classes")
        return self

    def events_of(self, name: str) -> tuple[Event, ...] | None:
        """Return the events of one class: None if not known, () if the video has none of it."""
        if name not in self.classes:
            return ()
        if self.class_events is not None:
            return self.class_events.get(name, ())
        return self.events if len(self.classes) == 1 else None

    @property
    def length(self) -> int | None:
        """The best known number of frames: decoded, else the container's, else None."""
        return self.frames if self.frames is not None else self.container_frames

    def canonical_json(self) -> str:
        """Return the entry's line: sorted keys, no spaces, no fields that have their default.

        A field that a later version adds with a default therefore changes no line and no hash.
        """
        return canonical_json(self.model_dump(mode="json", exclude_defaults=True))


@dataclass(frozen=True)
class Manifest:
    """The videos of one split, in the file's order, and the dataset's name.

    Attributes:
        rules: Changes of ground-truth rules for this dataset (`DatasetInfo.rules`).
        path: The file, if the manifest was read from one; error messages name its lines.

    Raises:
        ManifestError: If two entries have the same id, or if one id is the folder of another
            ("a" and "a/b"), which a pack cannot hold.
    """

    entries: tuple[Entry, ...]
    dataset: str
    rules: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for entry in self.entries:
            if entry.id in seen:
                raise ManifestError(f"id {entry.id!r} appears twice; ids must be unique")
            seen.add(entry.id)
        folders: set[str] = set()  # known not to be videos, like all folders above them
        for entry in self.entries:
            folder = entry.id.rpartition("/")[0]
            while folder and folder not in folders:
                if folder in seen:
                    raise ManifestError(
                        f"id {folder!r} is a video and also the folder of {entry.id!r}, which a "
                        "pack cannot hold; rename one of them"
                    )
                folders.add(folder)
                folder = folder.rpartition("/")[0]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def by_id(self) -> Mapping[str, Entry]:
        """Entries by video id."""
        return {entry.id: entry for entry in self.entries}

    @cached_property
    def normal(self) -> tuple[Entry, ...]:
        """Entries with label 0, in order."""
        return tuple(entry for entry in self.entries if entry.label == 0)

    @cached_property
    def abnormal(self) -> tuple[Entry, ...]:
        """Entries with label 1, in order."""
        return tuple(entry for entry in self.entries if entry.label == 1)

    @cached_property
    def sha256(self) -> str:
        """Digest of the canonical lines, independent of the file's place, spacing and key order."""
        digest = hashlib.sha256()
        for line in _lines(self.entries):
            digest.update(line.encode("utf-8"))
        return digest.hexdigest()

    def lines_of(self, ids: Collection[str]) -> dict[str, str]:
        """Return the lines of entries ("train.jsonl:7") by id, for messages about them.

        The file is read again, since an entry does not keep its line. Empty if there is no file.
        """
        if self.path is None or not ids:
            return {}
        with self.path.open(encoding="utf-8") as file:
            named = [(_id_of(line), number) for number, line in enumerate(file, start=1)]
        return {id: f"{self.path}:{number}" for id, number in named if id in ids}


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest file. Blank lines are skipped.

    The dataset's name is that of `dataset.toml` in the same folder, else the folder's name.

    Raises:
        ManifestError: If the file cannot be read, holds no videos or has a wrong line. The message
            names file, line, id, field, value and the allowed values.
    """
    info = info_beside(path)
    with _collector_paused():
        entries = _read_entries(path)
        if not entries:
            raise ManifestError(f"{path}: no videos; a manifest has one JSON object per line")
        try:
            return Manifest(tuple(entries), info.name, info.rules, path)
        except ManifestError as error:
            raise ManifestError(f"{path}: {error}") from error


def make_entry(where: str, fields: Mapping[str, Any]) -> Entry:
    """Return an entry made of fields that are Python values.

    Raises ManifestError if one is missing, unknown or wrong; its message starts with `where`, such
    as file and line.
    """
    try:
        return Entry.model_validate(fields)
    except ValidationError as error:
        raise ManifestError(f"{where}: {_describe(error, fields.get('id'))}") from error


def write_manifest(path: Path, entries: Iterable[Entry]) -> None:
    """Write entries as JSON lines: atomically, and always with the same bytes.

    Raises:
        ManifestError: If there are no entries, or two have the same id; nothing is written.
    """
    manifest = Manifest(tuple(entries), dataset="")
    if not manifest.entries:
        raise ManifestError(f"{path}: not written, since there are no videos for it")
    write_text(path, "".join(_lines(manifest.entries)))


def info_beside(path: Path) -> DatasetInfo:
    """Return the `dataset.toml` in a manifest file's folder, else only the folder's name."""
    info = path.parent / INFO_FILE
    if info.is_file():
        return read_dataset_info(info)
    return DatasetInfo(name=path.resolve().parent.name or "dataset")


def _check_intervals(events: Iterable[Event]) -> None:
    reached = 0
    for start, stop in events:
        if start >= stop:
            raise ValueError(f"[{start}, {stop}) must start before it stops")
        if start < reached:
            raise ValueError(f"[{start}, {stop}) must not begin before the event before it ends")
        reached = stop


def _lines(entries: Iterable[Entry]) -> Iterator[str]:
    return (entry.canonical_json() + "\n" for entry in entries)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector: entries have no cycles, and reading is 1.4 times as fast."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_entries(path: Path) -> list[Entry]:
    entries: list[Entry] = []
    line_of: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):  # never the whole text in memory
                if line.isspace():
                    continue
                entry = _parse_line(path, number, line.rstrip("\n"))
                first = line_of.setdefault(entry.id, number)
                if first != number:
                    raise ManifestError(
                        f"{path}:{number}: id {entry.id!r} is already in line {first}; ids must be "
                        "unique"
                    )
                entries.append(entry)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text ({error.reason})") from error
    return entries


def _parse_line(path: Path, number: int, line: str) -> Entry:
    try:
        return Entry.model_validate_json(line)
    except ValidationError as error:
        raise ManifestError(f"{path}:{number}: {_describe(error, _id_of(line))}") from error


def _id_of(line: str) -> Any:
    try:
        return json.loads(line).get("id")
    except (ValueError, AttributeError):
        return None


def _describe(error: ValidationError, id: Any) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return f"not JSON ({first['ctx']['error']}); each line must be one JSON object"
    who = f"id {id!r}: " if isinstance(id, str) else ""
    if first["type"] == "missing":
        return f"{who}{first['loc'][0]} is missing; id, path and label are required"
    return who + describe_field(error, Entry)
