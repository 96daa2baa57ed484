"""One video of a pack: its metadata, its features in memory or in blocks, and their checks."""

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

CHUNK_SNIPPETS = 16
BLOCK_BYTES = 4 << 20  # of float16, about: the part of a video that is in memory at a time


@dataclass(frozen=True)
class VideoMeta:
    """The metadata of a video in a pack. Checks itself; raises PackError."""

    # A field that a later version adds needs a default, so that packs without it can be read.
    frames: int  # decoded, which the features cover, at least 1
    frames_reported: int  # according to the container; 0 if it does not say
    frames_duplicated: int  # copies that the decoder inserted for lost frames
    fps: float  # frames per second; 0 if not known
    width: int  # pixels, as displayed; 0 if not known
    height: int
    source_sha256: str  # of the video file, or of the sources of a composed video
    decoder: str
    decoder_version: str
    clips: tuple[str, ...] = ()  # ids of the clips that a composed video consists of, in order

    def __post_init__(self) -> None:
        least = {"frames": 1, "frames_reported": 0, "frames_duplicated": 0, "width": 0, "height": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise PackError(f"{name} must be an integer >= {low}, got {value!r}")
        if not isinstance(self.fps, float) or not math.isfinite(self.fps) or self.fps < 0:
            raise PackError(f"fps must be a float >= 0.0, got {self.fps!r}")
        if not re.fullmatch(r"[0-9a-f]{64}", str(self.source_sha256)):
            raise PackError(f"source_sha256 must be 64 hex digits, got {self.source_sha256!r}")
        for name in ("decoder", "decoder_version"):
            check_text(name, getattr(self, name))
        if not isinstance(self.clips, tuple):
            raise PackError(f"clips must be a tuple of video ids, got {self.clips!r}")
        for clip in self.clips:
            check_id(clip)


@dataclass(frozen=True)
class VideoFeatures:
    """The features of one video, by modality: float16 (N, C, D), finite, N, C and D at least 1.

    Checks itself; raises PackError.
    """

    meta: VideoMeta
    streams: Mapping[str, NDArray[np.float16]]

    def __post_init__(self) -> None:
        for stream, array in self.streams.items():
            if array.ndim != 3 or array.dtype != np.float16 or 0 in array.shape:
                raise PackError(
                    f"{stream} features must be float16 (snippets, crops, dimensions), each at "
                    f"least 1, got {array.dtype} {array.shape}"
                )
            check_finite(stream, array)

    def __repr__(self) -> str:
        shapes = {stream: array.shape for stream, array in self.streams.items()}
        return f"VideoFeatures({self.meta}, {shapes})"

    def streamed(self) -> StreamedVideo:
        """Return the video in blocks, as it is written."""
        streams = {name: array_blocks(array) for name, array in self.streams.items()}
        return StreamedVideo(streams, lambda: self.meta)


@dataclass(frozen=True)
class SnippetBlocks:
    """One modality of a video in blocks, so that a long video is never in memory as a whole.

    Blocks are float16 (n, C, D), in order; n is a multiple of 16, except in the last one. They are
    iterated once. A block must keep its values while the next one is made.
    """

    shape: tuple[int, int, int]  # (N, C, D) of the whole
    blocks: Iterable[NDArray[np.float16]]


@dataclass(frozen=True)
class StreamedVideo:
    """A video in blocks by modality, which `write_pack` accepts like `VideoFeatures`."""

    streams: Mapping[str, SnippetBlocks]
    # Called after all blocks were read, since the digest of a source is known only then.
    meta: Callable[[], VideoMeta]


class PackFit:
    """The checks that all videos of one pack fit the recipe and have equal dimensions."""

    def __init__(self, recipe: AnyRecipe) -> None:
        self.recipe = recipe
        self.widths: dict[str, int] = {}

    def check(self, meta: VideoMeta, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Compare modalities and shapes (N, C, D) with those of the recipe. Raises PackError."""
        if set(shapes) != set(self.recipe.streams):
            found = ", ".join(map(shown, sorted(shapes))) or "none"
            wanted = ", ".join(map(repr, self.recipe.streams))
            raise PackError(f"it has modalities {found}; the recipe needs {wanted}")
        try:
            snippets = self.recipe.snippet_count(meta.frames, meta.fps)
        except InputError as error:
            raise PackError(str(error)) from error
        if snippets == 0:
            raise PackError(
                f"{meta.frames} frames are too few for one snippet of this recipe "
                f"({self.recipe.snippet_frames})"
            )
        if snippets is None:  # imported features: any number, but equal in all modalities
            snippets = next(iter(shapes.values()))[0]
        for stream, (count, crops, width) in shapes.items():
            if count != snippets:
                raise PackError(
                    f"{stream} must have {snippets} snippets for {meta.frames} frames, got {count}"
                )
            if crops != self.recipe.crop_count:
                raise PackError(
                    f"{stream} must have {self.recipe.crop_count} crops as in the recipe, got "
                    f"{crops}"
                )
            if width == 0 or self.widths.setdefault(stream, width) != width:
                usual = f"{self.widths[stream]} as in other videos" if width else "at least 1"
                raise PackError(f"{stream} must have dimension {usual}, got {width}")


def block_snippets(crops: int, width: int) -> int:
    """Return the number of snippets per block for C crops and dimension D: whole chunks, ~4 MiB."""
    chunk = CHUNK_SNIPPETS * crops * width * 2
    return max(1, BLOCK_BYTES // chunk) * CHUNK_SNIPPETS


def stored_snippets(snippets: int) -> int:
    """Return the number of snippets that a file has room for: the last chunk is stored whole."""
    return (
        snippets if snippets < CHUNK_SNIPPETS else -(-snippets // CHUNK_SNIPPETS) * CHUNK_SNIPPETS
    )


def array_blocks(array: NDArray[np.float16]) -> SnippetBlocks:
    """Return features that are in memory, (N, C, D), as blocks."""
    rows = block_snippets(*array.shape[1:])
    blocks = (array[start : start + rows] for start in range(0, len(array), rows))
    return SnippetBlocks(array.shape, blocks)


def all_finite(array: NDArray[np.float16]) -> bool:
    """Return `np.isfinite(array).all()`, but faster: NaN and infinity have all exponent bits."""
    return int((array.view(np.uint16) & 0x7FFF).max()) < 0x7C00


def check_finite(stream: str, array: NDArray[np.float16]) -> None:
    """Raise PackError if features hold NaN or infinity."""
    if not all_finite(array):
        raise PackError(f"{stream} features hold NaN or infinity; they must be finite")


def raw_bytes(array: NDArray[np.float16]) -> memoryview:
    """Return the bytes that digests are computed from: C order, little-endian."""
    return np.ascontiguousarray(array, dtype="<f2").data.cast("B")
