"""Features that pass through in blocks of snippets: a video of 976,503 frames never is in memory.

`SnippetBlocks` are one stream of a video on its way into a pack; `write_stream` checks, hashes and
writes them in one pass.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import platform
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import h5py
import numpy as np
from numpy.typing import NDArray

import vad_toolkit
from vad_toolkit.core.files import EarlySync, atomic_path, canonical_json
from vad_toolkit.core.ids import IdSet, check_text
from vad_toolkit.errors import PackCorrupt, PackError
from vad_toolkit.packs import hdf5
from vad_toolkit.packs.pack import FORMAT, FORMAT_VERSION, LICENSE_NOT_STATED
from vad_toolkit.packs.video import (
    CHUNK_SNIPPETS,
    PackFit,
    SnippetBlocks,
    StreamedVideo,
    VideoFeatures,
    VideoMeta,
    all_finite,
    raw_bytes,
)
from vad_toolkit.recipes.recipe import AnyRecipe

if TYPE_CHECKING:
    from vad_toolkit.packs.video import VideoMeta


def write_stream(group: h5py.Group, name: str, stream: SnippetBlocks, writer: Executor) -> None:
    """Write blocks as the dataset `name` with its `sha256`.

    Args:
        writer: its one thread hashes and writes a block while the next one is made here.

    Raises:
        PackError: the blocks are not float16, do not make up the shape, or hold NaN or infinity.
    """
    snippets, crops, width = stream.shape
    chunk = min(CHUNK_SNIPPETS, snippets)
    stored = group.create_dataset(
        name, stream.shape, "<f2", chunks=(chunk, crops, width), track_times=False
    )
    digest = hashlib.sha256()
    waiting: Future[None] | None = None
    done = 0
    try:
        for block in _checked(name, stream):
            data = np.ascontiguousarray(block, dtype="<f2")
            if waiting is not None:
                waiting.result()
            waiting = writer.submit(_store, stored, name, digest, done, data)
            done += len(data)
    finally:
        if waiting is not None:
            waiting.result()
    stored.attrs["sha256"] = digest.hexdigest()


def _checked(name: str, stream: SnippetBlocks) -> Iterator[NDArray[np.float16]]:
    done = 0
    for block in stream.blocks:
        if block.dtype != np.float16 or block.shape[1:] != stream.shape[1:] or not len(block):
            raise PackError(
                f"{name} features came as a block of {block.dtype} {block.shape}: it has to be "
                f"float16 (snippets, {stream.shape[1]}, {stream.shape[2]})"
            )
        if done % CHUNK_SNIPPETS:
            raise PackError(
                f"{name} features came in a block that begins at snippet {done}: all blocks but "
                f"the last have to have a multiple of {CHUNK_SNIPPETS}"
            )
        done += len(block)
        if done > stream.shape[0]:
            break
        yield block
    if done != stream.shape[0]:
        raise PackError(
            f"{name} features came with {done} snippets, they were said to have {stream.shape[0]}"
        )


def _store(
    dataset: h5py.Dataset, name: str, digest: hashlib._Hash, start: int, data: NDArray[np.float16]
) -> None:
    """Hash a block and write it, in whole chunks, past HDF5's own machinery."""
    if not all_finite(data):
        raise PackError(f"{name} features hold NaN or infinity: they have to be finite")
    digest.update(raw_bytes(data))
    chunk = dataset.chunks[0]
    for offset in range(0, len(data), chunk):
        part = data[offset : offset + chunk]
        if len(part) < chunk:  # the last one is stored whole too, padded with zeros
            part = np.concatenate([part, np.zeros((chunk - len(part), *part.shape[1:]), "<f2")])
        dataset.id.write_direct_chunk((start + offset, 0, 0), part)


def write_pack(
    path: Path,
    recipe: AnyRecipe,
    videos: Iterable[tuple[str, VideoFeatures | StreamedVideo]],
    *,
    dataset: str,
    license: str = LICENSE_NOT_STATED,
) -> None:
    """Write a pack, whole or not at all, in the order given.

    One video is in memory at a time, and of a `StreamedVideo` one block of snippets.

    Raises:
        PackError: no videos, an id twice or inside another, features that do not fit the recipe
            (each naming the video), or a file that cannot be written.
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
    ids, fit = IdSet(), PackFit(recipe)
    try:
        with (
            ThreadPoolExecutor(1) as writer,
            atomic_path(Path(path)) as temporary,
            EarlySync(temporary) as sync,
            hdf5.create_hdf5(temporary) as file,
        ):
            file.attrs.update(root)
            group = hdf5.create_group(file, "videos")
            for id, video in videos:
                ids.add(id)
                try:
                    sync.wrote(_write_video(group, id, video, fit, writer))
                except PackCorrupt:  # of the pack that is copied; names it and the video
                    raise
                except PackError as error:
                    raise PackError(f"video {id!r}: {error}") from error
            if not len(ids):
                raise PackError(f"there is no video to write into {path}")
    except OSError as error:
        raise PackError(f"{path} cannot be written: {hdf5.one_line(error)}") from error


def _write_video(
    videos: h5py.Group,
    id: str,
    video: VideoFeatures | StreamedVideo,
    fit: PackFit,
    writer: Executor,
) -> int:
    """Write a video; gives the bytes of its features."""
    if isinstance(video, VideoFeatures):
        video = video.streamed()
    group = videos
    for part in id.split("/"):
        group = group[part] if part in group else hdf5.create_group(group, part)
    for name, stream in video.streams.items():
        write_stream(group, name, stream, writer)
    meta = video.meta()
    fit.check(meta, {name: stream.shape for name, stream in video.streams.items()})
    for field in dataclasses.fields(VideoMeta):
        value = getattr(meta, field.name)
        if field.name != "clips":
            group.attrs[field.name] = value
        elif value:
            group.attrs["clips"] = canonical_json(list(value))
    return sum(2 * math.prod(stream.shape) for stream in video.streams.values())


@cache
def creator_versions() -> Mapping[str, str]:
    """Versions of what decides a feature's value or a pack's bytes; nothing heavy is imported."""
    versions = {
        "vad-toolkit": vad_toolkit.__version__,
        "python": platform.python_version(),
        "hdf5": h5py.version.hdf5_version,
    }
    for package in ("h5py", "numpy", "torch", "torchvision"):
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return MappingProxyType(versions)
