"""The training set: a pack's features as segments, a manifest's labels, and batches of pairs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from vad_toolkit.datasets.length_rule import LengthRule, learn_length
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.errors import ManifestError
from vad_toolkit.fit import pack_problems
from vad_toolkit.models.config import DataConfig
from vad_toolkit.models.early_fusion import check_streams, join, width
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import AnyRecipe, Recipe

CACHE_FROM_BYTES = 256 << 20  # of features; fewer are read again quickly enough
CACHE_VERSION = 1  # of the algorithm that computes segments
DEVICE_SHARE = 0.7  # of a GPU's free memory that the training set may fill


@dataclass(frozen=True)
class TrainingSource:
    """A manifest and a pack that fit; no features have been read yet."""

    pack: Path
    config: DataConfig
    manifest: Manifest  # V videos
    labels: Tensor  # (V,) int64, 0 normal, 1 abnormal
    lengths: Tensor  # (V,) int64, segments of each video
    crops: int  # C
    width: int  # D, of all modalities together
    recipe: AnyRecipe
    pack_sha256: str
    feature_bytes: int  # of these videos, in the pack
    length_rule: LengthRule | None  # None if frames of a video are not known

    @property
    def is_large(self) -> bool:
        """True if segments are computed once and kept in a cache file."""
        return self.feature_bytes >= CACHE_FROM_BYTES

    @property
    def cache_key(self) -> str:
        """Digest of everything that decides the segments."""
        parts = {
            "version": CACHE_VERSION,
            "pack": self.pack_sha256,
            "manifest": self.manifest.sha256,
            **self.config.model_dump(include={"segments", "streams", "storage"}),
        }
        return sha256_text(canonical_json(parts))[:32]


def open_training_source(pack: Path, manifest: Manifest, config: DataConfig) -> TrainingSource:
    """Check that manifest and pack fit, without reading features.

    Raises:
        ManifestError: If the manifest has no normal or no abnormal videos, or does not fit the
            pack.
        PackError: If the pack is damaged or lacks a modality.
    """
    name = manifest.path or manifest.dataset
    for label, videos in (("normal", manifest.normal), ("abnormal", manifest.abnormal)):
        if not videos:
            raise ManifestError(f"{name} has no {label} videos; training needs both labels")
    with FeaturePack.open(pack) as opened:
        check_streams(opened, config.streams)
        problems = pack_problems(manifest, opened, needs_events=False)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise ManifestError(f"{name} does not fit {pack}: {problems[0]}{more}")
        snippets = [opened.shape(entry.id)[0] for entry in manifest]
        # Imported features may be of equal segments, whose number says nothing of the frames.
        extracted = isinstance(opened.recipe, Recipe)
        frames = [e.length or (opened.meta(e.id).frames if extracted else None) for e in manifest]
        first = manifest.entries[0].id
        crops, numbers = opened.shape(first)[1], width(opened, first, config.streams)
        segments = config.segments
        return TrainingSource(
            pack=pack,
            config=config,
            manifest=manifest,
            labels=torch.tensor([entry.label for entry in manifest]),
            lengths=torch.tensor([n if segments == "all" else segments for n in snippets]),
            crops=crops,
            width=numbers,
            recipe=opened.recipe,
            pack_sha256=opened.content_sha256,
            feature_bytes=2 * sum(snippets) * crops * numbers,
            length_rule=learn_length(frames, [entry.label for entry in manifest]),
        )


def read_training_set(source: TrainingSource, progress: ProgressCallback = silent) -> VideoTensors:
    """Read the segments of every video, with a check of its digest; or map their cache file.

    The segments of a large set are written to a cache file the first time.

    Raises:
        PackError: If a video is damaged; the message names it.
        VadError: If the cache file cannot be written.
    """
    config, count = source.config, len(source.manifest)
    size, dtype = int(source.lengths.sum()) * source.crops * source.width, np.dtype(config.storage)

    def fill(flat: NDArray[Any]) -> None:
        start = 0
        with FeaturePack.open(source.pack) as pack:
            for i, entry in enumerate(source.manifest):
                x: NDArray[Any] = join(pack.video(entry.id).streams, config.streams)  # (N, C, D)
                if config.segments != "all":
                    x = segment_means(x, config.segments)
                flat[start : start + x.size] = x.swapaxes(0, 1).reshape(-1)
                start += x.size
                progress(ProgressEvent("read", i + 1, count, "videos", entry.id))

    if source.is_large:
        flat = cached_array(source.cache_key, size, dtype, fill)
    else:
        flat = np.empty(size, dtype)
        fill(flat)
    return VideoTensors(torch.from_numpy(flat), source.lengths, source.crops, source.width)


def segment_edges(snippets: int, segments: int) -> NDArray[np.int64]:
    """Return the T + 1 edges floor(i * L / T) of the segments of a video of L snippets.

    Segment i is [edge i, edge i + 1), or the one snippet at edge i if that is empty (Sultani et
    al., 2018). The arithmetic is in 64-bit integers, exact for any length.
    """
    return np.arange(segments + 1, dtype=np.int64) * snippets // segments


def segment_means(features: NDArray[np.floating], segments: int) -> NDArray[np.float32]:
    """Return the mean features of the segments, (L, C, D) -> (T, C, D) float32, for any L >= 1."""
    edges = segment_edges(len(features), segments)
    means = np.empty((segments, *features.shape[1:]), dtype=np.float32)
    for i, (start, stop) in enumerate(itertools.pairwise(edges.tolist())):
        part = features[start : max(stop, start + 1)]
        np.mean(part, axis=0, dtype=np.float32, out=means[i])
    return means


@dataclass(frozen=True)
class VideoTensors:
    """V videos in one buffer, in memory, in a mapped file or on a GPU."""

    flat: Tensor  # float16 or float32: (C, L_i, D) of each video i, one after the other
    lengths: Tensor  # (V,) int64 on the CPU, the segments L_i of each video
    crops: int  # C
    width: int  # D

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def even(self) -> Tensor | None:
        """All videos as (V, C, T, D), or None if their numbers of segments differ."""
        if bool((self.lengths != self.lengths[0]).any()):
            return None
        return self.flat.view(len(self), self.crops, -1, self.width)

    @cached_property
    def _starts(self) -> list[int]:
        ends = self.lengths.cumsum(0) * (self.crops * self.width)
        return [0, *ends.tolist()]

    def video(self, index: int) -> Tensor:
        """Return one video as (C, L, D), without a copy."""
        start, stop = self._starts[index], self._starts[index + 1]
        return self.flat[start:stop].view(self.crops, -1, self.width)

    def place(self, device: torch.device) -> VideoTensors:
        """Return the videos on a GPU if they fit there next to the model, or else as they are."""
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.flat.nbytes < DEVICE_SHARE * free:
                return replace(self, flat=self.flat.to(device))
        return self

    def gather(self, videos: Tensor, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Return the `videos` (n,) int64 as a batch on `device`, in their stored type.

        Returns:
            x: (n, C, T, D), with the T of the longest video and zeros after the end of others.
            mask: (n, T) bool, True for real segments, or None if all are.
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
    """Return x on `device`; it goes to a GPU from pinned memory, so that nothing waits."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


class PairSampler:
    """Sampler of b normal and b abnormal videos per step, each list in shuffled epochs.

    The lists are shuffled independently, so that pairs differ from epoch to epoch. A list shorter
    than b repeats within a step. All randomness comes from the seed.
    """

    def __init__(self, normal: Tensor, abnormal: Tensor, pairs: int, seed: int) -> None:
        """Start with `normal` and `abnormal`, (n,) int64 rows of videos, neither empty."""
        if not len(normal) or not len(abnormal):
            raise ValueError("both lists need at least one video")
        self._generator = torch.Generator().manual_seed(seed)
        self._pairs = pairs
        self._lists = {"normal": normal, "abnormal": abnormal}
        self._ahead = {name: rows[:0] for name, rows in self._lists.items()}  # shuffled, not taken

    def next(self) -> Tensor:
        """Return the rows of the next step, (2b,) int64, normal videos first."""
        taken = []
        for name, rows in self._lists.items():
            ahead = self._ahead[name]
            while len(ahead) < self._pairs:
                order = torch.randperm(len(rows), generator=self._generator)
                ahead = torch.cat([ahead, rows[order]])
            taken.append(ahead[: self._pairs])
            self._ahead[name] = ahead[self._pairs :]
        return torch.cat(taken)

    def state(self) -> dict[str, Tensor]:
        """Return the state for `restore`."""
        return {"generator": self._generator.get_state(), **self._ahead}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from the state of a sampler with the same lists."""
        self._generator.set_state(state["generator"])
        self._ahead = {name: state[name] for name in self._lists}
