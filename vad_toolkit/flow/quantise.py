"""Conversion of optical flow in pixels to network input, as published features use it.

Networks for flow were trained on flow that was clipped to 20 pixels and, mostly, stored in 8 bits.
Their values of zero motion differ, and with them every value of a static scene:

| name              | -20 px | 0 px    | 20 px  | levels               |
|-------------------|--------|---------|--------|----------------------|
| `clamp20`         | -1     | 0       | 1      | continuous           |
| `video-features`  | -1     | 0.0039  | 1.0078 | 0 / 128 / 256 of 255 |
| `mmaction2-uint8` | -1     | -0.0039 | 1      | 0 / 127 / 255 of 255 |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

BOUND_PIXELS = 20.0
LEVELS_PER_PIXEL = 255 / (2 * BOUND_PIXELS)


def clamp20(flow: Tensor) -> Tensor:
    """Return clip(flow, -20, 20) / 20, like Kinetics-I3D and the features of XD-Violence.

    Source: README of google-deepmind/kinetics-i3d.
    """
    return flow.clamp(-BOUND_PIXELS, BOUND_PIXELS) / BOUND_PIXELS


def video_features(flow: Tensor) -> Tensor:
    """Return 2 / 255 round(128 + 255 / 40 clip(flow, -20, 20)) - 1, like v-iashin/video_features.

    Halves are rounded to even. Values stay floating point, so that 20 pixels become 256, which 8
    bits cannot hold, and finally 1.0078.

    Source: `Clamp`, `ToUInt8` and `ScaleTo1_1` in its models/i3d/transforms/transforms.py.
    """
    clipped = flow.clamp(-BOUND_PIXELS, BOUND_PIXELS)
    return (128 + LEVELS_PER_PIXEL * clipped).round() * 2 / 255 - 1


def mmaction2_uint8(flow: Tensor) -> Tensor:
    """Return 2 / 255 trunc(255 / 40 (clip(flow, -20, 20) + 20)) - 1, like MMAction2's flow images.

    Source: `flow_to_img` in tools/misc/flow_extraction.py of open-mmlab/mmaction2.
    """
    clipped = flow.clamp(-BOUND_PIXELS, BOUND_PIXELS)
    return ((clipped + BOUND_PIXELS) * LEVELS_PER_PIXEL).trunc() * 2 / 255 - 1


# Functions from float32 flow in pixels, of any shape, to float32 network input of the same shape.
QUANTISATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "clamp20": clamp20,
    "video-features": video_features,
    "mmaction2-uint8": mmaction2_uint8,
}
