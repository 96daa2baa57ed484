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


@dataclass(frozen=True)
class Extracted:
    """One video's features, or why there are none."""

    source: VideoSource
    features: VideoFeatures | None
    error: Exception | None


@dataclass
class _Video:
    """A video in hand."""

    source: VideoSource
    info: VideoInfo
    fps: float
    recipe: Recipe
    taker: FrameTaker
    clips: dict[Stream, ClipStream]
    decoded: int = 0
    ended: Ended | None = None
    asked: dict[Stream, int] = field(default_factory=dict)  # clips given to the networks
    rows: dict[Stream, Rows] = field(default_factory=dict)  # features, as they come
    host: dict[Stream, Tensor] = field(default_factory=dict)  # (N, C, D), being copied from a GPU
    copied: torch.cuda.Event | None = None

    def __post_init__(self) -> None:
        self.asked = dict.fromkeys(self.clips, 0)
        self.rows = {stream: Rows() for stream in self.clips}

    def is_on_host(self) -> bool:
        """Whether all features are there; once they are made, their copy begins."""
        if not self.host:
            if any(len(self.rows[stream]) < count for stream, count in self.asked.items()):
                return False
            self._copy()
        return self.copied is None or self.copied.query()  # type: ignore[no-untyped-call]

    def _copy(self) -> None:
        """Begin to copy from a GPU, which goes on with other videos: nothing waits for it here."""
        for stream, rows in self.rows.items():
            flat = rows.joined()  # (N * C, D), or (N, C, D) of whole snippets
            made = flat.reshape(-1, self.recipe.crop_count, flat.shape[-1])
            if made.is_cuda:
                pinned = torch.empty(made.shape, dtype=made.dtype, pin_memory=True)
                made = pinned.copy_(made, non_blocking=True)
                self.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
                self.copied.record(torch.cuda.current_stream(flat.device))
            self.host[stream] = made
        self.rows.clear()

    def result(self) -> Extracted:
        """The features, or what keeps them from being any."""
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
                streams={stream: made.numpy() for stream, made in self.host.items()},
            )
        except PackError as error:
            return Extracted(self.source, None, PackError(f"{self.source.path}: {error}"))
        return Extracted(self.source, features, None)


FIRST_ROWS = 256


class Rows:
    """Rows of features, one after the other: tensors of one shape and type.

    On a GPU a row stays what it is, a view of what its batch made. On a CPU rows are copied into
    memory outside of the heap. The heap keeps what is freed (`device.keep_freed_memory`), for the
    tensors of the next pass; rows that stay in the middle of it divide that memory into parts too
    small for them, and it grows for as long as the video lasts (docs/LOG.md).
    """

    def __init__(self) -> None:
        self._on_gpu: list[Tensor] = []
        self._on_cpu: Tensor | None = None  # the system gives its pages as they are written to
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: Tensor) -> None:
        """Add a row; on a CPU it may change afterwards."""
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
        """All rows, (rows, ...), on a CPU without a copy; at least one has to be there."""
        if self._on_cpu is not None:
            return self._on_cpu[: self._count]
        return torch.stack(self._on_gpu)


def _outside_of_the_heap(rows: int, like: Tensor) -> Tensor:
    memory = mmap.mmap(-1, rows * like.nbytes)
    return torch.frombuffer(memory, dtype=like.dtype).view(rows, *like.shape)
