"""Binding of a dataset's manifests to the raw videos in a folder.

Each video is matched with a file, opened and optionally decoded (`measure`), and its length is
compared with the published one. Videos that are found keep their published facts and get their
actual path.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vad_toolkit.core.ids import check_relative_path, path_inside
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.building.build import BuiltDataset
from vad_toolkit.datasets.building.measure import measure
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.registry import Dataset
from vad_toolkit.errors import ManifestError
from vad_toolkit.video.paths import VIDEO_SUFFIXES, find_videos

UNUSABLE = ("missing", "ambiguous", "damaged", "differs")
EXTRA = "extra, not used"
_SEPARATORS = re.compile(r"[\s_-]+")
_CODEC = re.compile(r"[\s_-]+x264$")


@dataclass(frozen=True)
class Binding:
    """The usable videos of a dataset in a folder, and the problems of the others.

    Attributes:
        found: Entries of the usable videos, which have the published length, in its order.
        problems: Lines by kind. Usable videos may be "renamed": their file has another name than
            published. Not usable are videos that are "missing", "ambiguous" (several files fit, or
            one file fits several videos), "damaged" (cannot be read) or "differs" (of another
            length). Files that the dataset does not list are "extra, not used".
    """

    dataset: Dataset
    found: tuple[Entry, ...]
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return one line per video that is not as published, then the counts if there is any."""
        lines = [f"{kind}: {text}" for kind, texts in self.problems.items() for text in texts]
        if lines:
            count = {kind: len(texts) for kind, texts in self.problems.items()}
            lines.append(
                f"{len(tuple(self.dataset))} videos: {len(self.found)} found ({count['renamed']} "
                f"renamed), {count['missing']} missing, {count['ambiguous']} ambiguous, "
                f"{count['damaged']} damaged, {count['differs']} of another length; "
                f"{count[EXTRA]} extra files"
            )
        return lines

    def build(self, allow_missing: bool = False) -> BuiltDataset:
        """Return the dataset with the usable videos.

        Args:
            allow_missing: Whether to leave out videos that are not usable. The notes of the result
                and of its `dataset.toml` then state the consequences; if test videos are left out,
                the published arrays are removed, since they no longer belong to the dataset.

        Raises:
            ManifestError: If videos are not usable and `allow_missing` is False, or if none is.
        """
        total, info = len(tuple(self.dataset)), self.dataset.info
        lost = [line for kind in UNUSABLE for line in self.problems.get(kind, ())]
        if not self.found:
            raise ManifestError(
                f"none of the {total} videos of {info.name} is usable; check --root"
            )
        if lost and not allow_missing:
            raise ManifestError(
                f"{len(lost)} of the {total} videos of {info.name} are missing, ambiguous, damaged "
                f"or of another length (first: {lost[0]}); complete the folder, or give "
                "--allow-missing"
            )
        usable = {entry.id: entry for entry in self.found}
        notes: tuple[str, ...] = ()
        if lost:
            whole_test = all(entry.id in usable for entry in self.dataset.test)
            notes = (self._note(usable, whole_test),)
            changes = {"notes": f"{info.notes} {notes[0]}".strip()}
            info = info.model_copy(update=changes | ({} if whole_test else {"arrays": {}}))
        sides = {
            side: tuple(usable[entry.id] for entry in manifest if entry.id in usable)
            for side, manifest in self.dataset.sides.items()
        }
        return BuiltDataset(
            info, sides["train"], sides["test"], notes, validation=sides.get("validation", ())
        )

    def _note(self, usable: Collection[str], whole_test: bool) -> str:
        """Describe which videos are usable, and how to read results on them."""
        counts = []
        for side, manifest in self.dataset.sides.items():
            labels = Counter(entry.label for entry in manifest if entry.id in usable)
            counts.append(
                f"{labels.total():,} of {len(manifest):,} {side} videos "
                f"({labels[0]:,} of {len(manifest.normal):,} normal, "
                f"{labels[1]:,} of {len(manifest.abnormal):,} abnormal)"
            )
        name = self.dataset.info.name
        meaning = (
            "All test videos are present, so results on them can be compared with published ones, "
            "but models trained on this part have seen fewer videos."
            if whole_test
            else "Results on these test videos cannot be compared with results on the whole "
            f"{name}."
        )
        return f"Part of {name}: {', '.join(counts)}. {meaning}"


def bind(
    dataset: Dataset,
    root: Path,
    *,
    count: bool = False,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> Binding:
    """Find a dataset's videos in a folder, in any sub-folders and with any suffix.

    Entries that are found keep the published facts and get the path of the file, and those of
    `fps`, `container_frames` and, with `count`, `frames` that were not known.

    Args:
        dataset: The dataset.
        root: The folder of raw videos, or of folders of frames.
        count: Whether to decode every video and compare its decoded length: slow and exact. If
            False, the length in the container is compared.
        timeout_seconds, progress: As for `measure`.

    Raises:
        InputError: If `root` is not a folder.
        ManifestError: If a link leads out of `root`.
    """
    entries = tuple(dataset)
    paths: list[str] = []
    odd: list[str] = []  # not allowed in a manifest
    for file in find_videos(root):
        path = file.relative_to(root).as_posix()
        try:
            paths.append(check_relative_path(path))
        except ValueError:
            odd.append(path)
    matches = match_files(entries, paths)
    for id, path in matches.files.items():
        try:
            path_inside(root, path)
        except ValueError as error:
            raise ManifestError(f"video {id!r}: {path!r} {error}") from error
    published = {
        entry.id: entry.model_copy(update={"path": matches.files[entry.id]})
        for entry in entries
        if entry.id in matches.files
    }
    measured, damaged = measure(
        tuple(published.values()),
        root,
        count=count,
        timeout_seconds=timeout_seconds,
        progress=progress,
    )
    found: dict[str, Entry] = {}
    differing: list[str] = []
    for now in measured:
        problem = _length_problem(published[now.id], now, count)
        if problem is None:
            found[now.id] = _completed(published[now.id], now)
        else:
            differing.append(f"{now.id}: {problem}")
    unmatched = (entry.id for entry in entries if entry.id not in matches.files)
    problems = {
        "renamed": [f"{id} is {matches.files[id]!r}" for id in matches.renamed if id in found],
        "missing": [id for id in unmatched if id not in matches.ambiguous],
        "ambiguous": [f"{id}: {reason}" for id, reason in matches.ambiguous.items()],
        "damaged": damaged,
        "differs": differing,
        EXTRA: map(repr, sorted([*matches.extra, *odd])),
    }
    return Binding(
        dataset, tuple(found.values()), {kind: tuple(lines) for kind, lines in problems.items()}
    )


def _length_problem(entry: Entry, now: Entry, count: bool) -> str | None:
    """Describe how the measured length differs from the published one, or return None.

    In many files OpenCV counts one frame more than decodes. If the container's published count is
    not known, the published decoded count plus one is therefore accepted.
    """
    if count and entry.frames is not None:
        if now.frames == entry.frames:
            return None
        return f"{now.frames} frames decode, {entry.frames} are published"
    known = {entry.frames, entry.container_frames} - {None}
    if entry.container_frames is None and entry.frames is not None:
        known.add(entry.frames + 1)
    if not known or now.container_frames is None or now.container_frames in known:
        return None
    published = entry.frames if entry.container_frames is None else entry.container_frames
    return f"{now.container_frames} frames, {published} are published"


def _completed(entry: Entry, now: Entry) -> Entry:
    """Return the published entry, with the measured values of facts that were not known."""
    fields = ("fps", "container_frames", "frames")
    return entry.model_copy(
        update={name: getattr(now, name) for name in fields if getattr(entry, name) is None}
    )


@dataclass
class Matches:
    """The result of matching."""

    files: dict[str, str] = field(default_factory=dict)  # by video id
    renamed: list[str] = field(default_factory=list)  # ids whose file has not the published name
    ambiguous: dict[str, str] = field(default_factory=dict)  # by id: why no file was chosen
    extra: list[str] = field(default_factory=list)  # files that match no video


def match_files(entries: Sequence[Entry], paths: Sequence[str]) -> Matches:
    """Match entries of a manifest with files or folders of frames, whatever the folder's layout.

    Steps, from strict to loose: the video's own path; its path or id with another suffix; the same
    with normalized names; then the last parts of its path or id, longest first, each exactly and
    normalized. A looser step only considers videos and files that no stricter step has matched, and
    only matches them if exactly one file fits exactly one video.
    """
    matches = Matches()
    there = set(paths)
    taken: set[str] = set()
    for entry in entries:
        if entry.path in there:
            matches.files[entry.id] = entry.path
            taken.add(entry.path)
    most = max((stem.count("/") for entry in entries for stem in _stems(entry)), default=0) + 1
    for length in (None, *range(most, 0, -1)):
        for normalized in (False, True):
            _match_keys(matches, taken, entries, paths, length, normalized)
    matches.extra = [path for path in paths if path not in taken]
    return matches


def stem_of(path: str) -> str:
    """Return a path without the suffix of a video file; "Bad.Boys.1995__#01" has no suffix."""
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in VIDEO_SUFFIXES else path


def normalize(stem: str) -> str:
    """Return a path without differences in letter case, separators, `_x264` and Unicode form."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())
    return _SEPARATORS.sub("_", _CODEC.sub("", folded))


def _match_keys(
    matches: Matches,
    taken: set[str],
    entries: Iterable[Entry],
    paths: Iterable[str],
    length: int | None,
    normalized: bool,
) -> None:
    """Apply one step to all unmatched entries. Conflicts are reported, not resolved by order."""
    table: dict[str, list[str]] = {}
    for path in paths:
        if path not in taken:
            for key in _keys((stem_of(path),), length, normalized):
                table.setdefault(key, []).append(path)
    wanted_by: dict[str, list[str]] = {}
    for entry in entries:
        if entry.id in matches.files or entry.id in matches.ambiguous:
            continue
        found = {
            path: None
            for key in _keys(_stems(entry), length, normalized)
            for path in table.get(key, ())
        }
        if len(found) > 1:
            names = ", ".join(map(repr, found))
            matches.ambiguous[entry.id] = (
                f"could be any of {names}; keep one of them, or restore its path"
            )
        for path in found if len(found) == 1 else ():
            wanted_by.setdefault(path, []).append(entry.id)
    for path, ids in wanted_by.items():
        if len(ids) > 1:
            for id in ids:
                others = ", ".join(repr(other) for other in ids if other != id)
                matches.ambiguous[id] = (
                    f"{path!r} could also be {others}; keep the published folders"
                )
            continue
        matches.files[ids[0]] = path
        taken.add(path)
        if normalized:
            matches.renamed.append(ids[0])


def _stems(entry: Entry) -> tuple[str, str]:
    return stem_of(entry.path), entry.id


def _keys(stems: Iterable[str], length: int | None, normalized: bool) -> Iterator[str]:
    """Yield the stems, or their last `length` parts if there are that many parts."""
    for stem in stems:
        parts = stem.split("/")
        if length is None or len(parts) >= length:
            key = stem if length is None else "/".join(parts[-length:])
            yield normalize(key) if normalized else key
