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

from vad_toolkit.errors import InputError
from vad_toolkit.video.probe import ContainerFacts


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
