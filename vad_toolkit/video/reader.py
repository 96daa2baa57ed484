"""Frames of a video, forward only: the interface of the decoders, and the choice between them.

A folder of frames is read by Pillow, and by nothing else. Of files, PyAV reads what Decord reads
wrongly, not at all, or without a word of damaged pictures, and what it would hold in memory whole:
see `choose_decoder` and docs/decode.md, which has the measurements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DecodeError, InputError
from .probe import FRAMES, ContainerFacts, probe

DECODERS = ("auto", "decord", "pyav")

# Where Decord gave every frame, bit for bit, when read in sequence. Not among them: AVI, where the
# decoders differ after damage, MPEG-TS, of which it gives no frame at all, GIF, which it refuses.
DECORD_CONTAINERS = ("mov", "matroska", "flv", "asf", "mpeg")

# Of other codecs (H.264, MPEG-4 and their kin), FFmpeg repairs damaged pictures with parts of
# others. PyAV tells which; Decord hands them out as if they were whole, and of HEVC even pictures
# that are not there.
DECORD_CODECS = ("vp8", "vp9", "mjpeg", "ffv1")

# Decord decodes ahead of an idle consumer up to the end of the file, so that this many bytes of
# frames are what it may hold. Longer videos go to PyAV, which is as fast and holds one frame.
DECORD_MEMORY_LIMIT = 1 << 30


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before its frames.

    `width`, `height`: in pixels as displayed, rotation applied. `rotation`: degrees clockwise that
    were applied. `fps`: average, 0.0 where unknown. `frames_reported`: by the container, 0 where it
    names none. `decoder`: "decord", "pyav", or "pillow" for a folder of frames.
    """

    path: Path
    width: int
    height: int
    fps: float
    frames_reported: int
    container: str
    codec: str
    rotation: int
    decoder: str
    decoder_version: str


@dataclass(frozen=True)
class DecodeStats:
    """Frames counted while decoding.

    `frames_decoded`: handed out, copies among them. `frames_reported`: by the container, 0 where it
    names none. `frames_duplicated`: copies in the place of lost frames. `frames_missing`: lost
    after the last good frame, with nothing in their place. The last two together are no more than
    `allow_damaged` allows.
    """

    frames_decoded: int
    frames_reported: int
    frames_duplicated: int
    frames_missing: int = 0


class VideoReader(Protocol):
    """A video that is read once, from its first frame to its last."""

    info: VideoInfo

    @property
    def stats(self) -> DecodeStats:
        """Counts; final once `chunks` has ended."""

    def chunks(self, size: int) -> Iterator[NDArray[np.uint8]]:
        """Yield arrays (n, height, width, 3) of RGB frames, 1 <= n <= size, in display order.

        Only the last may be shorter than `size`. Can be called once. Raises DecodeError when frames
        are lost, at the end or before; what was yielded until then is not the whole video.
        """

    def close(self) -> None:
        """Free the decoder. Twice is harmless."""


def open_video(path: Path, decoder: str = "auto", allow_damaged: int = 0) -> VideoReader:
    """Open a video in this process; `worker.DecodeWorker` does the same in one that can be killed.

    With "auto", Decord is left for PyAV when it cannot open the file. Once it has given frames it
    is not left: the DecodeError then has `retry="pyav"`, and the caller reads again from the start.

    `allow_damaged`: how many lost frames are accepted in a file; "auto" then takes PyAV. Those with
    a good frame after them are replaced by copies, each of the frame before it (at the very start:
    after it), so that no other frame is shifted; what is lost at the end is left away. `stats`
    counts both.

    Raises InputError for wrong values, DecodeError for a file that cannot be decoded.
    """
    check_options(decoder, allow_damaged)
    facts = probe(path)
    chosen = choose_decoder(facts, allow_damaged) if decoder == "auto" else decoder
    if facts.container == FRAMES:
        if decoder != "auto":
            raise DecodeError(f"{path}: {decoder} reads no folder of frames; use the decoder auto")
        from .pillow_backend import PillowReader

        return PillowReader(facts)
    if chosen == "decord":
        from .decord_backend import DecordReader

        try:
            return DecordReader(facts, retry="pyav" if decoder == "auto" else None)
        except DecodeError as error:
            if error.retry is None:
                raise
    from .pyav_backend import PyAVReader

    return PyAVReader(facts, allow_damaged)


def check_options(decoder: str, allow_damaged: int) -> None:
    """Raise InputError where `decoder` is none of DECODERS, or cannot do what is asked of it."""
    if decoder not in DECODERS:
        raise InputError(f"unknown decoder {decoder!r}; allowed: {', '.join(DECODERS)}")
    if allow_damaged < 0:
        raise InputError(f"{allow_damaged} damaged frames; allowed: 0 or more")
    if allow_damaged and decoder == "decord":
        raise InputError("Decord cannot go on after a lost frame; use the decoder auto or pyav")


def choose_decoder(facts: ContainerFacts, allow_damaged: int = 0) -> str:
    """Name the decoder that "auto" starts with: "decord", "pyav" or "pillow"."""
    if facts.container == FRAMES:
        return "pillow"
    if allow_damaged or facts.structure.damage:
        return "pyav"
    is_known = facts.codec in DECORD_CODECS and facts.has_container(*DECORD_CONTAINERS)
    if facts.cut or not is_known:
        return "pyav"
    frames = facts.frames_estimated
    if frames == 0 or decord_bytes(facts, frames) > DECORD_MEMORY_LIMIT:
        return "pyav"
    return "decord"


def decord_bytes(facts: ContainerFacts, frames: int) -> int:
    """Bytes that Decord may come to hold for an idle consumer: every frame, in RGB."""
    return frames * facts.width * facts.height * 3


def info_of(facts: ContainerFacts, decoder: str, decoder_version: str) -> VideoInfo:
    """Join the facts of a container to the decoder that reads it."""
    width, height = facts.upright_size
    return VideoInfo(
        path=facts.path,
        width=width,
        height=height,
        fps=facts.fps,
        frames_reported=facts.frames_reported,
        container=facts.container,
        codec=facts.codec,
        rotation=facts.rotation,
        decoder=decoder,
        decoder_version=decoder_version,
    )


def new_chunk(size: int, info: VideoInfo) -> NDArray[np.uint8]:
    """An array for `size` frames, not yet filled."""
    if size < 1:
        raise InputError(f"a chunk of {size} frames; allowed: 1 or more")
    return np.empty((size, info.height, info.width, 3), dtype=np.uint8)
