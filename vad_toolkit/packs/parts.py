"""Packs in progress: a killed run loses only the video that it was working on.

Plain HDF5 writing loses the whole file when the process is killed. So each finished video becomes a
small pack of its own in `<pack>.parts/`, and at the end the parts become the pack. Every file is
written under a temporary name, fsynced and renamed. One run at a time holds the lock of the folder.
The next run finds whatever a killed run left, uses what is whole and removes the rest:

    <pack>.parts/lock          held by the run that writes
    <pack>.parts/<hash>.h5     one finished video; the name is a hash of its id
    ...<name>.tmp-<process>    a file that was being written when its run was killed
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from vad_toolkit.core.files import TEMPORARY_MARK, fsync
from vad_toolkit.core.ids import IdSet
from vad_toolkit.core.locks import acquire_lock, remove_temporaries
from vad_toolkit.errors import InputError, PackCorrupt, PackError, PackUnsafe
from vad_toolkit.packs.pack import LICENSE_NOT_STATED, FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe

LOCK = "lock"


class PartStore:
    """The finished videos of a pack in progress; a context manager, used by one process.

    Videos of earlier runs are `completed`: their parts, and the videos of an existing pack `out` of
    the same recipe. All of them are compared with their digests first. Damaged ones are dropped,
    with a line in `notes`, and must be extracted again. The new pack holds the union. If no license
    is stated, that of an existing pack is kept. Raises InputError if another run writes the same
    pack, or `out` or its parts have another recipe; PackError if `out` exists and is not a pack.
    """

    def __init__(
        self, out: Path, recipe: Recipe, *, dataset: str, license: str = LICENSE_NOT_STATED
    ) -> None:
        self.out = Path(out)
        self.folder = _folder(self.out)
        self.recipe = recipe
        self.dataset = dataset
        self.license = license
        self.notes: list[str] = []
        self._completed: dict[str, VideoMeta] = {}
        self._parts: dict[str, Path] = {}
        self._old: FeaturePack | None = None
        self._ids = IdSet()
        self._lock: int | None = _lock(self.folder)
        try:
            remove_temporaries(self.folder)  # of killed runs: the lock says that none is alive
            name = re.compile(re.escape(f"{self.out.name}{TEMPORARY_MARK}") + r"\d+")
            for path in self.out.parent.iterdir():  # which also has files of other packs
                if name.fullmatch(path.name):
                    path.unlink()
            self._read_old_pack()
            self._read_parts()
        except BaseException:
            self.close()
            raise

    @property
    def completed(self) -> Mapping[str, VideoMeta]:
        """The metadata of all finished, whole videos by id."""
        return MappingProxyType(self._completed)

    def add(self, id: str, features: VideoFeatures) -> None:
        """Store a finished video, which then survives a kill or a power cut. Raises PackError."""
        self._ids.check(id)
        path = self._part_path(id)
        self._write(path, [(id, features)])
        self._parts[id] = path
        self._complete(id, features.meta)

    def finish(self) -> Path | None:
        """Write the pack of all completed videos, remove the parts, and return the pack.

        It stays as it is if there are no new videos. If there are no videos, return None.
        """
        if self._parts:
            self._write(self.out, ((id, self._read(id)) for id in sorted(self._completed)))
            for path in self._parts.values():
                path.unlink()
            self._parts.clear()
        done = self.out if self._completed else None
        self.close()
        return done

    def close(self) -> None:
        """Release the lock, and remove the folder if it has no parts. Closing twice is fine.

        The lock is removed while it is held, so that nobody locks a file that is about to go.
        """
        if self._old is not None:
            self._old.close()
            self._old = None
        if self._lock is not None:
            with suppress(OSError):  # another run has the folder now, or somebody removed it
                if all(path.name == LOCK for path in self.folder.iterdir()):
                    (self.folder / LOCK).unlink()
                    self.folder.rmdir()
                    fsync(self.folder.parent)
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> PartStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, out: Path, videos: Iterable[tuple[str, VideoFeatures]]) -> None:
        write_pack(out, self.recipe, videos, dataset=self.dataset, license=self.license)

    def _part_path(self, id: str) -> Path:
        return self.folder / f"{hashlib.sha256(id.encode('utf-8')).hexdigest()[:32]}.h5"

    def _read_old_pack(self) -> None:
        if not self.out.exists():
            return
        try:
            self._old = FeaturePack.open(self.out)
        except PackError as error:
            raise type(error)(f"{error}; move it away, or choose another --out") from error
        _check_recipe(self._old, self.recipe, "choose another --out")
        if self.license == LICENSE_NOT_STATED:
            self.license = self._old.license
        damaged = self._old.damaged()
        for id in self._old.ids:
            if id in damaged:
                self.notes.append(f"{self.out}: {damaged[id]}; dropped, extract it again")
            else:
                self._complete(id, self._old.meta(id))

    def _read_parts(self) -> None:
        advice = f"choose another --out, or delete {self.folder}"
        for path in sorted(self.folder.glob("*.h5")):
            try:
                with FeaturePack.open(path) as part:
                    _check_recipe(part, self.recipe, advice)
                    problems, id, meta = part.verify(), part.ids[0], part.meta(part.ids[0])
                    if problems or len(part) != 1 or path != self._part_path(id):
                        raise PackCorrupt(f"{path}: {' '.join(problems) or 'not a part'}")
            except (PackCorrupt, PackUnsafe) as error:
                self.notes.append(f"dropped a part, its video must be extracted again: {error}")
                path.unlink()
                continue
            except PackError as error:  # perhaps of a later version, so it is not deleted
                raise InputError(f"{error}; {advice}") from error
            if id in self._completed:  # killed after the pack was made, with parts still here
                path.unlink()
            else:
                self._parts[id] = path
                self._complete(id, meta)

    def _complete(self, id: str, meta: VideoMeta) -> None:
        self._ids.add(id)
        self._completed[id] = meta

    def _read(self, id: str) -> VideoFeatures:
        if self._old is not None and id not in self._parts:
            return self._old.video(id)
        with FeaturePack.open(self._parts[id]) as part:
            return part.video(id)


def finished_ids(out: Path, recipe: Recipe) -> set[str]:
    """Return the ids of the videos that a run for the pack `out` would not extract again.

    Nothing is locked or removed, and digests are not compared. The errors are those of `PartStore`.
    """
    found: set[str] = set()
    if out.exists():
        with FeaturePack.open(out) as pack:
            _check_recipe(pack, recipe, "choose another --out")
            found.update(pack.ids)
    for path in _folder(out).glob("*.h5"):
        with suppress(PackError), FeaturePack.open(path) as part:
            _check_recipe(part, recipe, f"choose another --out, or delete {path.parent}")
            found.update(part.ids)
    return found


def _folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def _check_recipe(pack: FeaturePack, recipe: Recipe, advice: str) -> None:
    if pack.recipe_sha256 != recipe.sha256:
        raise InputError(
            f"{pack.path} has recipe {pack.recipe_sha256}, this run has {recipe.sha256}; {advice}"
        )


def _lock(folder: Path) -> int:
    """Create the folder and hold its lock. Raises InputError if another process holds it."""
    busy = f"another run is writing to {folder}; wait for its end, or choose another --out"
    for _ in range(100):  # each try fails only when another run ends at that moment
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return acquire_lock(folder / LOCK, wait_seconds=0, busy=busy)
        except FileNotFoundError:  # another run finished and removed the folder at this moment
            continue
        except OSError as error:
            raise InputError(
                f"cannot create or lock {folder / LOCK}: {error.strerror}; choose another --out, "
                "on a local disk"
            ) from error
    raise InputError(f"cannot lock {folder / LOCK}: it does not stay; choose another --out")
