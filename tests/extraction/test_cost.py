"""The cost of a run beforehand, against what a run then is."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vad_toolkit.backbones.registry import BACKBONES
from vad_toolkit.extraction.cost import (
    count_cost,
    measure_rate,
    network_cost,
    seconds_to_extract,
)
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.extraction.plan import VideoSize, measure_videos
from vad_toolkit.extraction.sources import VideoSource, list_sources
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe, load_recipe


def size(id: str, frames: int, fps: float = 25.0) -> VideoSize:
    return VideoSize(VideoSource(id, Path(id)), frames, "manifest", fps, 320, 240)


def test_counts() -> None:
    recipe = load_recipe("i3d-rgb-tencrop")
    cost = count_cost([size("a", 90_000), size("b", 17, fps=0.0)], recipe)
    assert (cost.videos, cost.frames, cost.hours) == (2, 90_017, 1.0)
    assert (cost.snippets, cost.clips) == (5625 + 2, 10 * 5627)
    assert cost.decoded_bytes == 90_017 * 320 * 240 * 3
    assert cost.flop == cost.clips * network_cost(recipe, "rgb")[0]


def test_both_streams_count() -> None:
    weights = {"weights.rgb": "0" * 64, "weights.flow": "0" * 64}
    rgb, both = load_recipe("i3d-rgb-center"), load_recipe("i3d-rgb-flow-center", weights)
    one, two = (count_cost([size("a", 1600)], recipe) for recipe in (rgb, both))
    assert (one.snippets, two.snippets, two.clips) == (100, 100, 200)
    assert one.flop < two.flop < 2 * one.flop  # flow has two channels, not three


def test_a_video_that_the_recipe_cannot_take_has_no_snippets() -> None:
    recipe = load_recipe("i3d-rgb-center", {"frame_rate": 10.0})
    cost = count_cost([size("a", 250), size("b", 250, fps=0.0)], recipe)
    assert (cost.snippets, cost.videos) == (math.ceil(100 / 16), 2)


def test_flop_are_those_of_the_convolutions() -> None:
    """Counted a second way: two for each weight that a result is the sum of."""
    recipe = load_recipe("i3d-rgb-center", {"resize": 64, "crop_size": 64})
    with torch.device("meta"):
        network = BACKBONES["inception-i3d"].build(3).eval()
        clip = torch.empty(1, 3, 16, 64, 64)
    counted = 0

    def count(module: nn.Module, _: object, made: torch.Tensor) -> None:
        nonlocal counted
        assert isinstance(module, nn.Conv3d)
        counted += 2 * made.numel() * module.in_channels * math.prod(module.kernel_size)

    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(clip)
    assert network_cost(recipe, "rgb") == (counted, 1024)


def test_the_pack_has_about_the_size_that_was_told(tmp_path: Path) -> None:
    recipe = load_recipe("i3d-rgb-tencrop")
    videos = [size(f"folder/{number}", 16 * number) for number in (1, 10, 100)]
    chance = np.random.default_rng(0)

    def made(video: VideoSize) -> VideoFeatures:
        shape = (video.frames // 16, 10, 1024)
        meta = VideoMeta(video.frames, video.frames, 0, 25.0, 320, 240, "0" * 64, "pyav", "18.0.0")
        return VideoFeatures(meta, {"rgb": chance.standard_normal(shape).astype(np.float16)})

    out = tmp_path / "a.h5"
    write_pack(out, recipe, [(v.source.id, made(v)) for v in videos], dataset="made-up")
    assert count_cost(videos, recipe).pack_bytes == pytest.approx(out.stat().st_size, rel=0.02)


def test_the_longest_share_says_when_all_is_done() -> None:
    videos = [size(str(frames), frames) for frames in (500, 300, 200)]
    assert seconds_to_extract(videos, rate=10.0, devices=1) == 100
    assert seconds_to_extract(videos, rate=10.0, devices=2) == 50
    assert seconds_to_extract(videos, rate=10.0, devices=9) == 50


def test_rate(videos: Path, recipe: Recipe) -> None:
    make = partial(Extractor, recipe)
    sources = list_sources([videos])
    rate = measure_rate(make("cpu"), sources, seconds=0.0)
    assert rate is not None
    assert rate > 0
    assert measure_rate(make("cpu"), list_sources([videos / "bad"])) is None
    counts = {video.source.id: video.frames for video in measure_videos(sources)}
    assert (counts["good/0"], counts["good/1"], counts["good/2"]) == (20, 33, 16)
