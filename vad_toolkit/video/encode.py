"""H.264 encoding, for the demo, `vad doctor`, benchmarks and tests."""

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
    """Encode RGB frames as MP4, atomically, and return their number; InputError if there are none.

    The same frames give the same bytes with the same version of PyAV: one thread, no version
    strings, and no macroblock tree, with which x264's output differs once in some hundred runs
    (docs/LOG.md). There are no B-frames, as in most cameras, so the file needs no edit list, and
    frames are stored in display order.

    Args:
        path: File to write.
        frames: uint8 arrays (height, width, 3) of one size, with even sides.
        fps: Frames per second.
        crf: Constant rate factor of x264; lower is better.
    """
    options = {"crf": str(crf), "preset": "veryfast", "bf": "0", "threads": "1"}
    options["x264-params"] = "rc-lookahead=0:no-mbtree=1"
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
