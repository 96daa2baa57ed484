"""Feature extraction on one device: frames cross to it once, as uint8, and all else happens there.

Several videos are in progress at once, because decoders run ahead and snippets of different videos
share a batch. The features of a video do not depend on that.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from vad_toolkit.backbones.backbone import Backbone
from vad_toolkit.backbones.inception_i3d import InceptionI3D
from vad_toolkit.backbones.inception_overlap import OverlapInceptionI3D
from vad_toolkit.backbones.registry import Stream
from vad_toolkit.core.device import keep_freed_memory, pick_device, tensor_float32, why_no_kernels
from vad_toolkit.errors import DecodeError, InputError, VadError
from vad_toolkit.extraction.batches import (
    CPU_CLIPS,
    CPU_CROPS,
    WHOLE_CROPS,
    Batcher,
    find_batch,
    time_passes,
)
from vad_toolkit.extraction.decoding import DecodeAhead, Ended, Failed, Frames, Opened
from vad_toolkit.extraction.in_progress import Extracted, VideoInProgress
from vad_toolkit.extraction.modalities import ClipStream, FlowClips, RgbClips
from vad_toolkit.extraction.resize import resize_frames
from vad_toolkit.extraction.snippets import FrameTaker
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.flow.estimator import FlowEstimator
from vad_toolkit.flow.registry import load_flow
from vad_toolkit.packs.video import VideoFeatures
from vad_toolkit.recipes.recipe import Recipe
from vad_toolkit.video.reader import VideoInfo
from vad_toolkit.video.registry import check_options
from vad_toolkit.weights.store import load_backbone

DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}

OnFrames = Callable[[VideoSource, int, int], None]  # video, frames decoded, frames reported
# Yields the features of videos as they are finished, in any order, each video once.
Engine = Callable[[Sequence[VideoSource], OnFrames], Generator[Extracted, None, None]]


class ExtractorOptions(TypedDict, total=False):
    """Keyword arguments of `Extractor` that other functions pass on to it."""

    decoder: str
    timeout_seconds: float
    decode_jobs: int | None
    batch_size: int | None
    allow_damaged: int


class ExtractionOptions(ExtractorOptions, total=False):
    """Keyword arguments of `extract_pack` that change the cost of an extraction."""

    device: str
    shard: str | None
    engine: str


class Extractor:
    """The networks of one recipe on one device.

    On a CPU the process keeps freed memory from then on (`keep_freed_memory`).

    Args:
        recipe: The recipe of the features.
        device: "auto", "cpu", "cuda" or "cuda:N".
        decoder, timeout_seconds, allow_damaged: As for `DecodeAhead`.
        decode_jobs: Decoder processes. If None, one on a CPU, one per core (up to 16) on a GPU.
        batch_size: Clips per forward pass. If None, two or five on a CPU, and the result of
            `find_batch` on a GPU. A network that takes whole snippets gets as many of them as have
            about that number of crops, at least one; if None, one on a CPU.

    Raises:
        InputError: If the device does not exist, or an option is not allowed.
        WeightsError: If the recipe's weights are not in the cache.
    """

    def __init__(
        self,
        recipe: Recipe,
        device: str = "auto",
        *,
        decoder: str = "auto",
        timeout_seconds: float = 60.0,
        decode_jobs: int | None = None,
        batch_size: int | None = None,
        allow_damaged: int = 0,
    ) -> None:
        check_options(decoder, allow_damaged)
        self.recipe = recipe
        self.device = pick_device(device)
        on_gpu = self.device.type == "cuda"
        if recipe.precision == "tf32" and not on_gpu:
            raise InputError("precision tf32 needs a CUDA device; use float32 or bfloat16 on a CPU")
        self.decode_jobs = decode_jobs or (min(16, os.cpu_count() or 1) if on_gpu else 1)
        self._decode = partial(
            DecodeAhead,
            jobs=self.decode_jobs,
            decoder=decoder,
            chunk_frames=recipe.snippet_frames,
            timeout_seconds=timeout_seconds,
            allow_damaged=allow_damaged,
            pinned=on_gpu,
        )
        self.dtype = DTYPES[recipe.precision]
        if not on_gpu:
            keep_freed_memory()
        # A GPU has three queues: copies of frames, their preparation, and the networks.
        self._copies: torch.cuda.Stream | None = None
        self._preparing: torch.cuda.Stream | None = None
        self._computing: torch.cuda.Stream | None = None
        if on_gpu:
            self._copies = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            self._preparing = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            self._computing = torch.cuda.current_stream(self.device)
        self._batch_size = batch_size
        self._whole: set[Stream] = set()  # modalities whose network takes whole snippets
        self.batchers = {stream: self._batcher(stream) for stream in recipe.streams}
        self._estimator: FlowEstimator | None = None
        if recipe.flow is not None:
            self._estimator = load_flow(recipe.flow.algorithm, self.device)

    def extract(self, path: Path) -> VideoFeatures:
        """Return the features of one video file or folder, float16 (N, C, D) per modality.

        Raises:
            DecodeError: If the video cannot be decoded, is damaged, or has too few frames.
            PackError: If its features are not finite, or too large for float16.
            OSError: If the file cannot be read.
        """
        (found,) = self.extract_many([VideoSource(path.name, path)])
        if found.error is not None:
            raise found.error
        assert found.features is not None
        return found.features

    @torch.inference_mode()
    def extract_many(
        self, videos: Iterable[VideoSource], on_frames: OnFrames | None = None
    ) -> Generator[Extracted, None, None]:
        """Yield the features of videos as they are finished, in about the order given.

        A video that cannot be used is one `Extracted` with its error, and the others continue.
        Closing the iterator ends the decoders.

        Args:
            videos: The videos. The next one is requested, in a thread, when a decoder is free.
            on_frames: Called with the video, its decoded frames and the frames that its container
                reports.
        """
        taken: list[VideoSource] = []

        def paths() -> Iterator[Path]:
            for video in videos:
                taken.append(video)
                yield video.path

        open_videos: dict[int, VideoInProgress] = {}
        failed: set[int] = set()  # reported once, even if a second decoder starts them again
        ended: deque[VideoInProgress] = deque()  # decoded, but not all features are computed
        with self._decode(paths()) as events:
            for event in events:
                if event.index in failed:
                    continue
                source = taken[event.index]
                try:
                    if isinstance(event, Opened):
                        open_videos[event.index] = self._begin(source, event.info)
                    elif isinstance(event, Failed):
                        raise event.error
                    elif isinstance(event, Frames):
                        video = open_videos[event.index]
                        self._push(video, event.frames)
                        if on_frames is not None:
                            on_frames(source, video.decoded, video.info.frames_reported)
                    else:
                        video = open_videos.pop(event.index)
                        self._finish(video, event)
                        ended.append(video)
                except (VadError, OSError) as error:
                    open_videos.pop(event.index, None)
                    failed.add(event.index)
                    yield Extracted(source, None, error)
                while ended and ended[0].is_on_host():
                    yield ended.popleft().result()
        for batcher in self.batchers.values():
            batcher.flush()
        for video in ended:
            yield video.result()

    def _batcher(self, stream: Stream) -> Batcher:
        network = load_backbone(
            self.recipe.weights[stream], self.device, self.dtype, self.recipe.backbone
        )
        tf32 = self.recipe.precision == "tf32"
        whole = whole_snippets(network, self.recipe)
        if whole is not None:
            self._whole.add(stream)

            def run(snippets: list[Tensor]) -> Tensor:
                with tensor_float32(tf32), self._on_computing(snippets):
                    return whole(snippets)

            crops = self._batch_size or (1 if self.device.type == "cpu" else WHOLE_CROPS)
            return Batcher(run, max(1, crops // self.recipe.crop_count))

        def features(clips: Tensor) -> Tensor:
            with tensor_float32(tf32):
                found: Tensor = network(clips.permute(0, 4, 1, 2, 3))
            return found.half()

        def stack_and_run(clips: list[Tensor]) -> Tensor:
            with self._on_computing(clips):
                return features(torch.stack(clips))

        size = self._batch_size
        if size is None and self.device.type == "cpu":
            size = CPU_CLIPS if self.recipe.crop_count % CPU_CROPS else CPU_CROPS
        elif size is None:
            crop = self.recipe.crop_size
            shape = (self.recipe.snippet_frames, crop, crop, network.channels)
            like = torch.empty(0, dtype=self.dtype, device=self.device)
            with torch.inference_mode():
                size = find_batch(time_passes(features, shape, like))
        return Batcher(stack_and_run, size)

    @contextmanager
    def _on_computing(self, clips: list[Tensor]) -> Iterator[None]:
        """Compute in the networks' queue when the clips are ready, while the next are prepared."""
        if self._computing is None or self._preparing is None:
            yield
            return
        self._computing.wait_stream(self._preparing)
        for clip in clips:
            clip.record_stream(self._computing)
        with torch.cuda.stream(self._computing):
            yield

    def _begin(self, source: VideoSource, info: VideoInfo) -> VideoInProgress:
        clips = {name: self.stream(name) for name in self.recipe.streams}
        fps = info.fps
        if self.recipe.frame_rate is not None:  # it must be known, perhaps from a manifest
            fps = fps or source.fps or 0.0
        taker = FrameTaker(self.recipe, fps)
        return VideoInProgress(source, info, fps, self.recipe, taker, clips)

    def stream(self, name: Stream) -> ClipStream:
        """Return the cutter of one video's frames into clips of a modality."""
        whole = name in self._whole
        if name == "rgb":
            return RgbClips(self.recipe, self.dtype, whole=whole)
        assert self._estimator is not None
        return FlowClips(self.recipe, self.dtype, self._estimator, whole=whole)

    def _push(self, video: VideoInProgress, frames: Tensor) -> None:
        video.decoded += len(frames)
        with torch.cuda.stream(self._preparing):  # on a CPU, None: no effect
            on_device = self._upload(video.taker.take(frames))
            if not len(on_device):
                return
            resized = resize_frames(on_device, self.recipe.resize, self.recipe.resize_method)
            for stream, clips in video.clips.items():
                self._add(video, stream, clips.push(resized))

    def _upload(self, frames: Tensor) -> Tensor:
        """Copy frames to the device during computation, which waits only for this copy."""
        if self._copies is None:
            return frames
        current = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._copies):
            on_device = frames.to(self.device, non_blocking=True)
        current.wait_stream(self._copies)
        on_device.record_stream(current)
        return on_device

    def _finish(self, video: VideoInProgress, event: Ended) -> None:
        with torch.cuda.stream(self._preparing):
            for stream, clips in video.clips.items():
                self._add(video, stream, clips.finish())
        video.ended = event
        if not any(video.requested.values()):
            raise DecodeError(
                f"{video.source.path} has {event.stats.frames_decoded} frames, too few for one "
                f"snippet of this recipe ({self.recipe.snippet_frames} frames, tail rule "
                f"{self.recipe.tail!r})"
            )

    def _add(self, video: VideoInProgress, stream: Stream, clips: Iterator[Tensor]) -> None:
        for clip in clips:
            video.requested[stream] += 1
            self.batchers[stream].add(clip, video.rows[stream].append)


MakeExtractor = Callable[[str], Extractor]  # of a device


def whole_snippets(
    network: Backbone, recipe: Recipe
) -> Callable[[Sequence[Tensor]], Tensor] | None:
    """Return the form of a network that takes whole snippets and cuts the crops itself.

    Returns:
        A function of snippets, or None if there is none for this network, recipe and device: on a
        GPU, float32 uses PyTorch's own convolutions.
    """
    if not isinstance(network, InceptionI3D):
        return None
    device = next(network.parameters()).device
    if device.type == "cpu" and recipe.crop_count > 1:
        return OverlapInceptionI3D(network, recipe.crop_order, recipe.crop_size)
    even = recipe.crop_size % 2 == recipe.snippet_frames % 2 == 0
    if recipe.precision != "float32" and even and why_no_kernels(device) is None:
        # Imported here because Triton may be missing without a CUDA device.
        from vad_toolkit.backbones.inception_gpu import GpuInceptionI3D

        return GpuInceptionI3D(network, recipe.crop_order, recipe.crop_size)
    return None
