"""Small videos made by code: every kind of file that a decoder can stumble over."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.video.worker import DecodeWorker

FPS = 25
FILLER = bytes((0, 0, 0, 2, 12, 128))  # an H.264 unit of stuffing, behind its length
CODE_BITS = 10  # of a frame's number, drawn as blocks
BLOCK = 16  # pixels; large enough to survive any encoder
MakeVideo = Callable[..., Path]


def draw(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """A picture that no other index gives: a gradient that moves, and a white square."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (x * 2 + index * 3, y * 2 + index * 5, x + y + index * 7)
    pixels = np.stack(channels, axis=-1).astype(np.uint8)
    left = index * 4 % (width - 16)
    pixels[8:24, left : left + 16] = 255
    return pixels


def draw_number(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """`draw`, with the number `index` on it: a white block for each bit that is set, then the same
    bits inverted. 96x96 leaves the lower third to the gradient."""
    pixels = draw(index, width, height)
    for place, bit in enumerate(_code(index)):
        top, left = (BLOCK * part for part in divmod(place, width // BLOCK))
        pixels[top : top + BLOCK, left : left + BLOCK] = 255 * bit
    return pixels


def read_number(pixels: NDArray[np.uint8]) -> int | None:
    """The number that `draw_number` drew; None where the bits do not agree with the inverted."""
    bits = []
    for place in range(2 * CODE_BITS):
        top, left = (BLOCK * part + 4 for part in divmod(place, pixels.shape[1] // BLOCK))
        bits.append(bool(pixels[top : top + 8, left : left + 8].mean() > 127))
    number = sum(bit << place for place, bit in enumerate(bits[:CODE_BITS]))
    return number if bits == _code(number) else None


def _code(number: int) -> list[bool]:
    bits = [bool(number >> place & 1) for place in range(CODE_BITS)]
    return bits + [not bit for bit in bits]


@pytest.fixture(scope="session")
def numbers_of() -> Callable[[NDArray[np.uint8]], list[int | None]]:
    """The function that reads the numbers in frames (n, height, width, 3) of a numbered video."""
    return lambda frames: [read_number(pixels) for pixels in frames]


@pytest.fixture(scope="session")
def make_numbered(make_video: MakeVideo) -> MakeVideo:
    """`make_video` with frames of 96x96 that have their numbers drawn in them."""
    return functools.partial(make_video, sizes=((96, 96),), drawing=draw_number)


@pytest.fixture(scope="session")
def picture() -> Callable[[int, int, int], NDArray[np.uint8]]:
    """The function that draws frame `index` of every video made here: (index, width, height)."""
    return draw


@pytest.fixture(scope="session")
def make_video(tmp_path_factory: pytest.TempPathFactory) -> MakeVideo:
    """Write a video and return its path: `make_video("a.mp4", codec="libx264", frames=40, ...)`.

    `sizes`: (width, height) of one part after the other, `frames` each. `times`: milliseconds at
    which the frames are shown, for a varying rate. `rotation`: degrees clockwise to upright.
    """

    def make(
        name: str,
        codec: str = "libx264",
        frames: int = 40,
        sizes: Sequence[tuple[int, int]] = ((96, 64),),
        pixels: str = "yuv420p",
        codec_options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
        times: Sequence[int] | None = None,
        rotation: int = 0,
        drawing: Callable[[int, int, int], NDArray[np.uint8]] = draw,
    ) -> Path:
        path = tmp_path_factory.mktemp("videos") / name
        with av.open(str(path), "w", options=container_options or {}) as container:
            stream: Any = container.add_stream(codec, rate=FPS)
            if rotation:
                stream.set_display_rotation(-rotation)
            time_base = Fraction(1, 1000 if times else FPS)
            encoder = stream.codec_context
            position = 0
            for part, (width, height) in enumerate(sizes):
                if part:
                    encoder = av.CodecContext.create(codec, "w")
                encoder.width, encoder.height, encoder.pix_fmt = width, height, pixels
                encoder.time_base, encoder.framerate = time_base, FPS
                encoder.options = codec_options or {}
                packets = []
                for index in range(frames):
                    frame = av.VideoFrame.from_ndarray(drawing(index, width, height), "rgb24")
                    frame.pts = times[index] if times else index
                    frame.time_base = time_base
                    packets += encoder.encode(frame)
                for packet in packets + encoder.encode(None):
                    if len(sizes) > 1:
                        packet.pts = packet.dts = position
                        packet.time_base = time_base
                        position += 1
                    packet.stream = stream
                    container.mux(packet)
        return path

    return make


@pytest.fixture(scope="session")
def plain(make_video: MakeVideo) -> Path:
    """An MP4 with H.264 and B-frames, 40 frames of 96x64, its index in front of the data."""
    return make_video("plain.mp4", container_options={"movflags": "faststart"})


@pytest.fixture(scope="session")
def long(make_video: MakeVideo) -> Path:
    """90 frames of 160x120, more bytes than a socket holds; "auto" takes Decord for VP9."""
    options = {"deadline": "realtime"}
    return make_video(
        "long.mp4", codec="libvpx-vp9", frames=90, sizes=[(160, 120)], codec_options=options
    )


@pytest.fixture(scope="session")
def copy_packets(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Copy a video's packets without decoding, from key frame number `first_key` on; packets before
    `start` seconds are hidden by an edit list (MP4 only), as a cut by stream copy leaves them.
    Packets in `blank`, by position, keep their time but hold no picture (H.264 in Matroska)."""

    def copy(
        source: Path,
        name: str,
        first_key: int = 1,
        start: Fraction = Fraction(0),
        blank: Sequence[int] = (),
    ) -> Path:
        path = tmp_path_factory.mktemp("copies") / name
        keys = 0
        with av.open(str(source)) as read, av.open(str(path), "w") as written:
            stream = read.streams.video[0]
            copied = written.add_stream_from_template(stream)
            shift = int(start / stream.time_base)
            for position, packet in enumerate(read.demux(stream)):
                if not packet.size:
                    continue
                if position in blank:
                    times = packet.pts, packet.dts, packet.time_base
                    packet = av.Packet(FILLER)
                    packet.pts, packet.dts, packet.time_base = times
                keys += packet.is_keyframe
                if keys >= first_key:
                    packet.pts -= shift
                    packet.dts -= shift
                    packet.stream = copied
                    written.mux(packet)
        return path

    return copy


@pytest.fixture
def worker() -> Iterator[DecodeWorker]:
    """A worker that waits long enough for a loaded machine."""
    with DecodeWorker(timeout_seconds=60) as worker:
        yield worker
