"""Frame-level ground truth from a manifest's events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.errors import InputError, ManifestError


def frame_labels(entry: Entry, frames: int) -> NDArray[np.uint8]:
    """Labels of a video's frames: 1 inside an event [start, stop), else 0.

    Args:
        entry: the video; a normal one is 0 throughout.
        frames: how many frames to label, >= 0. Events that reach beyond are cut there.

    Returns:
        labels : np.ndarray [shape=(frames,), uint8].

    Raises:
        ManifestError: an abnormal video whose events are not known.
        InputError: a negative number of frames.
    """
    if frames < 0:
        raise InputError(f"video {entry.id!r}: frames = {frames}; has to be 0 or more")
    labels = np.zeros(frames, dtype=np.uint8)
    if entry.label == 0:
        return labels
    if entry.events is None:
        raise ManifestError(
            f"video {entry.id!r} is abnormal and its events are not known, so its frames have no "
            "ground truth; add events to its line of the manifest"
        )
    for start, stop in entry.events:
        labels[start:stop] = 1
    return labels
