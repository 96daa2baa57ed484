"""Flow in pixels to what networks read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor


def clamp20(flow: Tensor) -> Tensor:
    """Clamped to +-20 pixels, divided by 20."""
    return flow.clamp(-20, 20) / 20


QUANTISATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"clamp20": clamp20}
