"""Cost of an extraction before it runs: frames, arithmetic, bytes, and time from a short trial.

Counts are based on the frames that manifests and containers report; only decoding gives the exact
number.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import torch
from torch.utils.flop_counter import FlopCounterMode

from vad_toolkit.backbones.registry import BACKBONES, CHANNELS
from vad_toolkit.core.device import pick_devices
from vad_toolkit.core.files import AnyPath
from vad_toolkit.errors import InputError
from vad_toolkit.extraction.extractor import Extractor, ExtractorOptions
from vad_toolkit.extraction.plan import Shard, VideoSize, measure_videos, share_videos
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.packs.parts import finished_ids
from vad_toolkit.packs.video import stored_snippets
from vad_toolkit.recipes.recipe import Recipe

VIDEO_BYTES = 4400  # of a pack per video, in addition to its features: attributes and HDF5's own
TRIAL_SECONDS = 5.0


@dataclass(frozen=True)
class Cost:
    """Cost of some videos by a recipe."""

    videos: int
    frames: int
    hours: float  # of the videos with a known frame rate
    snippets: int  # of one modality
    clips: int  # of all modalities and crops
    flop: int  # of the networks, two per multiply-add, without optical flow
    pack_bytes: int  # of the finished pack
    decoded_bytes: int  # of all RGB frames whose dimensions are known


@dataclass(frozen=True)
class CostEstimate(Cost):
    """Cost of what is left of an extraction, and the time that it will take.

    Attributes:
        pack: The pack that the run would write.
        videos_done: Videos that the pack or its parts already hold.
        counted_by: The number of videos by the source of their frame count: "manifest",
            "container" or "bytes" (a guess from the file's size).
        device: The device of the trial.
        devices: The number of devices.
        frames_per_second: Measured on one device, from file to features. None if there was nothing
            to measure.
        seconds: The time until all devices are done, or None.
        shares: Videos and frames of each share; a single one without a shard.
    """

    pack: Path
    videos_done: int
    counted_by: dict[str, int]
    device: str
    devices: int
    frames_per_second: float | None
    seconds: float | None
    shares: tuple[tuple[int, int], ...]


def estimate_cost(
    sources: Sequence[VideoSource],
    recipe: Recipe,
    out: AnyPath,
    *,
    device: str = "auto",
    shard: str | None = None,
    engine: str = "local",
    **options: Unpack[ExtractorOptions],
) -> CostEstimate:
    """Estimate the cost of `extract_pack` with the same arguments, without writing anything.

    The first videos are extracted for a few seconds to measure the rate.

    Raises:
        InputError: If `extract_pack` would refuse: another recipe at `out`, or a wrong option.
        WeightsError: If the recipe's weights are not in the cache.
    """
    share = Shard.parse(shard or "1/1")
    shares = share_videos(measure_videos(sources, look_at_all=True), share.count)
    own = shares[share.number - 1]
    pack = share.pack(Path(out)) if shard else Path(out)
    finished = finished_ids(pack, recipe)
    left = [size for size in own if size.source.id not in finished]
    devices = sorted(set(pick_devices(device))) if engine == "local" else ["auto"]
    extractor = Extractor(recipe, devices[0], **options)
    rate = measure_rate(extractor, [size.source for size in left]) if left else None
    return CostEstimate(
        **vars(count_cost(left, recipe)),
        pack=pack,
        videos_done=len(own) - len(left),
        counted_by=dict(Counter(size.known for size in left)),
        device=str(extractor.device),
        devices=len(devices),
        frames_per_second=rate,
        seconds=None if rate is None else seconds_to_extract(left, rate, len(devices)),
        shares=tuple((len(part), sum(size.frames for size in part)) for part in shares),
    )


def count_cost(videos: Sequence[VideoSize], recipe: Recipe) -> Cost:
    """Count the cost of measured videos; a video that the recipe cannot take has no snippets."""
    counts = [_snippets(video, recipe) for video in videos]
    snippets, rows = sum(counts), sum(map(stored_snippets, counts))
    networks = [network_cost(recipe, stream) for stream in recipe.streams]
    return Cost(
        videos=len(videos),
        frames=sum(video.frames for video in videos),
        hours=sum(video.frames / video.fps for video in videos if video.fps) / 3600,
        snippets=snippets,
        clips=snippets * recipe.crop_count * len(networks),
        flop=snippets * recipe.crop_count * sum(flop for flop, _ in networks),
        pack_bytes=2 * rows * recipe.crop_count * sum(width for _, width in networks)
        + VIDEO_BYTES * len(videos),
        decoded_bytes=sum(3 * video.frames * video.width * video.height for video in videos),
    )


def network_cost(recipe: Recipe, stream: str) -> tuple[int, int]:
    """Return the operations of one clip, counted without computing, and the feature dimension."""
    size, channels = recipe.crop_size, CHANNELS[stream]
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = BACKBONES[recipe.backbone].build(channels).eval()
        features = network(torch.empty(1, channels, recipe.snippet_frames, size, size))
    return counter.get_total_flops(), features.shape[1]


def measure_rate(
    extractor: Extractor, videos: Sequence[VideoSource], seconds: float = TRIAL_SECONDS
) -> float | None:
    """Measure frames per second from file to features, in the first `seconds` of an extraction.

    The first chunk of frames is a warm-up; the rate is None if no frames come after it.
    """
    done: dict[str, int] = {}
    began, before = 0.0, 0
    rate: float | None = None

    def on_frames(video: VideoSource, frames: int, _: int) -> None:
        nonlocal began, before, rate
        done[video.id] = frames
        now, count = time.monotonic(), sum(done.values())
        if not began:
            began, before = now, count
            return
        rate = (count - before) / max(now - began, 1e-9)
        if now - began >= seconds:
            raise _TrialEnded

    with suppress(_TrialEnded):
        deque(extractor.extract_many(videos, on_frames), maxlen=0)
    return rate


def seconds_to_extract(videos: Sequence[VideoSize], rate: float, devices: int) -> float:
    """Return the time until the last of `devices` is done, at `rate` frames per second each."""
    shares = share_videos(videos, devices)
    return max(sum(video.frames for video in share) for share in shares) / rate


def _snippets(video: VideoSize, recipe: Recipe) -> int:
    try:
        return recipe.snippet_count(video.frames, video.fps)
    except InputError:  # the recipe needs a frame rate, and the video has none
        return 0


class _TrialEnded(Exception):
    """The trial has lasted long enough."""
