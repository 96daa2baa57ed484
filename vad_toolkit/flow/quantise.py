"""From flow in pixels to the input of a network, in the ways that published features were made.

Networks for flow were trained on flow that had been clipped to 20 pixels a frame and, mostly, kept
in 8 bits. Where 8 bits put zero differs, and with it every value of a scene at rest.

| name              | -20 px | 0 px    | 20 px  | steps                    |
|-------------------|--------|---------|--------|--------------------------|
| `clamp20`         | -1     | 0       | 1      | none                     |
| `video-features`  | -1     | 0.0039  | 1.0078 | 0 / 128 / 256 of 255     |
| `mmaction2-uint8` | -1     | -0.0039 | 1      | 0 / 127 / 255 of 255     |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

BOUND_PIXELS = 20.0


def clamp20(flow: Tensor) -> Tensor:
    """clip(f, -20, 20) / 20: Kinetics-I3D's own way, and that of XD-Violence's features.

    Args:
        flow: float32, any shape, in pixels.

    Returns:
        float32, the same shape, in [-1, 1].

    Source: README of google-deepmind/kinetics-i3d.
    """
    return flow.clamp(-BOUND_PIXELS, BOUND_PIXELS) / BOUND_PIXELS


def video_features(flow: Tensor) -> Tensor:
    """2 / 255 round(128 + 255 / 40 clip(f, -20, 20)) - 1: v-iashin/video_features.

    Halves are rounded to even, and values stay floating: 20 pixels become 256, which 8 bits do not
    have, and 1.0078 in the end.

    Args:
        flow: float32, any shape, in pixels.

    Returns:
        float32, the same shape, in [-1, 1.0078].

    Source: `Clamp`, `ToUInt8` and `ScaleTo1_1` in its models/i3d/transforms/transforms.py.
    """
    clipped = flow.clamp(-BOUND_PIXELS, BOUND_PIXELS)
    return (128 + 255 / (2 * BOUND_PIXELS) * clipped).round() * 2 / 255 - 1


def mmaction2_uint8(flow: Tensor) -> Tensor:
    """2 / 255 trunc(255 / 40 (clip(f, -20, 20) + 20)) - 1: flow images in 8 bits, as MMAction2's.

    No motion is 127.5, cut off to 127.

    Args:
        flow: float32, any shape, in pixels.

    Returns:
        float32, the same shape, in [-1, 1].

    Source: `flow_to_img` in tools/misc/flow_extraction.py of open-mmlab/mmaction2.
    """
    clipped = flow.clamp(-BOUND_PIXELS, BOUND_PIXELS)
    return ((clipped + BOUND_PIXELS) * (255 / (2 * BOUND_PIXELS))).trunc() * 2 / 255 - 1


QUANTISATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "clamp20": clamp20,
    "video-features": video_features,
    "mmaction2-uint8": mmaction2_uint8,
}
