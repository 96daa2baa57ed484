"""Binding an official manifest to raw videos as people have them.

Each video is looked for (`match`), opened and, if wanted, decoded (`measure`), and its length
compared with the published one. What is there keeps its published facts and takes its real path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.ids import check_relative_path, path_inside
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.building.build import BuiltDataset
from vad_toolkit.datasets.building.match import match_files
from vad_toolkit.datasets.building.measure import measure
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.registry import Dataset
from vad_toolkit.errors import ManifestError
from vad_toolkit.video.paths import find_videos


@dataclass(frozen=True)
class Binding:
    """What a folder holds of a dataset: the entries that are usable, and lines about the others.

    `found`: entries that are there and as long as published, in the dataset's order; `renamed`
    tells which of them go by another name. Not usable are those that are `missing`, `ambiguous`
    (several files, or a file for several videos), `damaged` (cannot be read) and `differing` (of
    another length). `extra`: files that the dataset does not list.
    """

    dataset: Dataset
    found: tuple[Entry, ...]
    renamed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Every video that is not as published, one a line, and the counts where there is any."""
        kinds = {
            "renamed": self.renamed,
            "missing": self.missing,
            "ambiguous": self.ambiguous,
            "damaged": self.damaged,
            "differs": self.differing,
            "extra, not used": self.extra,
        }
        lines = [f"{kind}: {text}" for kind, texts in kinds.items() for text in texts]
        if lines:
            total = sum(map(len, self.dataset.sides.values()))
            lines.append(
                f"{total} videos: {len(self.found)} found ({len(self.renamed)} renamed), "
                f"{len(self.missing)} missing, {len(self.ambiguous)} ambiguous, "
                f"{len(self.damaged)} damaged, {len(self.differing)} of another length; "
                f"{len(self.extra)} extra files"
            )
        return lines

    def build(self, allow_missing: bool = False) -> BuiltDataset:
        """The sides' entries of the videos that are usable.

        Args:
            allow_missing: leave out videos that are not usable; the notes, also those of the
                dataset, then say what that means for numbers, and where test videos are left out
                the published arrays no longer belong to it.

        Raises:
            ManifestError: videos are left out and `allow_missing` is False, or none is left.
        """
        total = sum(map(len, self.dataset.sides.values()))
        lost = [*self.missing, *self.ambiguous, *self.damaged, *self.differing]
        name = self.dataset.info.name
        if not self.found:
            raise ManifestError(f"none of the {total} videos of {name} is usable; check --root")
        if lost and not allow_missing:
            raise ManifestError(
                f"{len(lost)} of the {total} videos of {name} are missing, ambiguous, damaged or "
                f"of another length (first: {lost[0]}); complete the folder, or pass "
                "--allow-missing"
            )
        usable = {entry.id: entry for entry in self.found}
        sides = {
            side: tuple(usable[entry.id] for entry in manifest if entry.id in usable)
            for side, manifest in self.dataset.sides.items()
        }
        note = self._note(usable) if lost else ""
        return BuiltDataset(
            info=_partial_info(self.dataset, usable, note) if lost else self.dataset.info,
            train=sides["train"],
            validation=sides.get("validation", ()),
            test=sides["test"],
            notes=(note,) if lost else (),
        )

    def _note(self, usable: Collection[str]) -> str:
        """What numbers mean that come of the usable videos alone."""
        counts = []
        for side, manifest in self.dataset.sides.items():
            labels = Counter(entry.label for entry in manifest if entry.id in usable)
            counts.append(
                f"{labels.total():,} of {len(manifest):,} {side} videos "
                f"({labels[0]:,} of {len(manifest.normal):,} normal, "
                f"{labels[1]:,} of {len(manifest.abnormal):,} abnormal)"
            )
        name = self.dataset.info.name
        if all(entry.id in usable for entry in self.dataset.test):
            meaning = (
                "The test videos are all there, so that scores on them can be compared with "
                "published ones; what is trained on these videos had fewer of them."
            )
        else:
            meaning = (
                "Numbers from these test videos are theirs alone: they cannot be compared with "
                f"numbers from the whole {name}."
            )
        return f"A part of {name}: {', '.join(counts)}. {meaning}"


def bind(
    dataset: Dataset,
    root: Path,
    *,
    count: bool = False,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> Binding:
    """Look for a dataset's videos in a folder, in whatever sub-folders and under whatever suffix.

    Lengths are compared as the containers state them, or as the videos decode with `count`. Entries
    that are found keep the published facts, take the path that was found, and `fps`,
    `container_frames` and, with `count`, `frames` where these were not known.

    Args:
        dataset: what is looked for.
        root: the folder of raw videos, or of folders of frames.
        count: decode every video: slow and exact.
        timeout_seconds: how long a decoder may give no frame.
        progress: called after each video.

    Raises:
        InputError: `root` is not a folder.
        ManifestError: a link leads out of `root`.
    """
    entries = tuple(dataset)
    paths, odd = _paths(root)
    matches = match_files(entries, paths)
    there = [
        entry.model_copy(update={"path": _checked(root, entry.id, matches.files[entry.id])})
        for entry in entries
        if entry.id in matches.files
    ]
    measured, damaged = measure(
        there, root, count=count, timeout_seconds=timeout_seconds, progress=progress
    )
    published = {entry.id: entry for entry in there}
    found: list[Entry] = []
    differing: list[str] = []
    for now in measured:
        entry = published[now.id]
        problem = _length_problem(entry, now, count)
        if problem is None:
            found.append(_completed(entry, now))
        else:
            differing.append(f"{now.id}: {problem}")
    usable = {entry.id for entry in found}
    return Binding(
        dataset=dataset,
        found=tuple(found),
        renamed=tuple(f"{id} is {matches.files[id]!r}" for id in matches.renamed if id in usable),
        missing=tuple(
            entry.id
            for entry in entries
            if entry.id not in matches.files and entry.id not in matches.ambiguous
        ),
        ambiguous=tuple(f"{id}: {reason}" for id, reason in matches.ambiguous.items()),
        damaged=damaged,
        differing=tuple(differing),
        extra=tuple(map(repr, sorted([*matches.extra, *odd]))),
    )


def _paths(root: Path) -> tuple[list[str], list[str]]:
    """Relative paths of the videos in a folder, and apart those that no manifest may hold."""
    paths: list[str] = []
    odd: list[str] = []
    for file in find_videos(root):
        path = file.relative_to(root).as_posix()
        try:
            paths.append(check_relative_path(path))
        except ValueError:
            odd.append(path)
    return paths, odd


def _checked(root: Path, id: str, path: str) -> str:
    try:
        path_inside(root, path)
    except ValueError as error:
        raise ManifestError(f"video {id!r}: {path!r} {error}") from error
    return path


def _length_problem(entry: Entry, now: Entry, count: bool) -> str | None:
    """How the length that was found differs from the published one; None where it does not.

    OpenCV counts one frame more than decodes in many files; where the container's published count
    is not known, one more than the published decoded frames is therefore no other length.
    """
    if count and entry.frames is not None:
        if now.frames == entry.frames:
            return None
        return f"{now.frames} frames decoded, published with {entry.frames}"
    known = {entry.frames, entry.container_frames} - {None}
    if entry.container_frames is None and entry.frames is not None:
        known.add(entry.frames + 1)
    if not known or now.container_frames is None or now.container_frames in known:
        return None
    published = entry.frames if entry.container_frames is None else entry.container_frames
    return f"{now.container_frames} frames, published with {published}"


def _completed(entry: Entry, now: Entry) -> Entry:
    """The published entry with what was found where nothing was known."""
    fields = ("fps", "container_frames", "frames")
    return entry.model_copy(
        update={name: getattr(now, name) for name in fields if getattr(entry, name) is None}
    )


def _partial_info(dataset: Dataset, usable: Collection[str], note: str) -> DatasetInfo:
    info = dataset.info
    whole_test = all(entry.id in usable for entry in dataset.test)
    return info.model_copy(
        update={
            "notes": f"{info.notes} {note}".strip(),
            "arrays": info.arrays if whole_test else {},
        }
    )
