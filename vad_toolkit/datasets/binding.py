"""Binding an official manifest to a folder of raw videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.datasets.build import BuiltDataset
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.measure import measure
from vad_toolkit.datasets.scan import video_ids
from vad_toolkit.datasets.shipped import ShippedDataset
from vad_toolkit.errors import ManifestError
from vad_toolkit.progress import ProgressCallback, silent


@dataclass(frozen=True)
class Binding:
    """What a folder holds of a shipped dataset: ids as lines for the user, and what is usable.

    `missing`: no such file. `unreadable`: a file that is no video, with the reason. `differing`: a
    video of another length than the published one. `extra`: a file that the dataset does not list.
    """

    dataset: ShippedDataset
    found: tuple[Entry, ...]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    differing: tuple[str, ...]
    extra: tuple[str, ...]

    def lines(self) -> list[str]:
        """Every video that is not as published, one a line."""
        return [
            *(f"missing: {id}" for id in self.missing),
            *(f"unreadable: {reason}" for reason in self.unreadable),
            *(f"differs: {reason}" for reason in self.differing),
            *(f"extra, not used: {id}" for id in self.extra),
        ]

    def build(self, allow_missing: bool = False) -> BuiltDataset:
        """Train and test entries of the videos that are there.

        Args:
            allow_missing: leave out videos that are missing, unreadable or of another length; the
                notes then say what that means for numbers.

        Raises:
            ManifestError: videos are left out and `allow_missing` is False, or none is left.
        """
        lost = len(self.missing) + len(self.unreadable) + len(self.differing)
        total = len(self.dataset.train) + len(self.dataset.test)
        name = self.dataset.info.name
        if not self.found:
            raise ManifestError(f"none of the {total} videos of {name} is usable; check --root")
        if lost and not allow_missing:
            names = [*self.missing, *self.unreadable, *self.differing]
            raise ManifestError(
                f"{lost} of the {total} videos of {name} are missing, unreadable or of another "
                f"length (first: {names[0]}); complete the folder, or pass --allow-missing"
            )
        note = (
            f"{lost} of {total} videos are left out: numbers from this split cannot be compared "
            f"with numbers from the whole {name}"
        )
        usable = {entry.id: entry for entry in self.found}
        return BuiltDataset(
            info=self.dataset.info,
            train=tuple(usable[e.id] for e in self.dataset.train if e.id in usable),
            test=tuple(usable[e.id] for e in self.dataset.test if e.id in usable),
            notes=(note,) if lost else (),
        )


def bind(
    dataset: ShippedDataset,
    root: Path,
    *,
    count: bool = False,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> Binding:
    """Look for a shipped dataset's videos in a folder, by id, whatever their suffix.

    Lengths are compared as the containers state them, or as the videos decode with `count`. Entries
    that are found keep the published facts and take the path that was found.

    Raises:
        InputError: `root` is not a folder.
        ManifestError: two files of the folder have one id.
    """
    files = video_ids(root)
    there = [e.model_copy(update={"path": files[e.id]}) for e in dataset if e.id in files]
    measured, unreadable = measure(
        there, root, count=count, timeout_seconds=timeout_seconds, progress=progress
    )
    found: list[Entry] = []
    differing: list[str] = []
    published = {entry.id: entry for entry in there}
    for now in measured:
        entry = published[now.id]
        if count:
            before, after, unit = entry.frames, now.frames, "frames decoded"
        else:
            before, after, unit = entry.container_frames, now.container_frames, "frames"
        if before is not None and after is not None and before != after:
            differing.append(f"{now.id}: {after} {unit}, published with {before}")
        else:
            found.append(entry)
    listed = {entry.id for entry in dataset}
    return Binding(
        dataset=dataset,
        found=tuple(found),
        missing=tuple(entry.id for entry in dataset if entry.id not in files),
        unreadable=unreadable,
        differing=tuple(differing),
        extra=tuple(id for id in files if id not in listed),
    )
