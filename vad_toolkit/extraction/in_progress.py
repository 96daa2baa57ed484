"""A video in progress: its features as they arrive, kept until the video ends."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vad_toolkit.backbones.registry import Stream
from vad_toolkit.errors import PackError
from vad_toolkit.extraction.decoding import Ended
from vad_toolkit.extraction.modalities import ClipStream
from vad_toolkit.extraction.snippets import FrameTaker
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.recipes.recipe import Recipe
from vad_toolkit.video.reader import VideoInfo

FIRST_ROWS = 256


@dataclass(frozen=True)
class Extracted:
    """The features of one video, or the error that prevented them."""

    source: VideoSource
    features: VideoFeatures | None
    error: Exception | None


@dataclass
class VideoInProgress:
    """A video between its first frame and its features.

    Attributes:
        decoded: Frames so far.
        ended: The end of its frames, or None while it is decoded.
        requested: Clips given to the networks so far, by modality.
        rows: Features that the networks have returned, by modality.
        host: Features (N, C, D) in host memory, or being copied there, by modality.
    """

    source: VideoSource
    info: VideoInfo
    fps: float
    recipe: Recipe
    taker: FrameTaker
    clips: dict[Stream, ClipStream]
    decoded: int = 0
    ended: Ended | None = None
    requested: dict[Stream, int] = field(default_factory=dict)
    rows: dict[Stream, Rows] = field(default_factory=dict)
    host: dict[Stream, Tensor] = field(default_factory=dict)
    copied: torch.cuda.Event | None = None

    def __post_init__(self) -> None:
        self.requested = dict.fromkeys(self.clips, 0)
        self.rows = {stream: Rows() for stream in self.clips}

    def is_on_host(self) -> bool:
        """Return True if all features are in host memory; start their copy when they are ready."""
        if not self.host:
            if any(len(self.rows[stream]) < count for stream, count in self.requested.items()):
                return False
            self._copy()
        return self.copied is None or self.copied.query()  # type: ignore[no-untyped-call]

    def _copy(self) -> None:
        """Start the copy from a GPU, which continues with other videos meanwhile."""
        for stream, rows in self.rows.items():
            flat = rows.joined()  # (N * C, D), or (N, C, D) of whole snippets
            features = flat.reshape(-1, self.recipe.crop_count, flat.shape[-1])
            if features.is_cuda:
                pinned = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
                features = pinned.copy_(features, non_blocking=True)
                self.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
                self.copied.record(torch.cuda.current_stream(flat.device))
            self.host[stream] = features
        self.rows.clear()

    def result(self) -> Extracted:
        """Wait for the features, and return them or the error that prevents them."""
        assert self.ended is not None
        self.is_on_host()
        if self.copied is not None:
            self.copied.synchronize()
        stats = self.ended.stats
        try:
            features = VideoFeatures(
                meta=VideoMeta(
                    frames=stats.frames_decoded,
                    frames_reported=stats.frames_reported,
                    frames_duplicated=stats.frames_duplicated,
                    fps=self.fps,
                    width=self.info.width,
                    height=self.info.height,
                    source_sha256=self.ended.source_sha256,
                    decoder=self.info.decoder,
                    decoder_version=self.info.decoder_version,
                ),
                streams={stream: rows.numpy() for stream, rows in self.host.items()},
            )
        except PackError as error:
            return Extracted(self.source, None, PackError(f"{self.source.path}: {error}"))
        return Extracted(self.source, features, None)


class Rows:
    """Rows of features in order: tensors of one shape and dtype.

    On a GPU a row stays a view of its batch's result. On a CPU rows are copied into memory outside
    of the heap. The heap keeps freed memory for the tensors of the next pass
    (`device.keep_freed_memory`); rows kept inside it would split that memory into pieces too small
    for them, and the heap would grow for as long as the video lasts (docs/LOG.md).
    """

    def __init__(self) -> None:
        self._on_gpu: list[Tensor] = []
        self._on_cpu: Tensor | None = None  # the system provides its pages on the first write
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: Tensor) -> None:
        """Add a row. On a CPU the tensor may be changed afterwards."""
        if row.is_cuda:
            self._on_gpu.append(row)
        else:
            if self._on_cpu is None:
                self._on_cpu = _outside_of_the_heap(FIRST_ROWS, row)
            elif self._count == len(self._on_cpu):
                larger = _outside_of_the_heap(2 * self._count, row)
                larger[: self._count] = self._on_cpu
                self._on_cpu = larger
            self._on_cpu[self._count] = row
        self._count += 1

    def joined(self) -> Tensor:
        """Return all rows, at least one, as one tensor (rows, ...); on a CPU without a copy."""
        if self._on_cpu is not None:
            return self._on_cpu[: self._count]
        return torch.stack(self._on_gpu)


def _outside_of_the_heap(rows: int, like: Tensor) -> Tensor:
    memory = mmap.mmap(-1, rows * like.nbytes)
    return torch.frombuffer(memory, dtype=like.dtype).view(rows, *like.shape)
