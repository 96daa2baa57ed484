"""Features that pass through in blocks of snippets: a video of 976,503 frames never is in memory.

`SnippetBlocks` are one stream of a video on its way into a pack; `write_stream` checks, hashes and
writes them in one pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import PackError

if TYPE_CHECKING:
    from vad_toolkit.features.video import VideoMeta

CHUNK_SNIPPETS = 16
BLOCK_BYTES = 4 << 20  # of float16, about: what is in memory at a time


@dataclass(frozen=True)
class SnippetBlocks:
    """One stream of a video: `shape` (N, C, D), and float16 blocks (n, C, D) that make it up.

    Each block has a multiple of 16 snippets, but for the last. Blocks are asked for once, in order,
    and keep their values: the next one is made while one is written.
    """

    shape: tuple[int, int, int]
    blocks: Iterable[NDArray[np.float16]]


@dataclass(frozen=True)
class StreamedVideo:
    """A video whose features are not in memory; `write_pack` takes it like `VideoFeatures`.

    `meta` is called once all blocks were read: a source's digest is known only then.
    """

    streams: Mapping[str, SnippetBlocks]
    meta: Callable[[], VideoMeta]


def block_snippets(crops: int, width: int) -> int:
    """How many snippets a block has for C crops and D numbers: whole chunks, about 4 MiB."""
    chunk = CHUNK_SNIPPETS * crops * width * 2
    return max(1, BLOCK_BYTES // chunk) * CHUNK_SNIPPETS


def stored_snippets(snippets: int) -> int:
    """How many snippets a file has room for where a video has N: the last chunk is whole."""
    chunk = max(1, min(snippets, CHUNK_SNIPPETS))
    return -(-snippets // chunk) * chunk


def array_blocks(array: NDArray[np.float16]) -> SnippetBlocks:
    """Features that are in memory, (N, C, D), as blocks."""
    snippets, crops, width = array.shape
    rows = block_snippets(crops, width)
    return SnippetBlocks(
        (snippets, crops, width),
        (array[start : start + rows] for start in range(0, snippets, rows)),
    )


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


def all_finite(array: NDArray[np.float16]) -> bool:
    """As `np.isfinite(array).all()`, but quicker: NaN and infinity have all exponent bits set."""
    return int((array.view(np.uint16) & 0x7FFF).max()) < 0x7C00


def raw_bytes(array: NDArray[np.float16]) -> memoryview:
    """The bytes that digests are taken of: C order, little-endian."""
    return np.ascontiguousarray(array, dtype="<f2").data.cast("B")


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
