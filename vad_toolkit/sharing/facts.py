"""Facts about packs that a dataset card states, read from the packs themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vad_toolkit.core.files import AnyPath, sha256_file
from vad_toolkit.core.ids import check_text
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.dataset_info import NOT_KNOWN, DatasetInfo
from vad_toolkit.datasets.manifest import Manifest, info_beside
from vad_toolkit.datasets.registry import ALL_SIDES, DATASETS, find_manifest, load_dataset
from vad_toolkit.errors import InputError, PackCorrupt
from vad_toolkit.packs.merge import agreed, check_alike
from vad_toolkit.packs.pack import LICENSE_NOT_STATED, FeaturePack, content_sha256
from vad_toolkit.recipes.recipe import AnyRecipe


@dataclass(frozen=True)
class SharedFile:
    """A file, by its name without folder."""

    name: str
    bytes: int
    sha256: str
    videos: int


@dataclass(frozen=True)
class Facts:
    """Packs of one recipe that are shared together. Unknown facts are None."""

    dataset: str
    license: str  # of the features
    info: DatasetInfo | None  # the videos' dataset, if a manifest is given
    url: str | None
    creator: str | None
    published: str | None  # YYYY-MM-DD
    recipe: AnyRecipe
    widths: Mapping[str, int]  # D by modality
    content_sha256: str
    created: str  # of the first pack
    versions: Mapping[str, str]  # of the software that wrote the packs
    joined: int  # number of videos that were composed from clips
    files: tuple[SharedFile, ...]
    videos: tuple[Mapping[str, Any], ...]  # rows of `videos.csv`, sorted by id

    @property
    def title(self) -> str:
        """The card's title, with the dataset's title if it is known, else its name."""
        title = self.info.title if self.info else NOT_KNOWN
        return f"{self.dataset if title == NOT_KNOWN else title}: snippet features"

    @property
    def license_is_stated(self) -> bool:
        """True if the terms of the features are stated."""
        return self.license != LICENSE_NOT_STATED

    def notes(self) -> list[str]:
        """Return a line for each fact that Croissant requires and nobody has stated."""
        known = {
            "the license of the features (--license)": self.license_is_stated,
            "where they will be published (--url)": self.url,
            "who publishes them (--creator)": self.creator,
            "the day of publication (--published)": self.published,
        }
        return [f"not stated: {fact}" for fact, value in known.items() if not value]


def read_facts(
    packs: Sequence[Path],
    *,
    manifest: AnyPath | Manifest | None = None,
    license: str | None = None,
    url: str | None = None,
    creator: str | None = None,
    published: str | None = None,
    progress: ProgressCallback = silent,
) -> Facts:
    """Read packs of one recipe, verify all digests, and compute checksums; see `card.write_card`.

    Raises:
        InputError: If the packs' folders, recipes, datasets or licenses differ, a video is in two
            packs, no video is in the manifest, or `published` is not a date.
        PackCorrupt: If a pack is damaged; the message names the video.
        PackError: If dimensions differ, or a file's name contains control characters.
    """
    if published is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", published):
        raise InputError(f"published must be a date YYYY-MM-DD, got {published!r}")
    for path in packs:
        check_text("the pack's file name", path.name)
    folders = {path.resolve().parent for path in packs}
    if len(folders) != 1:
        raise InputError(
            f"the packs are in {len(folders)} folders; move them into one, because a card names "
            "files without folders"
        )
    with ExitStack() as stack:
        opened = [stack.enter_context(FeaturePack.open(path)) for path in sorted(set(packs))]
        check_alike(opened)
        _check_disjoint(opened)
        first = opened[0]
        return Facts(
            dataset=agreed(opened, "dataset", None),
            license=agreed(opened, "license", license),
            info=None if manifest is None else _dataset_of(manifest, opened),
            url=url,
            creator=creator,
            published=published,
            recipe=first.recipe,
            widths={name: first.shape(first.ids[0], name)[2] for name in first.recipe.streams},
            content_sha256=content_sha256(opened),
            created=min(pack.created for pack in opened),
            versions=_versions(opened),
            joined=sum(bool(pack.meta(id).clips) for pack in opened for id in pack.ids),
            files=tuple(_files(opened, progress)),
            videos=tuple(sorted(_videos(opened), key=lambda video: video["id"])),
        )


def _dataset_of(manifest: AnyPath | Manifest, packs: Sequence[FeaturePack]) -> DatasetInfo:
    """Return the description of a manifest's dataset, if some videos of the packs are in it."""
    found = find_manifest(manifest, ALL_SIDES)
    if not any(id in found.by_id for pack in packs for id in pack.ids):
        raise InputError(
            f"--manifest {found.path or found.dataset}: none of the packs' videos is in it; give "
            "the manifest of these videos"
        )
    if isinstance(manifest, str) and manifest in DATASETS:
        return load_dataset(manifest).info
    return DatasetInfo(name=found.dataset) if found.path is None else info_beside(found.path)


def _check_disjoint(packs: Sequence[FeaturePack]) -> None:
    seen: dict[str, FeaturePack] = {}
    for pack in packs:
        for id in pack.ids:
            other = seen.setdefault(id, pack)
            if other is not pack:
                raise InputError(
                    f"video {id!r} is in {other.path} and in {pack.path}; share each video once "
                    "(vad pack merge joins packs that overlap)"
                )


def _files(packs: Sequence[FeaturePack], progress: ProgressCallback) -> Iterator[SharedFile]:
    for done, pack in enumerate(packs, start=1):
        path = pack.path
        if problems := pack.verify():
            raise PackCorrupt(f"{path}: {problems[0]}; damaged packs are not described")
        yield SharedFile(path.name, path.stat().st_size, sha256_file(path), len(pack))
        progress(ProgressEvent("checksums", done, len(packs), "packs", path.name))


def digest_column(stream: str) -> str:
    """Return the column of videos.csv with the sha256 of a modality's features."""
    return f"sha256_{stream}"


def _videos(packs: Sequence[FeaturePack]) -> Iterator[dict[str, Any]]:
    """Yield rows of `videos.csv`; unknown values are None."""
    for pack in packs:
        for id in pack.ids:
            meta, streams = pack.meta(id), pack.recipe.streams
            yield {
                "id": id,
                "file": pack.path.name,
                "snippets": pack.shape(id, streams[0])[0],
                "frames": meta.frames,
                "fps": meta.fps or None,
                "width": meta.width or None,
                "height": meta.height or None,
                **{digest_column(stream): pack.digest(id, stream) for stream in streams},
            }


def _versions(packs: Sequence[FeaturePack]) -> dict[str, str]:
    """Return the versions of the software that wrote the packs; several if the packs differ."""
    pairs = list(dict.fromkeys(pair for pack in packs for pair in pack.creator.items()))
    return {name: ", ".join(sorted(v for key, v in pairs if key == name)) for name, _ in pairs}
