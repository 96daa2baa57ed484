"""A texture that can be sampled anywhere, so that its true motion is known exactly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Moved = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture(scope="session")
def moved() -> Moved:
    """Two frames (2, 3, H, W) uint8 of a sum of waves, and the motion (2, H, W) between them."""

    def make(
        shift: tuple[float, float] = (1.3, -2.6),
        *,
        zoom: float = 0.0,
        turn: float = 0.0,
        size: tuple[int, int] = (48, 64),
        seed: int = 0,
    ) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        waves = 0.8 * torch.rand((2, 40), generator=generator) - 0.4  # radians a pixel
        phases = 6.28 * torch.rand(40, generator=generator)
        height, width = size
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        from_left, from_top = x - width / 2, y - height / 2
        motion = torch.stack(
            (
                shift[0] + zoom * from_left - turn * from_top,
                shift[1] + zoom * from_top + turn * from_left,
            )
        )

        def image(x: Tensor, y: Tensor) -> Tensor:
            grey = torch.sin(x[..., None] * waves[0] + y[..., None] * waves[1] + phases).sum(-1)
            return (127.5 + 6 * grey).round().clamp(0, 255).to(torch.uint8)

        # What is seen at x in the first frame is at x + motion in the second.
        frames = torch.stack((image(x + motion[0], y + motion[1]), image(x, y)))
        return frames[:, None].repeat(1, 3, 1, 1), motion

    return make
