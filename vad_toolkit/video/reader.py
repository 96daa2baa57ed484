"""Base of the decoders; `vad_toolkit.video.backends` has them, `registry.DECODERS` names them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.probe import ContainerFacts


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video that are known before its first frame."""

    path: Path
    width: int  # pixels, after rotation
    height: int
    fps: float  # average frame rate, 0.0 if unknown
    frames_reported: int  # number of frames that the container states, 0 if none
    container: str
    codec: str
    rotation: int  # degrees clockwise that were applied
    decoder: str  # name of the decoder, as packs store it
    decoder_version: str


@dataclass(frozen=True)
class DecodeStats:
    """Frame counts of one decoding. The sum of the last two is at most `allow_damaged`."""

    frames_decoded: int  # frames that were returned, including copies
    frames_reported: int  # number of frames that the container states, 0 if none
    frames_duplicated: int  # copies that replace lost frames
    frames_missing: int = 0  # frames lost after the last good one, which nothing replaces


class VideoReader(ABC):
    """A video that is read once, from its first frame to its last. Decoders implement `_pictures`.

    `stats` are final when `chunks` has ended.
    """

    def __init__(self, info: VideoInfo) -> None:
        self.info = info
        self._returned = 0  # frames

    @property
    def stats(self) -> DecodeStats:
        return DecodeStats(self._returned, self.info.frames_reported, 0)

    def chunks(self, size: int) -> Iterator[NDArray[np.uint8]]:
        """Yield RGB frames (n, height, width, 3) in display order, 1 <= n <= `size`.

        Only the last chunk may be shorter than `size`. Can be called once. Raises DecodeError if
        frames are lost, even at the end; the chunks so far are then not the whole video.
        """
        if size < 1:
            raise InputError(f"a chunk must have at least 1 frame, got {size}")
        shape = (self.info.height, self.info.width, 3)
        chunk, filled = np.empty((size, *shape), np.uint8), 0
        for picture in self._pictures():
            if picture.shape != shape:
                raise DecodeError(
                    f"{self._name_frame(self._returned)} is {picture.shape[1]}x{picture.shape[0]}, "
                    f"but the first frame is {shape[1]}x{shape[0]}; all must have one size"
                )
            chunk[filled] = picture
            filled += 1
            self._returned += 1
            if filled == size:
                yield chunk
                chunk, filled = np.empty((size, *shape), np.uint8), 0
        if filled:
            yield chunk[:filled]

    def close(self) -> None:  # noqa: B027 - nothing to free, unless a decoder overrides it
        """Free the decoder. Closing twice is allowed."""

    @abstractmethod
    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames (height, width, 3), one after the other."""

    def _name_frame(self, index: int) -> str:
        """Return the name of a frame in an error message."""
        return f"{self.info.path}: frame {index}"


@dataclass(frozen=True)
class Decoder:
    """A way of decoding videos, as it is registered.

    Args:
        open: Function that returns the `VideoReader` of a video. It takes the facts of the
            container and `allow_damaged`, the number of lost frames to accept.
        suits: Function of the same arguments that returns whether "auto" may choose the decoder.
            The last registered decoder that suits a video is chosen. By default never.
        replaces_lost_frames: Whether `open` accepts an `allow_damaged` above 0.
        reads: Kind of video that `open` reads: a file, or a folder of numbered images.
    """

    open: Callable[[ContainerFacts, int], VideoReader]
    suits: Callable[[ContainerFacts, int], bool] = lambda facts, allow_damaged: False
    replaces_lost_frames: bool = False
    reads: Literal["file", "folder"] = "file"


def info_of(facts: ContainerFacts, decoder: str, decoder_version: str) -> VideoInfo:
    """Combine the facts of a container with the name and version of the decoder that reads it."""
    shown = (facts.path, *facts.upright_size, facts.fps, facts.frames_reported)
    return VideoInfo(*shown, facts.container, facts.codec, facts.rotation, decoder, decoder_version)
