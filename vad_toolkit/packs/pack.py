"""Feature packs: where features live, in HDF5 (`vad-feature-pack` version 1, docs/pack-format.md).

    /                 format, format_version, recipe, recipe_sha256, dataset, license, created,
                      creator
    /videos/<id>      what `VideoMeta` says, one attribute a field
    /videos/<id>/rgb  float16 (N, C, D): N snippets, C crops, D numbers; attribute sha256

Video ids contain slashes, so groups nest: a group is either a folder of others or a video.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import canonical_json, sha256_text
from vad_toolkit.core.ids import check_id, check_text, shown
from vad_toolkit.errors import InputError, PackCorrupt, PackError
from vad_toolkit.packs import hdf5
from vad_toolkit.packs.verify import StoredFeatures, find_problems
from vad_toolkit.packs.video import (
    PackFit,
    SnippetBlocks,
    StreamedVideo,
    VideoFeatures,
    VideoMeta,
    block_snippets,
    raw_bytes,
)
from vad_toolkit.recipes.recipe import AnyRecipe, parse_recipe

FORMAT = "vad-feature-pack"
FORMAT_VERSION = 1
LICENSE_NOT_STATED = "not stated"
JSON_ERRORS = (ValueError, RecursionError)  # the second for thousands of brackets


@dataclass(frozen=True)
class _Stored:
    """What the pack holds of one stream of one video."""

    shape: tuple[int, int, int]
    sha256: str


class FeaturePack:
    """A pack opened for reading; a context manager. `ids` are sorted; only metadata is in memory.

    What it says of itself is checked when it is opened: format, recipe and its hash, and for each
    video that metadata and shapes fit the recipe. The features' bytes are checked by `verify`.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        """Use `FeaturePack.open`."""
        self.path = path
        self._file = file
        kind = hdf5.read_attribute(file, "format")
        version = hdf5.read_attribute(file, "format_version")
        if kind != FORMAT:
            raise PackError(f"{path}: format is {kind!r}: this toolkit reads {FORMAT!r}")
        if version != FORMAT_VERSION:
            raise PackError(
                f"{path}: format_version is {version!r}: this toolkit reads {FORMAT_VERSION}"
            )
        self.recipe = self._read_recipe()
        self.recipe_sha256 = self.recipe.sha256
        self.dataset = self._text("dataset")
        self.license = self._text("license")
        self.created = self._text("created")
        self.creator = self._read_creator()
        self._meta: dict[str, VideoMeta] = {}
        self._stored: dict[str, dict[str, _Stored]] = {}
        self._fit = PackFit(self.recipe)
        self._read_videos()
        self.ids: tuple[str, ...] = tuple(sorted(self._meta))

    @classmethod
    def open(cls, path: Path) -> FeaturePack:
        """Open a pack.

        Raises:
            PackUnsafe: it holds what `hdf5.open_hdf5` refuses.
            PackCorrupt: it is damaged, or does not fit its own recipe; names the video.
            PackError: there is no such file, or it is not a pack of this version.
        """
        path = Path(path)
        file = hdf5.open_hdf5(path)
        try:
            return cls(path, file)
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._file.close()

    def __enter__(self) -> FeaturePack:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: object) -> bool:
        return id in self._meta

    def __repr__(self) -> str:
        return (
            f"FeaturePack({str(self.path)!r}, {len(self)} videos, recipe {self.recipe_sha256[:12]})"
        )

    def meta(self, id: str) -> VideoMeta:
        """Metadata of a video. PackError where the pack does not have it."""
        if id not in self._meta:
            raise PackError(f"{self.path} has no video {id!r}; it has {len(self)} others")
        return self._meta[id]

    def shape(self, id: str, stream: str = "rgb") -> tuple[int, int, int]:
        """(N, C, D) of a video's features, without reading them."""
        return self._find(id, stream).shape

    def digest(self, id: str, stream: str = "rgb") -> str:
        """The sha256 that the pack states for a video's features."""
        return self._find(id, stream).sha256

    def features(
        self,
        id: str,
        stream: str = "rgb",
        start: int = 0,
        stop: int | None = None,
        crops: slice = np.s_[:],
    ) -> NDArray[np.float16]:
        """Features of a video, float16 (N, C, D), or of its snippets in [start, stop) and `crops`.

        Raises:
            PackCorrupt: they cannot be read; names the video.
            PackError: the pack does not have them.
        """
        self._find(id, stream)
        try:
            array = self._file[f"videos/{id}/{stream}"][start:stop, crops]
        except hdf5.HDF5_ERRORS as error:
            raise self._unreadable(id, stream, error) from error
        return np.asarray(array, dtype=np.float16)

    def read_into(self, id: str, stream: str, start: int, out: NDArray[np.float16]) -> None:
        """Fill `out`, float16 (n, C, D) in C order, with the snippets [start, start + n).

        Raises:
            PackCorrupt: they cannot be read; names the video.
            PackError: the pack does not have them.
        """
        self._find(id, stream)
        try:
            self._file[f"videos/{id}/{stream}"].read_direct(out, np.s_[start : start + len(out)])
        except hdf5.HDF5_ERRORS as error:
            raise self._unreadable(id, stream, error) from error

    def video(self, id: str) -> VideoFeatures:
        """All of a video, its digests compared: what is copied from pack to pack is never damaged.

        Raises:
            PackCorrupt: its bytes are not what its digests say.
            PackError: the pack does not have it.
        """
        meta = self.meta(id)
        streams: dict[str, NDArray[np.float16]] = {}
        for stream in self._stored[id]:
            array = self.features(id, stream)
            if hashlib.sha256(raw_bytes(array)).hexdigest() != self.digest(id, stream):
                raise PackCorrupt(f"{self.path}: video {id!r}: {stream} features are damaged")
            streams[stream] = array
        try:
            return VideoFeatures(meta, streams)
        except PackError as error:
            raise PackCorrupt(f"{self.path}: video {id!r}: {error}") from error

    def streamed(self, id: str) -> StreamedVideo:
        """All of a video, in blocks; as in `video`, what is damaged is never handed on.

        Raises, while the blocks are read and after the last:
            PackCorrupt: they cannot be read, or are not what their digests say.
        Raises at once:
            PackError: the pack does not have it.
        """
        meta = self.meta(id)
        streams = {
            stream: SnippetBlocks(stored.shape, self._blocks(id, stream, stored))
            for stream, stored in self._stored[id].items()
        }
        return StreamedVideo(streams, lambda: meta)

    def _blocks(self, id: str, stream: str, stored: _Stored) -> Iterator[NDArray[np.float16]]:
        rows = block_snippets(*stored.shape[1:])
        digest = hashlib.sha256()
        with ThreadPoolExecutor(1) as hasher:  # hashes a block while it is used
            for start in range(0, stored.shape[0], rows):
                block = self.features(id, stream, start, start + rows)
                hashed = hasher.submit(digest.update, raw_bytes(block))
                yield block
                hashed.result()
        if digest.hexdigest() != stored.sha256:
            raise PackCorrupt(f"{self.path}: video {id!r}: {stream} features are damaged")

    @property
    def content_sha256(self) -> str:
        """Digest over the recipe's hash and each (id, stream, sha256), sorted.

        Equal for packs with equal features, whenever and in whatever order they were written.
        """
        return content_sha256([self])

    def check(self, id: str) -> None:
        """Read a video in blocks and compare its digests; the features are not kept.

        Raises:
            PackCorrupt: its bytes are not what its digests say, or features are not finite.
            PackError: the pack does not have it.
        """
        self.meta(id)
        for _, problem in find_problems(self._stored_features([id])):
            raise PackCorrupt(f"{self.path}: video {id!r}: {problem}")

    def verify(self) -> list[str]:
        """Read everything and compare digests; one line a problem, each naming the video."""
        return list(self.damaged().values())

    def damaged(self) -> dict[str, str]:
        """As `verify`: the ids of damaged videos, and what is wrong with each in one line."""
        problems: dict[str, list[str]] = {}
        for id, problem in find_problems(self._stored_features(self.ids)):
            problems.setdefault(id, []).append(problem)
        return {id: f"video {id!r}: {'; '.join(found)}" for id, found in problems.items()}

    def _stored_features(self, ids: Iterable[str]) -> Iterator[StoredFeatures]:
        for id in ids:
            for stream, stored in self._stored[id].items():
                read = partial(self.read_into, id, stream)
                yield StoredFeatures(id, stream, stored.shape, stored.sha256, read)

    def _find(self, id: str, stream: str) -> _Stored:
        self.meta(id)
        streams = self._stored[id]
        if stream not in streams:
            raise PackError(f"{self.path} has no stream {stream!r}; it has {', '.join(streams)}")
        return streams[stream]

    def _unreadable(self, id: str, stream: str, error: BaseException) -> PackCorrupt:
        return PackCorrupt(
            f"{self.path}: video {id!r}: {stream} features cannot be read: {hdf5.one_line(error)}"
        )

    def _text(self, name: str) -> str:
        value = hdf5.read_attribute(self._file, name)
        try:
            return check_text(name, value)
        except PackError as error:
            raise PackCorrupt(f"{self.path}: {error}") from error

    def _read_recipe(self) -> AnyRecipe:
        stated = self._text("recipe_sha256")
        try:
            recipe = parse_recipe(self._text("recipe"))
        except (InputError, RecursionError) as error:
            raise PackError(f"{self.path}: {hdf5.one_line(error)}") from error
        if recipe.sha256 != stated:
            raise PackCorrupt(
                f"{self.path}: recipe_sha256 is {stated}, but the recipe's is {recipe.sha256}"
            )
        return recipe

    def _read_creator(self) -> Mapping[str, str]:
        with suppress(*JSON_ERRORS, PackError):
            creator = json.loads(str(hdf5.read_attribute(self._file, "creator")))
            if isinstance(creator, dict):
                for text in (*creator, *creator.values()):
                    check_text("creator", text)
                return MappingProxyType(creator)
        raise PackCorrupt(f"{self.path}: creator has to be a JSON object of texts")

    def _read_videos(self) -> None:
        videos = self._file.get("videos")
        if not isinstance(videos, h5py.Group) or not len(videos):
            raise PackCorrupt(f"{self.path}: there is no video in it")
        try:
            self._read_folder("", videos)
        except hdf5.HDF5_ERRORS as error:
            raise PackCorrupt(f"{self.path} is damaged: {hdf5.one_line(error)}") from error

    def _read_folder(self, prefix: str, folder: h5py.Group) -> None:
        for name, child in folder.items():
            id = f"{prefix}{name}"
            if not isinstance(child, h5py.Group):
                raise PackCorrupt(f"{self.path}: {shown(id)} lies outside of a video")
            members = dict(child.items())
            if any(isinstance(member, h5py.Dataset) for member in members.values()):
                try:
                    self._read_video(check_id(id), child, members)
                except PackCorrupt:
                    raise
                except PackError as error:
                    raise PackCorrupt(f"{self.path}: video {shown(id)}: {error}") from error
            elif members:
                self._read_folder(f"{id}/", child)
            else:
                raise PackCorrupt(f"{self.path}: {shown(id)} is empty")

    def _read_video(self, id: str, group: h5py.Group, members: Mapping[str, Any]) -> None:
        values: dict[str, Any] = {
            field.name: hdf5.read_attribute(group, field.name)
            for field in dataclasses.fields(VideoMeta)
            if field.name != "clips"
        }
        if "clips" in group.attrs:
            values["clips"] = _parse_clips(hdf5.read_attribute(group, "clips"))
        meta = VideoMeta(**values)
        streams = {}
        for stream, member in members.items():
            if (
                not isinstance(member, h5py.Dataset)
                or member.dtype != np.dtype("<f2")
                or member.ndim != 3
            ):
                raise PackError(f"{stream!r} has to be float16 (snippets, crops, numbers)")
            sha256 = hdf5.read_attribute(member, "sha256")
            if not re.fullmatch(r"[0-9a-f]{64}", str(sha256)):
                raise PackError(f"sha256 of {stream!r} has to be 64 hex digits")
            streams[stream] = _Stored(member.shape, str(sha256))
        self._fit.check(meta, {stream: stored.shape for stream, stored in streams.items()})
        self._meta[id] = meta
        self._stored[id] = {stream: streams[stream] for stream in self.recipe.streams}


def content_sha256(packs: Iterable[FeaturePack]) -> str:
    """The content digest of the pack that these packs, of one recipe, would be merged into."""
    digests: set[tuple[str, str, str]] = set()
    recipe = ""
    for pack in packs:
        recipe = pack.recipe_sha256
        digests |= {
            (id, stream, pack.digest(id, stream))
            for id in pack.ids
            for stream in pack.recipe.streams
        }
    return sha256_text(canonical_json({"recipe": recipe, "features": sorted(digests)}))


def _parse_clips(text: object) -> tuple[str, ...]:
    with suppress(*JSON_ERRORS):
        clips = json.loads(str(text))
        if isinstance(clips, list) and all(isinstance(clip, str) for clip in clips):
            return tuple(clips)
    raise PackError("clips has to be a JSON list of video ids")
