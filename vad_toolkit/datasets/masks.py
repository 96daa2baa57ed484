"""Frame and pixel masks, as some benchmarks publish their ground truth, turned into events."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.datasets.manifest import Event
from vad_toolkit.errors import ManifestError


def mask_events(mask: NDArray[Any]) -> tuple[Event, ...]:
    """Runs of abnormal frames.

    Args:
        mask : np.ndarray [shape=(n_frames,), bool or integer]: 0 normal, anything else abnormal.

    Returns:
        Events [start, stop) in frames, sorted, with a normal frame between any two; () where no
        frame is abnormal.

    Raises:
        ManifestError: the mask has another number of dimensions.
    """
    if mask.ndim != 1:
        raise ManifestError(
            f"a frame mask of shape {mask.shape}: it has to hold one value a frame, shape (n,)"
        )
    edges = np.flatnonzero(np.diff(mask != 0, prepend=False, append=False))
    return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))
