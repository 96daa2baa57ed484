"""Frames to an H.264 file, for the demo, the doctor, benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import atomic_path
from vad_toolkit.errors import InputError


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: int, crf: int = 20) -> int:
    """Encode RGB frames (height, width, 3), sides even, as MP4, atomically; gives their count.

    The same frames give the same bytes with the same version of PyAV: one thread, no version
    strings, and no macroblock tree, with which x264 gives other bytes once in some hundred times
    (docs/LOG.md). There are no B-frames, as in most cameras: the file then needs no edit list, and
    frames are stored in the order in which they are seen.

    Raises:
        InputError: no frame at all.
    """
    options = {
        "crf": str(crf),
        "preset": "veryfast",
        "bf": "0",
        "threads": "1",
        "x264-params": "rc-lookahead=0:no-mbtree=1",
    }
    count = 0
    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream("libx264", rate=Fraction(fps), options=options)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for image in frames:
            if count == 0:
                stream.height, stream.width = image.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            count += 1
        if count == 0:
            raise InputError(f"no frames to encode into {path}")
        container.mux(stream.encode(None))
    return count


def repeat_video(source: Path, target: Path, times: int) -> int:
    """Write an MP4 that shows the video of `source` (`write_video`) `times` over; gives its frames.

    Its packets are copied, so that hours of video take seconds. Atomic.

    Raises:
        InputError: `times` is below 1.
    """
    if times < 1:
        raise InputError(f"{times} times; allowed: 1 or more")
    with (
        av.open(str(source)) as read,
        atomic_path(target) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"fflags": "+bitexact"}) as container,
    ):
        copied = container.add_stream_from_template(read.streams.video[0])
        packets = [packet for packet in read.demux(video=0) if packet.size]
        step = packets[0].duration or 1
        for turn in range(times):
            for number, packet in enumerate(packets):
                again = av.Packet(bytes(packet))
                again.pts = again.dts = (turn * len(packets) + number) * step
                again.duration, again.time_base = step, packet.time_base
                again.is_keyframe = packet.is_keyframe
                again.stream = copied
                container.mux(again)
    return times * len(packets)
