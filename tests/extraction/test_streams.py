"""What RGB and flow make of frames: equal snippets, flow of the whole frame, the last frame's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vad_toolkit.extraction.streams import ClipStream, FlowClips, RgbClips, network_input
from vad_toolkit.features.recipe import Recipe, load_recipe

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
    rgb = clips(RgbClips(made), video, chunk)
    flow = clips(FlowClips(made, differences), video, chunk)
    assert len(rgb) == len(flow) == made.snippet_count(count)
    assert all(clip.shape == (16, 3, 32, 32) and clip.dtype == torch.uint8 for clip in rgb)
    assert all(clip.shape == (16, 2, 32, 32) for clip in flow)


def test_the_last_frame_repeats_the_flow_before_it() -> None:
    (clip,) = clips(FlowClips(recipe(), differences), frames(4), chunk=3)
    assert clip[:, 0, 0, 0].tolist() == [1, 3, 5, 5] * 4
    (still,) = clips(FlowClips(recipe(), differences), frames(1), chunk=3)
    assert not still.any()


def test_chunks_do_not_change_flow() -> None:
    made = [clips(FlowClips(recipe(), differences), frames(40), chunk) for chunk in (1, 7, 40)]
    for other in made[1:]:
        assert all(torch.equal(a, b) for a, b in zip(made[0], other, strict=True))


def test_mirrored_crops_of_flow_change_sign_before_quantisation() -> None:
    ten = recipe(crops="ten")
    made = clips(FlowClips(ten, differences), frames(16), chunk=16)
    assert len(made) == 10
    for plain, mirrored in zip(made[:5], made[5:], strict=True):
        assert torch.equal(mirrored[:, 0], -plain[:, 0])
        assert torch.equal(mirrored[:, 1], plain[:, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_network_input(dtype: torch.dtype) -> None:
    pixels = torch.tensor([0, 255, 51], dtype=torch.uint8).reshape(1, 1, 3, 1, 1)
    made = network_input(pixels, recipe(), "rgb", dtype)
    assert made.shape == (1, 3, 1, 1, 1)
    assert made.dtype == dtype
    torch.testing.assert_close(
        made.flatten().float(), torch.tensor([-1, 1, -0.6]), atol=2e-3, rtol=0
    )
    flow = torch.tensor([-30.0, 10.0]).reshape(1, 1, 2, 1, 1)
    made = network_input(flow, recipe(), "flow", torch.float32)
    torch.testing.assert_close(made.flatten(), torch.tensor([-1.0, 0.5]))
    assert flow.flatten().tolist() == [-30, 10]
