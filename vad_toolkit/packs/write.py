"""Writing packs: videos in blocks, each checked, hashed and written in one pass."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import platform
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np
from numpy.typing import NDArray

import vad_toolkit
from vad_toolkit.core.files import AnyPath, EarlySync, atomic_path, canonical_json
from vad_toolkit.core.ids import IdSet, check_text
from vad_toolkit.errors import PackCorrupt, PackError
from vad_toolkit.packs import hdf5
from vad_toolkit.packs.index import FORMAT, FORMAT_VERSION
from vad_toolkit.packs.pack import LICENSE_NOT_STATED
from vad_toolkit.packs.video import (
    CHUNK_SNIPPETS,
    PackFit,
    SnippetBlocks,
    StreamedVideo,
    VideoFeatures,
    VideoMeta,
    check_finite,
    raw_bytes,
)
from vad_toolkit.recipes.recipe import AnyRecipe


def write_pack(
    out: AnyPath,
    recipe: AnyRecipe,
    videos: Iterable[tuple[str, VideoFeatures | StreamedVideo]],
    *,
    dataset: str,
    license: str = LICENSE_NOT_STATED,
) -> None:
    """Write a pack; it appears when it is complete, and replaces an older file.

    Args:
        out: The file (.h5).
        recipe: The settings that made the features.
        videos: Ids and videos, in the order they are stored in. One video is in memory at a time,
            and one block of a `StreamedVideo`.
        dataset: A name that is stored in the pack.
        license: The license of the features.

    Raises:
        PackError: If there are no videos, an id occurs twice or lies inside another, features do
            not fit the recipe (names the video), or the file cannot be written.

    Example:
        >>> import vad_toolkit as vad
        >>> with vad.open_pack("features.h5") as pack:
        ...     first = [(id, pack.video(id)) for id in pack.ids[:2]]
        ...     vad.write_pack("first.h5", pack.recipe, first, dataset="first two")
    """
    root = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "recipe": recipe.canonical_json(),
        "recipe_sha256": recipe.sha256,
        "dataset": check_text("dataset", dataset),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "creator": canonical_json(dict(creator_versions())),
        "license": check_text("license", license),
    }
    path = Path(out)
    ids, fit = IdSet(), PackFit(recipe)
    try:
        with (
            ThreadPoolExecutor(1) as writer,
            atomic_path(path) as temporary,
            EarlySync(temporary) as sync,
            hdf5.create_hdf5(temporary) as file,
        ):
            file.attrs.update(root)
            group = hdf5.create_group(file, "videos")
            for id, video in videos:
                ids.add(id)
                try:
                    blocks = video.streamed() if isinstance(video, VideoFeatures) else video
                    sync.wrote(_write_video(group, id, blocks, fit, writer))
                except PackCorrupt:  # of the pack that is copied; names it and the video
                    raise
                except PackError as error:
                    raise PackError(f"video {id!r}: {error}") from error
            if not len(ids):
                raise PackError(f"{path} would have no videos; give at least one")
    except OSError as error:
        raise PackError(f"{path} cannot be written: {hdf5.one_line(error)}") from error


def _write_video(
    group: h5py.Group, id: str, video: StreamedVideo, fit: PackFit, writer: Executor
) -> int:
    """Write a video, and return the bytes of its features."""
    for part in id.split("/"):
        group = group[part] if part in group else hdf5.create_group(group, part)
    for name, stream in video.streams.items():
        _write_stream(group, name, stream, writer)
    meta = video.meta()
    fit.check(meta, {name: stream.shape for name, stream in video.streams.items()})
    for field in dataclasses.fields(VideoMeta):
        value = getattr(meta, field.name)
        if value != field.default:
            is_list = isinstance(value, tuple)
            group.attrs[field.name] = canonical_json(list(value)) if is_list else value
    return sum(2 * math.prod(stream.shape) for stream in video.streams.values())


def _write_stream(group: h5py.Group, name: str, stream: SnippetBlocks, writer: Executor) -> None:
    """Write blocks as a dataset with its sha256; `writer` stores one while the next one is made."""
    snippets, *rest = stream.shape
    stored = group.create_dataset(
        name, stream.shape, "<f2", chunks=(min(CHUNK_SNIPPETS, snippets), *rest), track_times=False
    )
    digest = hashlib.sha256()
    waiting: Future[None] | None = None
    done = 0
    try:
        for block in stream.blocks:
            if block.dtype != np.float16 or block.shape[1:] != stream.shape[1:] or not len(block):
                raise PackError(
                    f"a block of {name} features must be float16 (snippets, {rest[0]}, "
                    f"{rest[1]}), got {block.dtype} {block.shape}"
                )
            if done % CHUNK_SNIPPETS:
                raise PackError(
                    f"a block of {name} features begins at snippet {done}; all blocks but the last "
                    f"must have a multiple of {CHUNK_SNIPPETS} snippets"
                )
            done += len(block)
            if done > snippets:
                break
            data = np.ascontiguousarray(block, dtype="<f2")
            if waiting is not None:
                waiting.result()
            waiting = writer.submit(_store, stored, name, digest, done - len(data), data)
    finally:
        if waiting is not None:
            waiting.result()
    if done != snippets:
        raise PackError(f"the blocks of {name} features must have {snippets} snippets, got {done}")
    stored.attrs["sha256"] = digest.hexdigest()


def _store(
    dataset: h5py.Dataset, name: str, digest: hashlib._Hash, start: int, data: NDArray[np.float16]
) -> None:
    """Hash a block and write it in whole chunks, which bypasses HDF5's slower way."""
    check_finite(name, data)
    digest.update(raw_bytes(data))
    chunk = dataset.chunks[0]
    for offset in range(0, len(data), chunk):
        part = data[offset : offset + chunk]
        if len(part) < chunk:  # the last chunk is stored whole too, padded with zeros
            part = np.concatenate([part, np.zeros((chunk - len(part), *part.shape[1:]), "<f2")])
        dataset.id.write_direct_chunk((start + offset, 0, 0), part)


@cache
def creator_versions() -> Mapping[str, str]:
    """Return the versions that decide features or the bytes of a pack, without heavy imports."""
    versions = {
        "vad-toolkit": vad_toolkit.__version__,
        "python": platform.python_version(),
        "hdf5": h5py.version.hdf5_version,
    }
    for package in ("h5py", "numpy", "torch", "torchvision"):
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return MappingProxyType(versions)
