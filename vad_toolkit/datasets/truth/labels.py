"""Frame-level ground truth from the events of a manifest.

An event is an interval [start, stop) of frames. Official annotations contain events that end after
the video does; they are cut at the last frame, here and wherever else frames are counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.errors import InputError, ManifestError


def frame_labels(entry: Entry, frames: int) -> NDArray[np.uint8]:
    """Return the labels of a video's frames: 1 inside an event [start, stop), else 0.

    Args:
        entry: The video; a normal video has only zeros.
        frames: Number of frames to label, >= 0. Events are cut at this frame.

    Returns:
        labels : np.ndarray [shape=(frames,), uint8].

    Raises:
        ManifestError: If the video is abnormal and its events are not known.
        InputError: If `frames` is negative.

    Example:
        >>> entry = Entry(id="a", path="a.mp4", label=1, events=((1, 3),))
        >>> frame_labels(entry, 4)
        array([0, 1, 1, 0], dtype=uint8)
    """
    if frames < 0:
        raise InputError(f"video {entry.id!r}: frames must be 0 or more, got {frames}")
    labels = np.zeros(frames, dtype=np.uint8)
    if entry.label == 0:
        return labels
    if entry.events is None:
        raise ManifestError(
            f"video {entry.id!r} is abnormal, but its events are not known, so its frames have no "
            "ground truth; add events to its line in the manifest"
        )
    for start, stop in entry.events:
        labels[start:stop] = 1
    return labels
