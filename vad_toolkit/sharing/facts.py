"""Everything that a card tells of packs, read from the packs themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.files import sha256_file
from vad_toolkit.core.ids import check_text
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.dataset_info import NOT_KNOWN, DatasetInfo
from vad_toolkit.datasets.manifest import info_beside
from vad_toolkit.datasets.registry import DATASETS, find_manifest, load_dataset
from vad_toolkit.errors import InputError, PackCorrupt
from vad_toolkit.packs.merge import agreed, check_alike
from vad_toolkit.packs.pack import LICENSE_NOT_STATED, FeaturePack, content_sha256
from vad_toolkit.recipes.recipe import AnyRecipe


@dataclass(frozen=True)
class SharedFile:
    """One pack, by its name without folder."""

    name: str
    bytes: int
    sha256: str
    videos: int


@dataclass(frozen=True)
class SharedVideo:
    """One video: a row of `videos.csv`. What is not known of it is None."""

    id: str
    file: str
    snippets: int
    frames: int
    fps: float | None
    width: int | None
    height: int | None
    sha256: Mapping[str, str]  # of its features, by stream


@dataclass(frozen=True)
class Publication:
    """What only the publisher knows, and Croissant asks for; None where it is left open."""

    url: str | None = None
    creator: str | None = None
    date: str | None = None  # YYYY-MM-DD


@dataclass(frozen=True)
class Facts:
    """Packs of one recipe that are shared together."""

    dataset: str
    license: str  # of the features
    info: DatasetInfo | None  # of the videos' dataset, where a manifest is named
    publication: Publication
    recipe: AnyRecipe
    widths: Mapping[str, int]  # D by stream
    content_sha256: str
    created: str  # of the first pack
    creator: Mapping[str, str]  # versions of what made them
    joined: int  # videos that were composed from clips
    files: tuple[SharedFile, ...]
    videos: tuple[SharedVideo, ...]

    @property
    def title(self) -> str:
        """The dataset's title where it is known, else its name, in words for people."""
        known = self.info is not None and self.info.title != NOT_KNOWN
        return f"{self.info.title if self.info and known else self.dataset}: snippet features"

    @property
    def snippets(self) -> int:
        """Of all videos."""
        return sum(video.snippets for video in self.videos)

    @property
    def frames(self) -> int:
        """Of all videos."""
        return sum(video.frames for video in self.videos)

    @property
    def bytes(self) -> int:
        """Of all packs."""
        return sum(file.bytes for file in self.files)

    @property
    def license_is_stated(self) -> bool:
        """Whether anybody said under which terms the features are given."""
        return self.license != LICENSE_NOT_STATED

    def notes(self) -> list[str]:
        """What a card should tell and nobody has said, one line each, with the option that says it.

        Croissant requires all of it.
        """
        publication = self.publication
        known = {
            "the licence of the features (--license)": self.license_is_stated,
            "where they will be published (--url)": publication.url,
            "who publishes them (--creator)": publication.creator,
            "the day of publication (--published)": publication.date,
        }
        return [f"not stated: {what}" for what, value in known.items() if not value]


def read_facts(
    packs: Sequence[Path],
    *,
    manifest: str | None = None,
    license: str | None = None,
    publication: Publication | None = None,
    progress: ProgressCallback = silent,
) -> Facts:
    """Read packs of one recipe, compare all digests, and take the files' checksums.

    Args:
        packs: at least one, all in one folder; no video in two of them.
        manifest: a shipped dataset's name or a manifest file: what is known of the videos' dataset.
        license: of the features, where the packs do not say it, or not the same.
        publication: what goes into the metadata as it is.
        progress: called after each pack.

    Raises:
        InputError: other folders, recipes, datasets or licences; a video in two packs; none of the
            videos is in the manifest, or there is no such manifest.
        PackCorrupt: a pack is damaged; names the video.
        PackError: widths differ, or a file's name has control or broken characters.
    """
    for path in packs:
        check_text("the pack's file name", path.name)
    folders = {path.resolve().parent for path in packs}
    if len(folders) != 1:
        raise InputError(
            f"the packs lie in {len(folders)} folders: put them into one, since a card names "
            "files without folders"
        )
    with ExitStack() as stack:
        opened = [stack.enter_context(FeaturePack.open(path)) for path in sorted(set(packs))]
        check_alike(opened)
        _check_disjoint(opened)
        info = None if manifest is None else _dataset_of(manifest, opened)
        dataset, license = agreed(opened, "dataset", None), agreed(opened, "license", license)
        first = opened[0]
        return Facts(
            dataset=dataset,
            license=license,
            info=info,
            publication=publication or Publication(),
            recipe=first.recipe,
            widths={name: first.shape(first.ids[0], name)[2] for name in first.recipe.streams},
            content_sha256=content_sha256(opened),
            created=min(pack.created for pack in opened),
            creator=_versions(opened),
            joined=sum(bool(pack.meta(id).clips) for pack in opened for id in pack.ids),
            files=tuple(_files(opened, progress)),
            videos=tuple(sorted(_videos(opened), key=lambda video: video.id)),
        )


def _dataset_of(name_or_file: str, packs: Sequence[FeaturePack]) -> DatasetInfo:
    """What is known of a manifest's dataset, after some of the packs' videos were found in it."""
    if name_or_file in DATASETS:
        dataset = load_dataset(name_or_file)
        info, ids = dataset.info, {entry.id for entry in dataset}
    else:
        ids = {entry.id for entry in find_manifest(name_or_file)}
        info = info_beside(Path(name_or_file))
    if not any(id in ids for pack in packs for id in pack.ids):
        raise InputError(
            f"--manifest {name_or_file}: none of the packs' videos is in it; give the manifest "
            "that they were made by"
        )
    return info


def _check_disjoint(packs: Sequence[FeaturePack]) -> None:
    seen: dict[str, Path] = {}
    for pack in packs:
        for id in pack.ids:
            if id in seen:
                raise InputError(
                    f"video {id!r} is in {seen[id]} and in {pack.path}: share each video once; "
                    "vad pack merge joins packs that overlap"
                )
            seen[id] = pack.path


def _files(packs: Sequence[FeaturePack], progress: ProgressCallback) -> Iterator[SharedFile]:
    for done, pack in enumerate(packs, start=1):
        problems = pack.verify()
        if problems:
            raise PackCorrupt(f"{pack.path}: {problems[0]}; a damaged pack is not described")
        yield SharedFile(
            pack.path.name, pack.path.stat().st_size, sha256_file(pack.path), len(pack)
        )
        progress(ProgressEvent("checksums", done, len(packs), "packs", pack.path.name))


def _videos(packs: Sequence[FeaturePack]) -> Iterator[SharedVideo]:
    for pack in packs:
        streams = pack.recipe.streams
        for id in pack.ids:
            meta = pack.meta(id)
            yield SharedVideo(
                id=id,
                file=pack.path.name,
                snippets=pack.shape(id, streams[0])[0],
                frames=meta.frames,
                fps=meta.fps or None,
                width=meta.width or None,
                height=meta.height or None,
                sha256={stream: pack.digest(id, stream) for stream in streams},
            )


def _versions(packs: Sequence[FeaturePack]) -> dict[str, str]:
    """The versions that made the packs; several of one thing where packs differ."""
    found: dict[str, set[str]] = {}
    for pack in packs:
        for name, version in pack.creator.items():
            found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
