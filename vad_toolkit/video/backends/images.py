"""Image backend: a folder of numbered images as a video, decoded by several threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from vad_toolkit.video.image import read_image
from vad_toolkit.video.paths import list_frames
from vad_toolkit.video.probe import ContainerFacts
from vad_toolkit.video.reader import Decoder, VideoReader, info_of

DECODE_THREADS = 4  # or the number of cores, if that is less
READ_AHEAD_FRAMES = 8
READ_AHEAD_BYTES = 1 << 28  # of pixels; a larger frame is read alone


class PillowReader(VideoReader):
    """A `VideoReader` on a folder of frames. Pillow decodes without Python's global lock."""

    def __init__(self, facts: ContainerFacts, allow_damaged: int = 0) -> None:
        super().__init__(info_of(facts, "pillow", PIL.__version__))
        self._paths = [facts.path / name for name in list_frames(facts.path)]
        self._pool = ThreadPoolExecutor(min(DECODE_THREADS, os.cpu_count() or 1))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        frame_bytes = self.info.width * self.info.height * 3
        ahead = max(1, min(READ_AHEAD_FRAMES, READ_AHEAD_BYTES // frame_bytes))
        waiting: deque[Future[NDArray[np.uint8]]] = deque()
        for path in self._paths:
            waiting.append(self._pool.submit(_pixels, path))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _name_frame(self, index: int) -> str:
        return f"{self._paths[index]}:"


def _pixels(path: Path) -> NDArray[np.uint8]:
    return read_image(path).pixels


# Lost frames are never accepted in a folder, whatever `allow_damaged` says.
PILLOW = Decoder(open=PillowReader, suits=lambda facts, allow_damaged: True, reads="folder")
