"""Alarms: intervals of a video in which the scores reach a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vad_toolkit.errors import InputError


@dataclass(frozen=True)
class Alarm:
    """One alarm: frames in [start, stop), the same in seconds, and its highest score.

    Seconds are None if the frame rate is not known. `peak_frame` is the first frame that scores
    `peak`.
    """

    start: int
    stop: int
    start_seconds: float | None
    stop_seconds: float | None
    peak: float
    peak_frame: int


@dataclass(frozen=True)
class AlarmRule:
    """Options of `find_alarms`. Checks itself; raises InputError."""

    threshold: float = 0.5
    merge_seconds: float = 0.0
    min_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise InputError(f"threshold must be a finite number such as 0.5, got {self.threshold}")
        for name in ("merge_seconds", "min_seconds"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise InputError(f"{name} must be a number >= 0, got {value}")

    @property
    def needs_fps(self) -> bool:
        """True if a frame rate is needed."""
        return self.merge_seconds > 0 or self.min_seconds > 0


def find_alarms(
    scores: ArrayLike,
    fps: float | None = None,
    threshold: float = 0.5,
    *,
    merge_seconds: float = 0.0,
    min_seconds: float = 0.0,
) -> tuple[Alarm, ...]:
    """Return the alarms of a video, in order.

    Args:
        scores: (F,) floats, one per frame; F = 0 gives no alarms.
        fps: Frames per second; None, 0 or NaN if it is not known.
        threshold: Frames with a score >= this are in an alarm.
        merge_seconds: Two alarms become one if the gap between them is shorter than this.
        min_seconds: Alarms shorter than this are dropped, after merging.

    Raises:
        InputError: If an option is out of range, or seconds are given without a frame rate.

    Example:
        >>> [(alarm.start, alarm.stop) for alarm in find_alarms([0.1, 0.7, 0.9, 0.2], fps=25)]
        [(1, 3)]
    """
    rule = AlarmRule(threshold, merge_seconds, min_seconds)
    values, rate = np.asarray(scores), known_fps(fps)
    if values.ndim != 1:
        raise InputError(f"scores must have shape (frames,), got {values.shape}")
    if rate is None and rule.needs_fps:
        raise InputError("merge_seconds and min_seconds need a frame rate; give fps")
    spans: list[tuple[int, int]] = []
    edges = np.flatnonzero(np.diff(values >= threshold, prepend=False, append=False))
    for start, stop in edges.reshape(-1, 2).tolist():
        if spans and rate is not None and (start - spans[-1][1]) / rate < merge_seconds:
            spans[-1] = (spans[-1][0], stop)
        else:
            spans.append((start, stop))
    alarms = []
    for start, stop in spans:
        if rate is not None and (stop - start) / rate < min_seconds:
            continue
        peak = start + int(np.argmax(values[start:stop]))
        begin, end = (None, None) if rate is None else (start / rate, stop / rate)
        alarms.append(Alarm(start, stop, begin, end, float(values[peak]), peak))
    return tuple(alarms)


def known_fps(fps: float | None) -> float | None:
    """Return `fps` if it is a frame rate, and None for 0, NaN and infinity."""
    return fps if fps is not None and math.isfinite(fps) and fps > 0 else None
