"""Resizing: the aspect, and Pillow's filters bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from vad_toolkit.extraction.resize import resize_frames, target_size
from vad_toolkit.recipes.recipe import ResizeMethod

FILTERS = {
    "bilinear-pillow": Image.Resampling.BILINEAR,
    "lanczos-pillow": Image.Resampling.LANCZOS,
}


@pytest.mark.parametrize(
    ("size", "expected"),
    [((240, 320), (256, 341)), ((320, 240), (341, 256)), ((256, 256), (256, 256))],
)
@pytest.mark.parametrize("method", ["bilinear-antialias-uint8", "bilinear-uint8", *FILTERS])
def test_the_aspect_is_kept(
    size: tuple[int, int], expected: tuple[int, int], method: ResizeMethod
) -> None:
    frames = torch.full((2, *size, 3), 77, dtype=torch.uint8)
    resized = resize_frames(frames, 256, method)
    assert resized.shape == (2, 3, *expected)
    assert resized.dtype == torch.uint8
    assert bool((resized == 77).all())


def test_a_pair_is_width_and_height() -> None:
    assert target_size(240, 320, (340, 256)) == (256, 340)


@pytest.mark.parametrize("method", FILTERS)
@pytest.mark.parametrize(
    ("before", "after"),
    [((60, 80), (64, 85)), ((144, 190), (64, 85)), ((64, 200), (64, 85)), ((33, 47), (33, 47))],
)
def test_pillow_to_the_last_bit(
    method: ResizeMethod, before: tuple[int, int], after: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*before, 3), np.uint8)
    image[10:20] = 255  # edges, at which Lanczos leaves the range
    image[20:30] = 0
    expected = Image.fromarray(image).resize(after[::-1], FILTERS[method])
    made = resize_frames(torch.from_numpy(image)[None], after[::-1], method)
    np.testing.assert_array_equal(made[0].permute(1, 2, 0).numpy(), np.asarray(expected))


@pytest.mark.parametrize("in_integers", [True, False])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(
    ("before", "after"), [((60, 80), (64, 85)), ((240, 320), (64, 85)), ((33, 47), (33, 47))]
)
def test_torchvision_to_the_last_bit(
    before: tuple[int, int],
    after: tuple[int, int],
    antialias: bool,
    in_integers: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways of computing: torchvision asks for the processor in the same manner."""
    capability = "AVX2" if in_integers else "DEFAULT"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, *before, 3), np.uint8))
    expected = v2.functional.resize(frames.permute(0, 3, 1, 2), list(after), antialias=antialias)
    method: ResizeMethod = "bilinear-antialias-uint8" if antialias else "bilinear-uint8"
    made = resize_frames(frames, after[::-1], method)
    assert made.dtype == torch.uint8
    assert torch.equal(made, expected)


def test_torchvisions_is_near_pillows() -> None:
    """Near is all: this is why there are two names."""
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 60, 80, 3), np.uint8))
    a = resize_frames(frames, 64).int()
    b = resize_frames(frames, 64, "bilinear-pillow").int()
    assert int((a - b).abs().max()) <= 1


def test_antialiasing_matters_where_frames_shrink() -> None:
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 128, 160, 3), np.uint8))
    smooth, rough = (
        resize_frames(frames, 64, method).float().std()
        for method in ("bilinear-antialias-uint8", "bilinear-uint8")
    )
    assert smooth < 0.8 * rough
