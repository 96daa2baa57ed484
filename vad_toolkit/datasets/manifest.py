"""The manifest: which videos a split holds, their labels, and what is known of each.

One JSON object a line (`Entry`), in the order in which the dataset lists its videos. The dataset's
name and terms stand in `dataset.toml` in the same folder (`dataset_info`).
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

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from vad_toolkit.core.files import canonical_json, write_text
from vad_toolkit.core.ids import check_relative_path
from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, read_dataset_info
from vad_toolkit.errors import ManifestError

NORMAL = "normal"
UNLISTED = "unlisted"  # source of videos of unknown origin: any two of them might share one
Event = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]


class Entry(BaseModel):
    """One video: a line of a manifest. Immutable and strict: an unknown field is refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: str = Field(description="Unique in the dataset: a relative POSIX path without suffix.")
    path: str = Field(
        description="The video file, relative to the folder of raw videos; a video composed from "
        "features has no file, and its id stands here."
    )
    label: Literal[0, 1] = Field(description="0 normal, 1 abnormal.")
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Kinds of anomaly; a normal video has none, or only 'normal'."
    )
    frames: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Frames that decode."
    )
    container_frames: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Frames that the container's header states."
    )
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="Frames per second."
    )
    events: tuple[Event, ...] | None = Field(
        default=None,
        description="Abnormal intervals [start, stop) in frames, sorted, disjoint; left out or "
        "null where they are not known. One that ends after the video does is cut there.",
    )
    class_events: Mapping[str, tuple[Event, ...]] | None = Field(
        default=None,
        description="The events of each class, where a video has several and they are known. Those "
        "of two classes may overlap. A video of one class has all its events in `events`.",
    )
    label_counts: Mapping[str, Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        description="How many labels the video has in published arrays that follow no rule, by the "
        "name of the ground-truth rule.",
    )
    source: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="The original that the video was cut from; a split never divides it.",
    )

    @field_validator("id", "path")
    @classmethod
    def _check_path(cls, value: str) -> str:
        return check_relative_path(value)

    @field_validator("label", mode="before")
    @classmethod
    def _refuse_true(cls, value: Any) -> Any:
        # true and 1.0 equal 1 and would pass for it, but other readers of the file may not agree.
        if type(value) is not int:
            raise ValueError("has to be 0 (normal) or 1 (abnormal)")
        return value

    @field_validator("events")
    @classmethod
    def _check_events(cls, value: tuple[Event, ...] | None) -> tuple[Event, ...] | None:
        _check_intervals(value or ())
        return value

    @field_validator("class_events")
    @classmethod
    def _check_class_events(
        cls, value: Mapping[str, tuple[Event, ...]] | None
    ) -> Mapping[str, tuple[Event, ...]] | None:
        for events in (value or {}).values():
            _check_intervals(events)
        return value

    @model_validator(mode="after")
    def _check_label(self) -> Entry:
        if self.label == 0 and self.events:
            raise ValueError("events: a video with label 0 has none")
        if self.label == 0 and any(name != NORMAL for name in self.classes):
            raise ValueError("classes: a video with label 0 has none, or only 'normal'")
        if self.label == 1 and self.events == ():
            raise ValueError(
                "events: a video with label 1 has at least one; leave them out when not known"
            )
        for name in self.class_events or ():
            if name not in self.classes:
                raise ValueError(f"class_events: {name!r} is none of the video's classes")
        return self

    def events_of(self, name: str) -> tuple[Event, ...] | None:
        """Events of one class; None where they are not known, () where the video has none of it."""
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
        """The entry's line: keys sorted, no spaces, fields that hold their default left out."""
        return canonical_json(self.model_dump(mode="json", exclude_defaults=True))


@dataclass(frozen=True)
class Manifest:
    """The videos of one split, in the file's order, each id once, and the dataset's name.

    Raises:
        ManifestError: two entries have one id, or one id is the folder of another ("a" and "a/b"),
            which no pack can hold.
    """

    entries: tuple[Entry, ...]
    dataset: str
    # What the dataset changes in ground-truth rules (`rules.load_rule`).
    rules: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for entry in self.entries:
            if entry.id in seen:
                raise ManifestError(f"id {entry.id!r} stands twice; ids have to be unique")
            seen.add(entry.id)
        folders: set[str] = set()  # that are no videos, with all folders above them
        for entry in self.entries:
            folder = entry.id.rpartition("/")[0]
            while folder and folder not in folders:
                if folder in seen:
                    raise ManifestError(
                        f"id {folder!r} is a video and the folder of {entry.id!r}; no pack can "
                        "hold both: rename one of them"
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
        """Digest of the entries' canonical lines: not of the file's place, spacing or key order."""
        digest = hashlib.sha256()
        for line in _lines(self.entries):
            digest.update(line.encode("utf-8"))
        return digest.hexdigest()


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest. Blank lines are passed over.

    The dataset's name is that of `dataset.toml` in the same folder, else the folder's own name.

    Raises:
        ManifestError: naming file, line, id, field, value and what was allowed; also where the file
            cannot be read or holds no video.
    """
    info = info_beside(path)
    with _collector_paused():
        entries = _read_entries(path)
        if not entries:
            raise ManifestError(f"{path}: holds no videos; one JSON object a line is needed")
        try:
            return Manifest(tuple(entries), info.name, info.rules)
        except ManifestError as error:
            raise ManifestError(f"{path}: {error}") from error


def places(path: Path, ids: Collection[str]) -> dict[str, str]:
    """Where entries stand in a manifest's file ("train.jsonl:7"), by id, for messages about them.

    `read_manifest` does not keep it: the file is read again.
    """
    with path.open(encoding="utf-8") as file:
        named = ((_id_of(line), number) for number, line in enumerate(file, start=1))
        return {id: f"{path}:{number}" for id, number in named if id in ids}


def make_entry(where: str, fields: Mapping[str, Any]) -> Entry:
    """An entry from Python values, for builders.

    Args:
        where: what the error begins with, such as a file and a line.
        fields: as of `Entry`.

    Raises:
        ManifestError: naming id, field, value and what was allowed.
    """
    try:
        return Entry.model_validate(fields)
    except ValidationError as error:
        raise ManifestError(f"{where}: {_describe(error.errors()[0], fields.get('id'))}") from error


def write_manifest(path: Path, entries: Iterable[Entry]) -> None:
    """Write entries as JSON lines, whole and always with the same bytes.

    Raises:
        ManifestError: there are no entries, or two have one id; nothing is written.
    """
    manifest = Manifest(tuple(entries), dataset="")
    if not manifest.entries:
        raise ManifestError(f"{path}: not written, since there are no videos for it")
    write_text(path, "".join(_lines(manifest.entries)))


def manifest_schema() -> str:
    """The JSON Schema of one line, as it is shipped in `manifests/manifest.schema.json`."""
    schema = Entry.model_json_schema()
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _check_intervals(events: Iterable[Event]) -> None:
    reached = 0
    for start, stop in events:
        if start >= stop:
            raise ValueError("every event has to be [start, stop) with start < stop")
        if start < reached:
            raise ValueError("events have to be sorted and must not overlap")
        reached = stop


def _lines(entries: Iterable[Entry]) -> Iterator[str]:
    return (entry.canonical_json() + "\n" for entry in entries)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Entries have no cycles; looking for some in millions of new ones takes half of a reading."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_entries(path: Path) -> list[Entry]:
    """The entries of a file, line by line: the text as a whole is never in memory."""
    entries: list[Entry] = []
    line_of: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.isspace():
                    continue
                entry = _parse_line(path, number, line.rstrip("\n"))
                first = line_of.setdefault(entry.id, number)
                if first != number:
                    raise ManifestError(
                        f"{path}:{number}: id {entry.id!r} stands in line {first} already; "
                        "ids have to be unique"
                    )
                entries.append(entry)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not a text in UTF-8 ({error.reason})") from error
    return entries


def info_beside(path: Path) -> DatasetInfo:
    """What is known of the dataset of a manifest file: `dataset.toml` beside it, else its name.

    Raises:
        ManifestError: the `dataset.toml` is wrong.
    """
    info = path.parent / INFO_FILE
    if info.is_file():
        return read_dataset_info(info)
    return DatasetInfo(name=path.resolve().parent.name or "dataset")


def _parse_line(path: Path, number: int, line: str) -> Entry:
    try:
        return Entry.model_validate_json(line)
    except ValidationError as error:
        raise ManifestError(
            f"{path}:{number}: {_describe(error.errors()[0], _id_of(line))}"
        ) from error


def _id_of(line: str) -> Any:
    try:
        return json.loads(line).get("id")
    except (ValueError, AttributeError):
        return None


def _describe(problem: ErrorDetails, name: Any) -> str:
    if problem["type"] == "json_invalid":
        return f"not JSON ({problem['ctx']['error']}); one object a line is needed"
    message = problem["msg"].removeprefix("Value error, ")
    where = ".".join(str(part) for part in problem["loc"])
    who = f"id {name!r}: " if isinstance(name, str) else ""
    if problem["type"] == "missing":
        return f"{who}{where} is missing; id, path and label are needed"
    if problem["type"] == "extra_forbidden":
        return (
            f"{who}{where} is no field of a manifest; allowed are {', '.join(Entry.model_fields)}"
        )
    if not where:  # a rule that joins fields, or a line that is no object
        return f"{who}{message}"
    return f"{who}{where} = {problem['input']!r}: {message}"
