"""Feature packs opened for reading: HDF5 files in the format of docs/pack-format.md."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.crops import order_name
from vad_toolkit.core.files import AnyPath, canonical_json, sha256_text
from vad_toolkit.errors import PackCorrupt, PackError, VideoNotFound
from vad_toolkit.packs import hdf5, index
from vad_toolkit.packs.video import (
    SnippetBlocks,
    StreamedVideo,
    VideoFeatures,
    VideoMeta,
    all_finite,
    block_snippets,
    raw_bytes,
)
from vad_toolkit.weights.catalogue import CATALOGUE, RandomSource, name_of

LICENSE_NOT_STATED = "not stated"
VERIFY_THREADS = 4  # hash faster than the HDF5 library, which has one lock, can read


class FeaturePack(Mapping[str, NDArray[np.float16]]):
    """A pack opened for reading: a mapping of video ids, in order, to features.

    `pack[id]` reads the features of a video, float16 (N, C, D): N snippets, C crops, D dimensions.
    They are the RGB features if the recipe has RGB, else its only modality. `pack.features(id,
    "flow")` reads the others. Metadata is in memory and was checked against the recipe when the
    pack was opened. The features are compared with their digests by `verify`, `video` and
    `streamed`.

    The pack is a context manager and stands for its path wherever a path is accepted.

    Attributes:
        path: The file.
        recipe: The settings that made the features.
        recipe_sha256: The identity of the recipe.
        dataset: A name that was chosen when the pack was written.
        license: The license of the features, or "not stated".
        created: The time of writing, UTC, ISO 8601.
        creator: Versions of the software that wrote the pack.
        ids: The video ids, sorted.

    Example:
        >>> import vad_toolkit as vad
        >>> with vad.open_pack("features.h5") as pack:
        ...     shapes = {id: features.shape for id, features in pack.items()}
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        """Use `FeaturePack.open`."""
        self.path, self._file = path, file
        index.check_format(path, file)
        self.dataset, self.license, self.created = (
            index.read_text(path, file, name) for name in ("dataset", "license", "created")
        )
        self.creator = index.read_creator(path, file)
        self.recipe = index.read_recipe(path, file, self.creator.get("vad-toolkit"))
        self.recipe_sha256 = self.recipe.sha256
        self._videos = index.read_videos(path, file, self.recipe)
        self.ids: tuple[str, ...] = tuple(self._videos)
        self._main_stream = "rgb" if "rgb" in self.recipe.streams else "flow"

    @classmethod
    def open(cls, pack: AnyPath) -> FeaturePack:
        """Open a pack (.h5) for reading. Use it in a `with` block, or close it.

        Raises:
            PackUnsafe: If it has contents that `hdf5.open_hdf5` refuses.
            PackCorrupt: If it is damaged or does not fit its own recipe; names the video.
            PackError: If there is no such file, or only another version can read it.

        Example:
            >>> import vad_toolkit as vad
            >>> pack = vad.open_pack("features.h5")
            >>> len(pack)
            8
            >>> pack.close()
        """
        path = Path(pack)
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

    def __fspath__(self) -> str:
        return str(self.path)

    def __getitem__(self, id: str) -> NDArray[np.float16]:
        return self.features(id)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: object) -> bool:
        return id in self._videos

    # A mapping compares its items, which would read all features of both packs.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return (
            f"FeaturePack({str(self.path)!r}, {len(self)} videos, recipe {self.recipe_sha256[:12]})"
        )

    def meta(self, id: str) -> VideoMeta:
        """Return the metadata of a video. Raises VideoNotFound if the pack does not have it."""
        if id not in self._videos:
            raise VideoNotFound(f"{self.path} has no video {id!r}; it has {len(self)} others")
        return self._videos[id].meta

    def shape(self, id: str, stream: str | None = None) -> tuple[int, int, int]:
        """Return (N, C, D) of a video without reading its features. Arguments as in `features`."""
        return self._find(id, stream).shape

    def digest(self, id: str, stream: str | None = None) -> str:
        """Return the stated sha256 of a video's features. Arguments as in `features`."""
        return self._find(id, stream).sha256

    def features(
        self,
        id: str,
        stream: str | None = None,
        start: int = 0,
        stop: int | None = None,
        crops: slice = np.s_[:],
    ) -> NDArray[np.float16]:
        """Read features of a video, float16 (snippets, crops, D).

        Args:
            id: The video.
            stream: The modality, "rgb" or "flow". If None, RGB if the recipe has it, else the only
                modality.
            start: The first snippet.
            stop: The snippet after the last one. If None, read to the end.
            crops: The crops to read.

        Raises:
            PackCorrupt: If they cannot be read; names the video.
            VideoNotFound: If the pack does not have the video.
            PackError: If the pack does not have the modality.
        """
        self._find(id, stream)
        stream = stream or self._main_stream
        try:
            array = self._file[f"videos/{id}/{stream}"][start:stop, crops]
        except hdf5.HDF5_ERRORS as error:
            raise PackCorrupt(
                f"{self.path}: video {id!r}: {stream} features cannot be read: "
                f"{hdf5.one_line(error)}"
            ) from error
        return np.asarray(array, dtype=np.float16)

    def video(self, id: str) -> VideoFeatures:
        """Read a whole video and compare its digests, so that damage is never copied.

        Raises PackCorrupt if they differ, and VideoNotFound.
        """
        meta = self.meta(id)
        streams = {stream: self.features(id, stream) for stream in self._videos[id].streams}
        for stream, features in streams.items():
            if hashlib.sha256(raw_bytes(features)).hexdigest() != self.digest(id, stream):
                raise PackCorrupt(f"{self.path}: video {id!r}: {stream} features are damaged")
        try:
            return VideoFeatures(meta, streams)
        except PackError as error:
            raise PackCorrupt(f"{self.path}: video {id!r}: {error}") from error

    def streamed(self, id: str) -> StreamedVideo:
        """Return a video in blocks. Raises the errors of `video`.

        PackCorrupt is raised while the blocks are read, or after the last one.
        """
        meta = self.meta(id)
        streams = {
            stream: SnippetBlocks(stored.shape, self._blocks(id, stream))
            for stream, stored in self._videos[id].streams.items()
        }
        return StreamedVideo(streams, lambda: meta)

    def _blocks(self, id: str, stream: str) -> Iterator[NDArray[np.float16]]:
        stored = self._find(id, stream)
        rows = block_snippets(*stored.shape[1:])
        digest = hashlib.sha256()
        with ThreadPoolExecutor(1) as hasher:  # hashes a block while the caller uses it
            for start in range(0, stored.shape[0], rows):
                block = self.features(id, stream, start, start + rows)
                hashed = hasher.submit(digest.update, raw_bytes(block))
                yield block
                hashed.result()
        if digest.hexdigest() != stored.sha256:
            raise PackCorrupt(f"{self.path}: video {id!r}: {stream} features are damaged")

    @property
    def content_sha256(self) -> str:
        """The digest of the recipe and the features, which no order or split into parts changes."""
        return content_sha256([self])

    def table(self) -> list[dict[str, Any]]:
        """Return the metadata of all videos, one row each, as for `pandas.DataFrame(pack.table())`.

        Columns: `id`, `snippets` (N), `crops` (C); the fields of `VideoMeta`: `frames`,
        `frames_reported`, `frames_duplicated`, `fps`, `width`, `height`, `source_sha256`,
        `decoder`, `decoder_version`, `clips`; and per modality the dimension and the digest of the
        features: `rgb_dim`, `rgb_sha256`, `flow_dim`, `flow_sha256`.
        """
        rows: list[dict[str, Any]] = []
        for id, video in self._videos.items():
            snippets, crops, _ = self.shape(id)
            rows.append({"id": id, "snippets": snippets, "crops": crops} | vars(video.meta))
            for stream, stored in video.streams.items():
                rows[-1] |= {f"{stream}_dim": stored.shape[2], f"{stream}_sha256": stored.sha256}
        return rows

    def summary(self) -> dict[str, Any]:
        """Return totals, recipe and versions as JSON values, as `vad pack info --json` prints."""
        rows = self.table()
        first = self.ids[0]
        return {
            "pack": str(self.path),
            "bytes": self.path.stat().st_size,
            "dataset": self.dataset,
            "license": self.license,
            "created": self.created,
            "videos": len(self),
            "snippets": sum(row["snippets"] for row in rows),
            "frames": sum(row["frames"] for row in rows),
            "frames_duplicated": sum(row["frames_duplicated"] for row in rows),
            "features": {
                stream: list(self.shape(first, stream)[1:]) for stream in self.recipe.streams
            },
            "crop_order": order_name(self.recipe.crop_order),
            "decoders": Counter(f"{row['decoder']} {row['decoder_version']}" for row in rows),
            "weights": {
                stream: _weights_name(sha256) for stream, sha256 in self.recipe.weights.items()
            },
            "recipe_sha256": self.recipe_sha256,
            "content_sha256": self.content_sha256,
            "recipe": self.recipe.model_dump(mode="json"),
            "creator": dict(self.creator),
        }

    def check(self, id: str) -> None:
        """Read a video in blocks, without keeping it. Raises the errors of `video`."""
        self.meta(id)
        if found := self._problems(id):
            raise PackCorrupt(f"{self.path}: video {id!r}: {'; '.join(found)}")

    def verify(self) -> list[str]:
        """Read all features and compare their digests; return one line per damaged video."""
        return list(self.damaged().values())

    def damaged(self) -> dict[str, str]:
        """Read all features, several videos at a time; return a line per damaged video, by id."""
        with ThreadPoolExecutor(min(VERIFY_THREADS, os.cpu_count() or 1)) as pool:
            problems = zip(self.ids, pool.map(self._problems, self.ids), strict=True)
            return {id: f"video {id!r}: {'; '.join(found)}" for id, found in problems if found}

    def _problems(self, id: str) -> list[str]:
        """Read a video in blocks; return the problem of each damaged modality."""
        problems = []
        for stream, stored in self._videos[id].streams.items():
            snippets, rows = stored.shape[0], block_snippets(*stored.shape[1:])
            buffer = np.empty((min(rows, snippets), *stored.shape[1:]), np.float16)
            digest, is_finite = hashlib.sha256(), True
            try:
                dataset = self._file[f"videos/{id}/{stream}"]
                for start in range(0, snippets, rows):
                    block = buffer[: min(rows, snippets - start)]
                    dataset.read_direct(block, np.s_[start : start + rows])
                    digest.update(block.data.cast("B"))
                    is_finite = is_finite and all_finite(block)
            except hdf5.HDF5_ERRORS as error:
                problems.append(f"{stream} features cannot be read: {hdf5.one_line(error)}")
                continue
            if (found := digest.hexdigest()) != stored.sha256:
                problems.append(
                    f"{stream} features are damaged: sha256 {found}, stated {stored.sha256}"
                )
            elif not is_finite:
                problems.append(f"{stream} features hold NaN or infinity")
        return problems

    def _find(self, id: str, stream: str | None) -> index.StoredFeatures:
        self.meta(id)
        streams = self._videos[id].streams
        if (name := stream or self._main_stream) not in streams:
            raise PackError(f"{self.path} has no {name!r} features; it has {', '.join(streams)}")
        return streams[name]


def _weights_name(sha256: str) -> str:
    name = name_of(sha256)
    if name is None:
        return f"sha256 {sha256}, not in the catalog"
    if isinstance(CATALOGUE[name].source, RandomSource):
        return f"{name}: RANDOM WEIGHTS, these are not features"
    return name


open_pack = FeaturePack.open


def content_sha256(packs: Sequence[FeaturePack]) -> str:
    """Return the content digest of the pack that packs of one recipe would be merged into."""
    digests = {
        (id, stream, pack.digest(id, stream))
        for pack in packs
        for id in pack.ids
        for stream in pack.recipe.streams
    }
    recipe = packs[0].recipe_sha256
    return sha256_text(canonical_json({"recipe": recipe, "features": sorted(digests)}))
