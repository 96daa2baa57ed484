"""A dataset from a folder of videos, one sub-folder a class, split already or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.building.build import BuiltDataset
from vad_toolkit.datasets.building.csv_file import read_events
from vad_toolkit.datasets.building.measure import measure
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import Entry, Event, make_entry
from vad_toolkit.datasets.source_split import split_by_source
from vad_toolkit.datasets.video_files import video_ids
from vad_toolkit.errors import InputError, ManifestError

# Compared in lower case without spaces and signs: "Non-Violence" is nonviolence.
NORMAL_NAMES = frozenset(
    {
        "normal", "normals", "normalvideo", "normalvideos", "normalevents",
        "nonanomaly", "nonanomalous", "noanomaly", "background", "negative", "negatives",
        "nofight", "nofights", "nofighting", "nonfight", "nonfights", "nonfighting",
        "noviolence", "nonviolence", "nonviolent",
    }
)  # fmt: skip
SIDES: Mapping[str, frozenset[str]] = {
    "train": frozenset({"train", "training"}),
    "test": frozenset({"test", "testing"}),
    "val": frozenset({"val", "valid", "validation"}),
}


@dataclass(frozen=True)
class _File:
    id: str
    path: str
    kind: str  # its class
    side: str  # "train", "test", or "" where the folder is not split


def build_folder_manifest(
    root: Path,
    *,
    normal: Sequence[str] = (),
    test_fraction: float = 0.3,
    seed: int = 0,
    source_pattern: str | None = None,
    trimmed: bool = False,
    events: Path | None = None,
    count: bool = False,
    name: str | None = None,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> BuiltDataset:
    """Make train and test entries of a folder with one sub-folder a class.

    A folder that is split already (sub-folders train and test, in any case, with classes inside) is
    taken as it is; a `val` folder is left out, or taken for test where there is no test folder.

    Args:
        root: the folder of raw videos. Classes may have sub-folders; they become part of the ids.
        normal: classes that are normal. By default the one class whose name is in NORMAL_NAMES.
        test_fraction: of each label, for test; 0 makes only a train manifest. Not used where the
            folder is split already.
        seed: of the split (`split_by_source`).
        source_pattern: a regular expression whose first group, searched in the id, names the source
            video; videos of one source stay on one side.
        trimmed: abnormal videos are abnormal throughout; in test their event is [0, length).
        events: a CSV file with columns id, start, end: abnormal intervals [start, end) in frames.
        count: decode every video and record its frames.
        name: of the dataset; the folder's own name by default.
        timeout_seconds: how long a decoder may give no frame.
        progress: called after each video.

    Returns:
        The dataset. Videos that cannot be opened are left out and named in `failures`.

    Raises:
        InputError: an option that is not allowed.
        ManifestError: no videos, a video in no class folder, normal classes that are not clear, two
            videos with one id, a source on both sides, or a label that one side would lack.
    """
    if trimmed and events is not None:
        raise InputError("trimmed and events exclude each other: a trimmed video is one event")
    files, notes = _scan(root)
    normal_classes = _normal_classes(sorted({file.kind for file in files}), normal)
    pattern = None if source_pattern is None else _compile(source_pattern)
    known = {} if events is None else read_events(events)
    where = str(events or root)
    entries = [_entry(where, file, normal_classes, pattern, known) for file in files]
    _check_event_ids(events, known, entries)

    whole = {entry.id for entry in entries if trimmed and entry.label == 1}
    measured, failures = measure(
        entries,
        root,
        count=count,
        lengths_for=whole,
        timeout_seconds=timeout_seconds,
        progress=progress,
    )
    if any(file.side for file in files):
        side_of = {file.id: file.side for file in files}
        train = tuple(entry for entry in measured if side_of[entry.id] == "train")
        test = tuple(entry for entry in measured if side_of[entry.id] == "test")
    else:
        train, test = split_by_source(measured, test_fraction, seed)
    test = tuple(
        entry.model_copy(update={"events": ((0, entry.length),)}) if entry.id in whole else entry
        for entry in test
    )
    unknown = sum(entry.label == 1 and entry.events is None for entry in test)
    if unknown:
        notes.append(
            f"the events of {unknown} abnormal test videos are not known, so they have no "
            "frame-level ground truth: give them with --events, or say --trimmed"
        )
    return BuiltDataset(
        info=DatasetInfo(name=name or root.resolve().name or "folder"),
        train=train,
        test=test,
        notes=tuple(notes),
        failures=failures,
    )


def _scan(root: Path) -> tuple[list[_File], list[str]]:
    """Videos with class and side, and notes on what is passed over."""
    ids = video_ids(root)
    if not ids:
        raise ManifestError(f"{root} holds no videos; it has to hold one folder of videos a class")
    tops = sorted({path.split("/")[0] for path in ids.values() if "/" in path})
    sides, notes = _sides(root, tops)
    depth = 1 if sides else 0  # where the class stands in a path
    files: list[_File] = []
    for id, path in ids.items():
        parts = path.split("/")
        side = sides.get(parts[0], "") if sides else ""
        if side == "val":
            continue
        if len(parts) < depth + 2:
            raise ManifestError(f"video {path!r} lies in no class folder; move it into one")
        files.append(_File(id, path, parts[depth], side))
    holding = {(file.side, file.kind) for file in files}
    for top, side in (sides or {"": ""}).items():
        for folder in sorted((root / top).iterdir()):
            hidden = folder.name.startswith(".") or side == "val"
            if folder.is_dir() and not hidden and (side, folder.name) not in holding:
                notes.append(f"folder {folder.relative_to(root).as_posix()!r} holds no videos")
    return files, notes


def _sides(root: Path, tops: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Which first-level folder is which side; empty where the folder is not split."""
    named = {
        side: [top for top in tops if top.casefold() in names] for side, names in SIDES.items()
    }
    if not named["train"] or not (named["test"] or named["val"]):
        return {}, []
    for side, folders in named.items():
        if len(folders) > 1:
            raise ManifestError(f"{root} has several {side} folders: {', '.join(folders)}")
    others = [top for top in tops if not any(top in folders for folders in named.values())]
    if others:
        known = ", ".join(sorted(top for folders in named.values() for top in folders))
        raise ManifestError(
            f"{root} is split already ({known}), but {others[0]!r} stands beside; move it into one"
        )
    sides = {folders[0]: side for side, folders in named.items() if folders}
    if named["test"] and named["val"]:
        notes = [f"folder {named['val'][0]!r} is not used: validation videos come from train"]
    elif named["val"]:
        sides[named["val"][0]] = "test"
        notes = [f"there is no test folder: {named['val'][0]!r} is taken for test"]
    else:
        notes = []
    return sides, [f"taken as split already: {', '.join(sorted(sides))}", *notes]


def _normal_classes(classes: Sequence[str], wanted: Sequence[str]) -> frozenset[str]:
    """The normal ones of `classes`; as wanted, or found by name."""
    listed = ", ".join(repr(name) for name in classes)
    for name in wanted:
        if name not in classes:
            raise ManifestError(f"no class {name!r}; there are {listed}")
    found = list(wanted) or [
        name for name in classes if re.sub(r"[\W_]", "", name.casefold()) in NORMAL_NAMES
    ]
    if len(found) != 1 and not wanted:
        said = "none" if not found else "more than one"
        raise ManifestError(f"{said} of the classes {listed} looks normal; name it with --normal")
    if len(set(found)) == len(classes):
        raise ManifestError(f"all classes are normal ({listed}); an abnormal one is needed")
    return frozenset(found)


def _compile(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InputError(f"source pattern {text!r} is no regular expression: {error}") from error
    if pattern.groups < 1:
        raise InputError(f"source pattern {text!r} has no group; put the source's part in ( )")
    return pattern


def _entry(
    where: str,
    file: _File,
    normal_classes: frozenset[str],
    pattern: re.Pattern[str] | None,
    known: Mapping[str, tuple[Event, ...]],
) -> Entry:
    source = None
    if pattern is not None:
        match = pattern.search(file.id)
        source = match.group(1) if match else None
        if not source:
            raise ManifestError(
                f"video {file.id!r} does not match the source pattern {pattern.pattern!r}"
            )
    label = int(file.kind not in normal_classes)
    return make_entry(
        where,
        {
            "id": file.id,
            "path": file.path,
            "label": label,
            "classes": (file.kind,) if label else (),
            "events": known.get(file.id),
            "source": source,
        },
    )


def _check_event_ids(
    path: Path | None, known: Mapping[str, tuple[Event, ...]], entries: Iterable[Entry]
) -> None:
    ids = {entry.id for entry in entries}
    for id in known:
        if id not in ids:
            raise ManifestError(f"{path}: no video {id!r}; ids are paths without suffix, as 'a/b'")
