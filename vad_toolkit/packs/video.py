"""One video of a pack: metadata and features, and what all videos of a pack have to agree on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.ids import check_id, check_text, shown
from vad_toolkit.errors import InputError, PackError
from vad_toolkit.recipes.recipe import AnyRecipe


@dataclass(frozen=True)
class VideoMeta:
    """What a pack says of a video beside its features. Checks itself; raises PackError."""

    frames: int  # decoded: the frames that the features cover, at least 1
    frames_reported: int  # what the container says; 0 where it says nothing
    frames_duplicated: int  # frames that the decoder filled in with copies
    fps: float  # frames per second; 0 where not known
    width: int  # pixels, as displayed; 0 where not known
    height: int
    source_sha256: str  # of the video file, or of what a composed video was joined from
    decoder: str
    decoder_version: str
    clips: tuple[str, ...] = ()  # ids of the clips that a composed video was joined from, in order

    def __post_init__(self) -> None:
        for name, least in (
            ("frames", 1),
            ("frames_reported", 0),
            ("frames_duplicated", 0),
            ("width", 0),
            ("height", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise PackError(
                    f"{name} is {value!r}: it has to be a whole number of at least {least}"
                )
        if not isinstance(self.fps, float) or not math.isfinite(self.fps) or self.fps < 0:
            raise PackError(f"fps is {self.fps!r}: it has to be a float of at least 0.0")
        if not re.fullmatch(r"[0-9a-f]{64}", str(self.source_sha256)):
            raise PackError(f"source_sha256 is {self.source_sha256!r}: it has to be 64 hex digits")
        for name in ("decoder", "decoder_version"):
            check_text(name, getattr(self, name))
        if not isinstance(self.clips, tuple):
            raise PackError(f"clips is {self.clips!r}: it has to be a tuple of video ids")
        for clip in self.clips:
            check_id(clip)


@dataclass(frozen=True)
class VideoFeatures:
    """The features of one video: for each stream float16 (N, C, D), finite, none of the three 0.

    Checks itself; raises PackError.
    """

    meta: VideoMeta
    streams: Mapping[str, NDArray[np.float16]]

    def __post_init__(self) -> None:
        for stream, array in self.streams.items():
            if array.ndim != 3 or array.dtype != np.float16 or 0 in array.shape:
                raise PackError(
                    f"{stream} features are {array.dtype} {array.shape}: "
                    "they have to be float16 (snippets, crops, numbers), none of them 0"
                )
            if not all_finite(array):
                raise PackError(f"{stream} features hold NaN or infinity: they have to be finite")

    def __repr__(self) -> str:
        shapes = {stream: array.shape for stream, array in self.streams.items()}
        return f"VideoFeatures({self.meta}, {shapes})"

    def streamed(self) -> StreamedVideo:
        """The same, as it is written."""
        streams = {name: array_blocks(array) for name, array in self.streams.items()}
        return StreamedVideo(streams, lambda: self.meta)


class PackFit:
    """What the videos of one pack have to agree on: the recipe, and D of each stream."""

    def __init__(self, recipe: AnyRecipe) -> None:
        self.recipe = recipe
        self.widths: dict[str, int] = {}

    def check(self, meta: VideoMeta, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Compare streams and shapes (N, C, D) with what the recipe makes. Raises PackError."""
        if set(shapes) != set(self.recipe.streams):
            found = ", ".join(map(shown, sorted(shapes))) or "none"
            wanted = ", ".join(map(repr, self.recipe.streams))
            raise PackError(f"its streams are {found}, the recipe's {wanted}")
        try:
            snippets = self.recipe.snippet_count(meta.frames, meta.fps)
        except InputError as error:
            raise PackError(str(error)) from error
        if snippets is None:  # published features: whatever they have, but all streams the same
            snippets = next(iter(shapes.values()))[0]
        if not snippets:
            raise PackError(f"{meta.frames} frames make no snippet by this recipe")
        for stream, (count, crops, width) in shapes.items():
            if count != snippets:
                raise PackError(
                    f"{stream} has {count} snippets, but {meta.frames} frames make {snippets}"
                )
            if crops != self.recipe.crop_count:
                raise PackError(f"{stream} has {crops} crops, the recipe {self.recipe.crop_count}")
            if width == 0 or self.widths.setdefault(stream, width) != width:
                usual = self.widths[stream] if width else "at least 1"
                raise PackError(f"{stream} has {width} numbers a crop, other videos have {usual}")


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


def all_finite(array: NDArray[np.float16]) -> bool:
    """As `np.isfinite(array).all()`, but quicker: NaN and infinity have all exponent bits set."""
    return int((array.view(np.uint16) & 0x7FFF).max()) < 0x7C00


def raw_bytes(array: NDArray[np.float16]) -> memoryview:
    """The bytes that digests are taken of: C order, little-endian."""
    return np.ascontiguousarray(array, dtype="<f2").data.cast("B")
