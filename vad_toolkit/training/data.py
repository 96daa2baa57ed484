"""The training videos: a pack's features as segments, and a manifest's labels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vad_toolkit.core.array_cache import cached_array
from vad_toolkit.core.files import canonical_json, sha256_text
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.manifest import Entry, Manifest, read_manifest
from vad_toolkit.errors import ManifestError
from vad_toolkit.fit import pack_problems
from vad_toolkit.models.config import DataConfig
from vad_toolkit.models.early_fusion import check_streams, join, width
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import AnyRecipe

CACHE_FROM_BYTES = 256 << 20  # of features: fewer are read again faster than a file is worth
CACHE_VERSION = 1  # of how segments are made


@dataclass(frozen=True)
class TrainingSource:
    """A manifest and a pack that fit; no feature has been read.

    labels: (V,) int64, 0 normal, 1 abnormal, in the manifest's order.
    lengths: (V,) int64, segments of each video.
    """

    pack: Path
    config: DataConfig
    entries: tuple[Entry, ...]
    labels: Tensor
    lengths: Tensor
    crops: int
    width: int  # D
    recipe: AnyRecipe
    pack_sha256: str
    manifest_sha256: str
    feature_bytes: int  # in the pack

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the segments."""
        return np.dtype(self.config.storage)

    @property
    def is_large(self) -> bool:
        """Whether segments are kept in a file, to be made once."""
        return self.feature_bytes >= CACHE_FROM_BYTES

    @property
    def cache_key(self) -> str:
        """A name for everything that decides the segments."""
        parts = {
            "version": CACHE_VERSION,
            "pack": self.pack_sha256,
            "manifest": self.manifest_sha256,
            "segments": self.config.segments,
            "streams": self.config.streams,
            "storage": self.config.storage,
        }
        return sha256_text(canonical_json(parts))[:32]


@dataclass(frozen=True)
class TrainingSet:
    """All videos of a training manifest, in its order. `mapped`: they lie in a mapped file."""

    source: TrainingSource
    videos: VideoTensors
    mapped: bool


def open_training_source(pack: Path, manifest: Path, config: DataConfig) -> TrainingSource:
    """Check that manifest and pack fit, without reading features.

    Raises:
        ManifestError: the manifest cannot be read, has no normal or no abnormal video, or does not
            fit the pack.
        PackError: the pack cannot be used, or lacks a stream.
    """
    listed = read_manifest(manifest)
    for label, videos in (("normal", listed.normal), ("abnormal", listed.abnormal)):
        if not videos:
            raise ManifestError(f"{manifest} holds no {label} videos: training needs both kinds")
    with FeaturePack.open(pack) as opened:
        check_streams(opened, config.streams)
        _check(listed, manifest, opened)
        snippets = [opened.shape(entry.id)[0] for entry in listed]
        first = listed.entries[0].id
        crops, numbers = opened.shape(first)[1], width(opened, first, config.streams)
        return TrainingSource(
            pack=Path(pack),
            config=config,
            entries=listed.entries,
            labels=torch.tensor([entry.label for entry in listed]),
            lengths=torch.tensor(
                snippets if config.segments == "all" else [config.segments] * len(listed)
            ),
            crops=crops,
            width=numbers,
            recipe=opened.recipe,
            pack_sha256=opened.content_sha256,
            manifest_sha256=listed.sha256,
            feature_bytes=2 * sum(snippets) * crops * numbers,
        )


def read_training_set(source: TrainingSource, progress: ProgressCallback = silent) -> TrainingSet:
    """Every video once, its digest compared; or, for a large set, the file made the first time.

    Raises:
        PackError: a video is damaged; names it.
        VadError: the file cannot be written.
    """
    size = int(source.lengths.sum()) * source.crops * source.width

    def fill(flat: NDArray[Any]) -> None:
        start = 0
        for segments in _read(source, progress):
            flat[start : start + segments.size] = segments.reshape(-1)
            start += segments.size

    if source.is_large:
        flat = cached_array(source.cache_key, size, source.dtype, fill)
    else:
        flat = np.empty(size, source.dtype)
        fill(flat)
    videos = VideoTensors(torch.from_numpy(flat), source.lengths, source.crops, source.width)
    return TrainingSet(source, videos, mapped=source.is_large)


def load_training_set(
    pack: Path, manifest: Path, config: DataConfig, progress: ProgressCallback = silent
) -> TrainingSet:
    """`open_training_source`, then `read_training_set`."""
    return read_training_set(open_training_source(pack, manifest, config), progress)


def _check(listed: Manifest, path: Path, pack: FeaturePack) -> None:
    problems = pack_problems(listed, pack, needs_events=False)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ManifestError(f"{path} does not fit {pack.path}: {problems[0]}{more}")


def _read(
    source: TrainingSource, progress: ProgressCallback
) -> Iterator[NDArray[np.floating[Any]]]:
    """(C, L, D) of each video, L segments of it."""
    count = len(source.entries)
    with FeaturePack.open(source.pack) as pack:
        for i, entry in enumerate(source.entries):
            features = join(pack.video(entry.id).streams, source.config.streams)  # (N, C, D)
            if source.config.segments == "all":
                yield features.swapaxes(0, 1)
            else:
                yield segment_means(features, source.config.segments).swapaxes(0, 1)
            progress(ProgressEvent("read", i + 1, count, "videos", entry.id))


# A video of any length as T segments, each the mean of its snippets (Sultani et al., 2018).


def segment_edges(snippets: int, segments: int) -> NDArray[np.int64]:
    """The T + 1 edges floor(i * L / T).

    Segment i is [edge i, edge i+1), and the one snippet at edge i where that is empty. Whole
    numbers of 64 bits throughout: exact at any length.
    """
    return np.arange(segments + 1, dtype=np.int64) * snippets // segments


def segment_means(features: NDArray[np.floating], segments: int) -> NDArray[np.float32]:
    """Features (L, C, D), L >= 1 -> (T, C, D) float32, sums taken in float32."""
    edges = segment_edges(len(features), segments)
    means = np.empty((segments, *features.shape[1:]), dtype=np.float32)
    for i, (start, stop) in enumerate(itertools.pairwise(edges.tolist())):
        part = features[start : max(stop, start + 1)]
        np.mean(part, axis=0, dtype=np.float32, out=means[i])
    return means


# The videos of a training set as tensors, in memory, in a mapped file or on a GPU.

DEVICE_SHARE = 0.7  # of a GPU's free memory that the training set may fill


@dataclass(frozen=True)
class VideoTensors:
    """V videos of C crops and D numbers, video i of L_i segments, one after another in one buffer.

    flat: float16 or float32, (C * D * sum of L_i,): each video's (C, L_i, D), row by row.
    lengths: (V,) int64 on the CPU.
    """

    flat: Tensor
    lengths: Tensor
    crops: int
    width: int  # D

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def even(self) -> Tensor | None:
        """(V, C, T, D), where all videos have T segments."""
        if bool((self.lengths != self.lengths[0]).any()):
            return None
        return self.flat.view(len(self), self.crops, -1, self.width)

    @cached_property
    def _starts(self) -> list[int]:
        ends = self.lengths.cumsum(0) * (self.crops * self.width)
        return [0, *ends.tolist()]

    def video(self, index: int) -> Tensor:
        """(C, L, D) of one video, no copy."""
        start, stop = self._starts[index], self._starts[index + 1]
        return self.flat[start:stop].view(self.crops, -1, self.width)

    def place(self, device: torch.device) -> VideoTensors:
        """The same on a GPU where it fits beside the model, else where it is."""
        if device.type != "cuda":
            return self
        free, _ = torch.cuda.mem_get_info(device)
        if self.flat.nbytes >= DEVICE_SHARE * free:
            return self
        return VideoTensors(self.flat.to(device), self.lengths, self.crops, self.width)

    def gather(self, videos: Tensor, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """A batch of videos on `device`, in the type they are stored in.

        Args:
            videos: (n,) int64 on the CPU.

        Returns:
            x: (n, C, T, D), T that of the longest, zeros beyond a video's end; mask: (n, T) bool,
            True for real segments, or None where all are.
        """
        if self.even is not None:
            rows = _send(videos, self.even.device)
            return _send(self.even.index_select(0, rows), device), None
        lengths = self.lengths[videos]
        longest = int(lengths.max())
        x = self.flat.new_zeros(len(videos), self.crops, longest, self.width)
        for row, index in zip(x, videos.tolist(), strict=True):
            part = self.video(index)
            row[:, : part.shape[1]] = part
        mask = torch.arange(longest) < lengths[:, None]
        return _send(x, device), None if bool(mask.all()) else _send(mask, device)


def _send(x: Tensor, device: torch.device) -> Tensor:
    """`x` on `device`; from pinned memory to a GPU, so that nothing waits."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)
