"""What an extraction costs, before it begins: frames, arithmetic, bytes, and time by a short trial.

Counts follow from the frames that manifests and containers state. Only decoding tells how many
there are, and the run goes by that.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from vad_toolkit.backbones.registry import CHANNELS, find_architecture
from vad_toolkit.errors import InputError
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.extraction.plan import VideoSize, share_videos
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.packs.video import stored_snippets
from vad_toolkit.recipes.recipe import Recipe

VIDEO_BYTES = 4400  # of a pack, for each video beside its features: attributes and HDF5's own
TRIAL_SECONDS = 5.0


@dataclass(frozen=True)
class Cost:
    """Of some videos, by a recipe.

    `hours`: of those videos that state a frame rate. `snippets`: of one stream. `clips`: of all
    streams and crops. `flop`: of the networks, two for a multiplication and its addition; optical
    flow is not in it. `pack_bytes`: of the finished pack. `decoded_bytes`: of all frames in RGB,
    where their size is known.
    """

    videos: int
    frames: int
    hours: float
    snippets: int
    clips: int
    flop: int
    pack_bytes: int
    decoded_bytes: int


def estimate_cost(videos: Sequence[VideoSize], recipe: Recipe) -> Cost:
    """The cost of videos that are measured; those that the recipe cannot take have no snippets."""
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
    """FLOP of one clip, counted without computing, and the D numbers that come of it."""
    size, channels = recipe.crop_size, CHANNELS[stream]
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = find_architecture(recipe.backbone).build(channels).eval()
        features = network(torch.empty(1, channels, recipe.snippet_frames, size, size))
    return counter.get_total_flops(), features.shape[1]


def measure_rate(
    extractor: Extractor, videos: Sequence[VideoSource], seconds: float = TRIAL_SECONDS
) -> float | None:
    """Frames a second from file to features, over the first `seconds` of an extraction.

    The first chunk of frames warms up and is not counted. None where no frames come after it.
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
            raise _Enough

    try:
        for _ in extractor.extract_many(videos, on_frames):
            pass
    except _Enough:
        pass
    return rate


def seconds_to_extract(videos: Sequence[VideoSize], rate: float, devices: int) -> float:
    """With `devices` that make `rate` frames a second each: until the last one is at its end."""
    shares = share_videos(videos, devices)
    return max(sum(video.frames for video in share) for share in shares) / rate


def _snippets(video: VideoSize, recipe: Recipe) -> int:
    try:
        return recipe.snippet_count(video.frames, video.fps)
    except InputError:  # it states no frame rate, and the recipe needs one
        return 0


class _Enough(Exception):
    """The trial has lasted long enough."""
