"""Alarms: stretches of a video whose scores reach a threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError


@dataclass(frozen=True)
class Alarm:
    """Frames in [start, stop) and the same in seconds; seconds are None where fps is not known.

    `peak` is the highest score in it, `peak_frame` the first frame that has it.
    """

    start: int
    stop: int
    start_seconds: float | None
    stop_seconds: float | None
    peak: float
    peak_frame: int


def find_alarms(
    scores: NDArray[np.floating[Any]],
    fps: float | None,
    *,
    threshold: float = 0.5,
    merge_seconds: float = 0.0,
    min_seconds: float = 0.0,
) -> tuple[Alarm, ...]:
    """Stretches of frames with a score >= `threshold`, in order.

    Two stretches become one where the gap between them is shorter than `merge_seconds`; then those
    shorter than `min_seconds` are dropped. With 0 nothing is merged or dropped.

    Args:
        scores: (F,) floats; F = 0 gives no alarms.
        fps: frames a second; None, 0 or NaN where the video does not say.

    Raises:
        InputError: a threshold that is not finite, negative seconds, or seconds to merge or drop by
            where fps is not known.
    """
    if not math.isfinite(threshold):
        raise InputError(f"threshold {threshold} has to be a number, such as 0.5")
    for name, value in (("merge-seconds", merge_seconds), ("min-seconds", min_seconds)):
        if not math.isfinite(value) or value < 0:
            raise InputError(f"{name} {value} has to be 0 or more")
    rate = known_fps(fps)
    if rate is None and (merge_seconds > 0 or min_seconds > 0):
        raise InputError("the frame rate is not known: merge-seconds and min-seconds have to be 0")

    alarms = []
    for start, stop in _merged(_stretches(scores >= threshold), merge_seconds, rate):
        if rate is not None and (stop - start) / rate < min_seconds:
            continue
        peak = start + int(np.argmax(scores[start:stop]))
        alarms.append(
            Alarm(
                start=start,
                stop=stop,
                start_seconds=None if rate is None else start / rate,
                stop_seconds=None if rate is None else stop / rate,
                peak=float(scores[peak]),
                peak_frame=peak,
            )
        )
    return tuple(alarms)


def known_fps(fps: float | None) -> float | None:
    """`fps` where it is a frame rate; None where the container gave none (0, NaN, infinite)."""
    return fps if fps is not None and math.isfinite(fps) and fps > 0 else None


def _stretches(active: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False))
    for start, stop in edges.reshape(-1, 2):
        yield int(start), int(stop)


def _merged(
    stretches: Iterator[tuple[int, int]], merge_seconds: float, fps: float | None
) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in stretches:
        if merged and fps is not None and (start - merged[-1][1]) / fps < merge_seconds:
            merged[-1] = (merged[-1][0], stop)
        else:
            merged.append((start, stop))
    return merged
