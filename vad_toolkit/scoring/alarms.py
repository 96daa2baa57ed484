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


@dataclass(frozen=True)
class AlarmRule:
    """When frames make an alarm. Checks itself; raises InputError.

    Frames with a score >= `threshold` do. Two stretches of them become one where the gap between
    them is shorter than `merge_seconds`; then those shorter than `min_seconds` are dropped. With 0
    nothing is merged or dropped.
    """

    threshold: float = 0.5
    merge_seconds: float = 0.0
    min_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise InputError(f"threshold {self.threshold} has to be a number, such as 0.5")
        for name in ("merge_seconds", "min_seconds"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise InputError(f"{name} {value} has to be 0 or more")

    @property
    def needs_fps(self) -> bool:
        """Whether seconds matter to it."""
        return self.merge_seconds > 0 or self.min_seconds > 0


DEFAULT_RULE = AlarmRule()


def find_alarms(
    scores: NDArray[np.floating[Any]], fps: float | None, rule: AlarmRule = DEFAULT_RULE
) -> tuple[Alarm, ...]:
    """Alarms of a video, in order.

    Args:
        scores: (F,) floats, one a frame; F = 0 gives no alarms.
        fps: frames a second; None, 0 or NaN where the video does not say.

    Raises:
        InputError: a rule with seconds where fps is not known.
    """
    rate = known_fps(fps)
    if rate is None and rule.needs_fps:
        raise InputError("the frame rate is not known: merge_seconds and min_seconds have to be 0")

    alarms = []
    for start, stop in _merged(_stretches(scores >= rule.threshold), rule.merge_seconds, rate):
        if rate is not None and (stop - start) / rate < rule.min_seconds:
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
