"""Folders of videos: datasets with one sub-folder per class, already split or not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.building.build import BuiltDataset
from vad_toolkit.datasets.building.csv_file import read_events
from vad_toolkit.datasets.building.measure import measure
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import Entry, Event, make_entry
from vad_toolkit.datasets.source_split import split_by_source
from vad_toolkit.datasets.video_files import video_ids
from vad_toolkit.errors import InputError, ManifestError

# Compared in lower case, without spaces and punctuation: "Non-Violence" is nonviolence.
NORMAL_NAMES = frozenset(
    {
        "normal", "normals", "normalvideo", "normalvideos", "normalevents",
        "nonanomaly", "nonanomalous", "noanomaly", "background", "negative", "negatives",
        "nofight", "nofights", "nofighting", "nonfight", "nonfights", "nonfighting",
        "noviolence", "nonviolence", "nonviolent",
    }
)  # fmt: skip
SIDE_NAMES: Mapping[str, frozenset[str]] = {
    "train": frozenset({"train", "training"}),
    "test": frozenset({"test", "testing"}),
    "val": frozenset({"val", "valid", "validation"}),
}


@dataclass(frozen=True)
class _File:
    id: str
    path: str
    kind: str  # class
    side: str  # "train" or "test", or "" if the folder is not split


def build_folder_manifest(
    root: Path,
    *,
    normal: str | Sequence[str] = (),
    test_fraction: float = 0.3,
    seed: int = 0,
    source_pattern: str | None = None,
    trimmed: bool = False,
    events: AnyPath | None = None,
    count: bool = False,
    name: str | None = None,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> BuiltDataset:
    """Build train and test entries of a folder with one sub-folder per class.

    A folder that is already split (sub-folders train and test, in any letter case, with classes
    inside) keeps its split. A `val` folder is used as test if there is no test folder, and is left
    out otherwise.

    Args:
        root: The folder of raw videos. Sub-folders of classes become part of the ids.
        normal: The normal class or classes. If empty, the one whose name is in NORMAL_NAMES.
        test_fraction: Fraction of each label's videos for test; with 0 there is no test side. Not
            used if the folder is already split.
        seed: Seed of the split (`split_by_source`).
        source_pattern: A regular expression, searched in the id, whose first group names the source
            video. Videos of one source stay on one side.
        trimmed: Whether all frames of abnormal videos are abnormal: in test they get the event
            [0, length).
        events: A CSV file with columns id, start, end: abnormal intervals [start, end) in frames.
        name: Name of the dataset. If None, the folder's name.
        count, timeout_seconds, progress: The arguments of `measure`.

    Returns:
        The dataset. Videos that cannot be opened are left out and listed in `failures`.

    Raises:
        InputError: If an option is not allowed.
        ManifestError: If there are no videos or no clear normal class, a video is in no class
            folder, two videos have the same id, a source is on both sides, or a side lacks a label.
    """
    if trimmed and events is not None:
        raise InputError("give either trimmed or events: a trimmed video is one event")
    files, notes = _scan(root)
    wanted = (normal,) if isinstance(normal, str) else normal
    normal_classes = _normal_classes(sorted({file.kind for file in files}), wanted)
    pattern = None if source_pattern is None else _compile(source_pattern)
    known = {} if events is None else read_events(Path(events))
    where = str(events or root)
    entries = [_entry(where, file, normal_classes, pattern, known) for file in files]
    ids = {file.id for file in files}
    if unknown_ids := [id for id in known if id not in ids]:
        raise ManifestError(
            f"{events}: no video {unknown_ids[0]!r}; ids are paths without suffix, such as 'a/b'"
        )

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
            f"the events of {unknown} abnormal test videos are not known, so these videos have no "
            "frame-level ground truth; give --events, or --trimmed"
        )
    return BuiltDataset(
        info=DatasetInfo(name=name or root.resolve().name or "folder"),
        train=train,
        test=test,
        notes=tuple(notes),
        failures=failures,
    )


def _scan(root: Path) -> tuple[list[_File], list[str]]:
    """Return the videos with class and side, and notes about folders that are not used."""
    ids = video_ids(root)
    if not ids:
        raise ManifestError(f"{root} holds no videos; it must hold one folder of videos per class")
    tops = sorted({path.split("/")[0] for path in ids.values() if "/" in path})
    sides, notes = _sides(root, tops)
    depth = 1 if sides else 0  # position of the class in a path
    files: list[_File] = []
    for id, path in ids.items():
        parts = path.split("/")
        side = sides.get(parts[0], "") if sides else ""
        if side == "val":
            continue
        if len(parts) < depth + 2:
            raise ManifestError(f"video {path!r} is not in a class folder; move it into one")
        files.append(_File(id, path, parts[depth], side))
    holding = {(file.side, file.kind) for file in files}
    for top, side in (sides or {"": ""}).items():
        for folder in sorted((root / top).iterdir()):
            hidden = folder.name.startswith(".") or side == "val"
            if folder.is_dir() and not hidden and (side, folder.name) not in holding:
                notes.append(f"folder {folder.relative_to(root).as_posix()!r} holds no videos")
    return files, notes


def _sides(root: Path, tops: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the sides by first-level folder (none if the folder is not split), and notes."""
    named = {
        side: [top for top in tops if top.casefold() in names] for side, names in SIDE_NAMES.items()
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
            f"{root} is already split ({known}), but also has {others[0]!r}; move it into one"
        )
    sides = {folders[0]: side for side, folders in named.items() if folders}
    if named["test"] and named["val"]:
        notes = [f"folder {named['val'][0]!r} is not used: validation videos are taken from train"]
    elif named["val"]:
        sides[named["val"][0]] = "test"
        notes = [f"there is no test folder: {named['val'][0]!r} is used as test"]
    else:
        notes = []
    return sides, [f"the folder is already split: {', '.join(sorted(sides))}", *notes]


def _normal_classes(classes: Sequence[str], wanted: Sequence[str]) -> frozenset[str]:
    """Return the normal classes: those that are wanted, or the one with a normal name."""
    listed = ", ".join(repr(name) for name in classes)
    for name in wanted:
        if name not in classes:
            raise ManifestError(f"unknown class {name!r}; available: {listed}")
    found = list(wanted) or [
        name for name in classes if re.sub(r"[\W_]", "", name.casefold()) in NORMAL_NAMES
    ]
    if len(found) != 1 and not wanted:
        said = "none" if not found else "more than one"
        raise ManifestError(
            f"{said} of the classes {listed} has a normal name; choose with --normal"
        )
    if len(set(found)) == len(classes):
        raise ManifestError(f"all classes ({listed}) are normal; one must be abnormal")
    return frozenset(found)


def _compile(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InputError(f"source pattern {text!r} is not a regular expression: {error}") from error
    if pattern.groups < 1:
        raise InputError(f"source pattern {text!r} has no group; put the source's name in ( )")
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
