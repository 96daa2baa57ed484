"""Binding of a dataset's manifests to the raw videos in a folder.

Each video is searched (`match`), opened and optionally decoded (`measure`), and its length is
compared with the published one. Videos that are found keep their published facts and get their
actual path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vad_toolkit.core.ids import check_relative_path, path_inside
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.building.build import BuiltDataset
from vad_toolkit.datasets.building.match import match_files
from vad_toolkit.datasets.building.measure import measure
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.registry import Dataset
from vad_toolkit.errors import ManifestError
from vad_toolkit.video.paths import find_videos

UNUSABLE = ("missing", "ambiguous", "damaged", "differs")
EXTRA = "extra, not used"


@dataclass(frozen=True)
class Binding:
    """The usable videos of a dataset in a folder, and the problems of the others.

    Attributes:
        dataset: The dataset.
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
        timeout_seconds: Seconds without a frame after which a video is given up.
        progress: Called after each video.

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
