"""What RGB and flow make of frames: equal snippets, flow of the whole frame, the last frame's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from vad_toolkit.extraction.modalities import ClipStream, FlowClips, RgbClips, normalise
from vad_toolkit.extraction.resize import resize_frames
from vad_toolkit.flow.quantise import QUANTISATIONS
from vad_toolkit.recipes.recipe import Recipe, load_recipe

TWO = {
    "streams": ["rgb", "flow"],
    "flow": {"algorithm": "tvl1", "quantisation": "clamp20"},
    "weights": {"rgb": "a" * 64, "flow": "b" * 64},
    "resize": 32,
    "crop_size": 32,
}


def recipe(**fields: object) -> Recipe:
    return load_recipe("i3d-rgb-center", {**TWO, **fields})


def differences(frames: Tensor) -> Tensor:
    """A flow that is easy to check: to the right by how much brighter the next frame is."""
    values = frames.float()[:, :2]
    return values[1:] - values[:-1]


def frames(count: int, height: int = 32, width: int = 40) -> Tensor:
    """Frame i has the value i * i everywhere."""
    values = (torch.arange(count) ** 2 % 256).byte()
    return values.reshape(-1, 1, 1, 1).expand(count, 3, height, width)


def clips(stream: ClipStream, video: Tensor, chunk: int) -> list[Tensor]:
    parts = video.split(chunk) if len(video) else ()
    return [clip for part in parts for clip in stream.push(part)] + list(stream.finish())


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(0, 70),
    chunk=st.integers(1, 40),
    step=st.sampled_from((8, 16)),
    tail=st.sampled_from(("loop", "drop", "drop-next")),
)
def test_both_streams_have_equal_snippets(count: int, chunk: int, step: int, tail: str) -> None:
    made = recipe(step=step, tail=tail)
    video = frames(count)
    rgb = clips(RgbClips(made, torch.float32), video, chunk)
    flow = clips(FlowClips(made, torch.float32, differences), video, chunk)
    assert len(rgb) == len(flow) == made.snippet_count(count)
    assert all(clip.shape == (16, 32, 32, 3) for clip in rgb)
    assert all(clip.shape == (16, 32, 32, 2) for clip in flow)


def test_the_last_frame_repeats_the_flow_before_it() -> None:
    (clip,) = clips(FlowClips(recipe(), torch.float32, differences), frames(4), chunk=3)
    assert (clip[:, 0, 0, 0] * 20).tolist() == [1, 3, 5, 5] * 4
    (still,) = clips(FlowClips(recipe(), torch.float32, differences), frames(1), chunk=3)
    assert not still.any()


def test_chunks_do_not_change_flow() -> None:
    made = [
        clips(FlowClips(recipe(), torch.float32, differences), frames(40), chunk)
        for chunk in (1, 7, 40)
    ]
    for other in made[1:]:
        assert all(torch.equal(a, b) for a, b in zip(made[0], other, strict=True))


def lopsided(frames: Tensor) -> Tensor:
    """Flow that differs from place to place, to the right and down."""
    _, _, height, width = frames.shape
    across = torch.arange(width).expand(len(frames) - 1, height, width)
    down = torch.arange(height).reshape(-1, 1).expand_as(across)
    return torch.stack((across, down), dim=1) / 4 + 0.06


@pytest.mark.parametrize("quantisation", ["clamp20", "video-features"])
def test_mirrored_crops_of_flow_change_sign_before_quantisation(quantisation: str) -> None:
    ten = recipe(crops="ten", **{"flow.quantisation": quantisation})
    quantise = QUANTISATIONS[quantisation]
    made = clips(FlowClips(ten, torch.float32, lopsided), frames(16), chunk=16)
    flow = lopsided(frames(17))
    plain = quantise(flow)
    mirrored = quantise(torch.stack((-flow[:, 0], flow[:, 1]), dim=1)).flip(-1)
    assert len(made) == 10
    assert torch.equal(made[0], plain[..., :32, :32].permute(0, 2, 3, 1))
    assert torch.equal(made[5], mirrored[..., :32, :32].permute(0, 2, 3, 1))
    assert not torch.equal(made[5], made[1].flip(2))  # what a sign that stays would give


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pixels_are_normalised_and_rounded_once(dtype: torch.dtype) -> None:
    made = recipe(normalisation="kinetics")
    (clip,) = clips(RgbClips(made, dtype), frames(16), chunk=16)
    expected = normalise(frames(16)[..., :32, 4:36], "kinetics").permute(0, 2, 3, 1).to(dtype)
    assert torch.equal(clip, expected)
    assert (
        torch.stack([clip, clip])
        .permute(0, 4, 1, 2, 3)
        .is_contiguous(memory_format=torch.channels_last_3d)
    )


@pytest.mark.parametrize(("crops", "count"), [("center", 1), ("five", 5), ("ten", 10)])
def test_crops_of_a_16_to_9_video(crops: str, count: int) -> None:
    """From 1280x720 over 455x256: the crops of all modalities are torchvision's, to the pixel."""
    made_by = load_recipe("i3d-rgb-center", {"crops": crops})
    pixels = torch.randint(0, 256, (16, 72, 128, 3), dtype=torch.uint8).repeat(1, 10, 10, 1)
    resized = resize_frames(pixels, made_by.resize)
    assert resized.shape[2:] == (256, 455)
    clips = list(RgbClips(made_by, torch.float32).push(resized))
    cut = {1: lambda x, size: [tv.center_crop(x, size)], 5: tv.five_crop, 10: tv.ten_crop}[count]
    for clip, crop in zip(clips, cut(resized, [224, 224]), strict=True):
        assert torch.equal(clip, normalise(crop, "x*2/255-1").permute(0, 2, 3, 1))
