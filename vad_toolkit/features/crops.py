"""Frames to what the network reads: resize, crops, mirror, normalise, all on the frames' device.

Crops and their order are torchvision's (`five_crop`, `ten_crop`): the second five of ten are the
same five places in the mirrored frame. Frames stay uint8 until the crops are cut, so that what
crosses to a device and what waits there is a quarter of the float size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from vad_toolkit.features.crop_order import CORNERS
from vad_toolkit.features.recipe import Recipe


def resize_frames(frames: Tensor, short_side: int) -> Tensor:
    """Resize so that the short side is `short_side` pixels and the aspect is kept.

    Args:
        frames: uint8 (n, height, width, 3), as decoders give them.

    Returns:
        uint8 (n, 3, height, width), bilinear with antialiasing.
    """
    resized: Tensor = tv.resize(
        frames.permute(0, 3, 1, 2),
        [short_side],
        interpolation=v2.InterpolationMode.BILINEAR,
        antialias=True,
    )
    return resized


def iter_snippets(chunks: Iterable[Tensor], recipe: Recipe) -> Iterator[Tensor]:
    """Cut a stream of frames into snippets, holding no more than a snippet and a chunk.

    Args:
        chunks: uint8 (n, 3, height, width), any n, in order.

    Yields:
        (snippet_frames, 3, height, width), `recipe.snippet_count(frames)` times. Under the tail
        rule `loop` a last snippet that is short repeats its own frames.
    """
    length, step = recipe.snippet_frames, recipe.step
    held: list[Tensor] = []
    for chunk in chunks:
        held.append(chunk)
        while sum(map(len, held)) >= length:
            frames = torch.cat(held) if len(held) > 1 else held[0]
            yield frames[:length]
            held = [frames[step:]]
    if recipe.tail == "drop" or not held:
        return
    frames = torch.cat(held)
    while len(frames):
        yield frames[torch.arange(length, device=frames.device) % len(frames)]
        frames = frames[step:]


def crop_views(snippet: Tensor, recipe: Recipe) -> Tensor:
    """Cut a snippet (frames, 3, height, width) into crops (C, frames, 3, size, size).

    C and the order are `recipe.crop_order`.
    """
    size = recipe.crop_size
    if recipe.crops == "center":
        center: Tensor = tv.center_crop(snippet, [size, size])
        return center.unsqueeze(0)
    views = [*tv.five_crop(snippet, [size, size])]
    assert len(views) == len(CORNERS)
    if recipe.crops == "ten":
        views += tv.five_crop(tv.horizontal_flip(snippet), [size, size])
    return torch.stack(views)


def network_input(crops: Tensor, dtype: torch.dtype) -> Tensor:
    """Crops (n, frames, 3, size, size) uint8 to clips (n, 3, frames, size, size) in [-1, 1].

    x * 2 / 255 - 1 is computed in float32 and rounded once; memory is channels-last-3d.
    """
    clips = crops.permute(0, 2, 1, 3, 4).float().mul_(2).div_(255).sub_(1)
    return clips.to(dtype=dtype, memory_format=torch.channels_last_3d)
