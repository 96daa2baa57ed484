"""Plot of the scores of one video over time, with ground truth, threshold and alarms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.plots.canvas import (
    DASHES,
    GRID_COLOR,
    GUIDE_COLOR,
    LEGEND,
    SCORE_COLOR,
    new_figure,
    save_png,
)

EVENT_COLOR = "#f4b6b0"
ALARM_COLOR = "#d1495b"
LONG_SECONDS = 600  # the axis of longer videos is in minutes


def plot_scores(
    path: Path,
    scores: NDArray[np.floating[Any]],
    *,
    labels: NDArray[np.integer[Any]] | None = None,
    alarms: Sequence[tuple[int, int]] = (),
    fps: float | None = None,
    threshold: float | None = None,
    title: str = "",
) -> None:
    """Write a PNG of the scores of one video.

    Args:
        scores: (F,) frame scores, F >= 1; values outside of [0, 1] extend the axis.
        labels: (F,) 0 or 1; frames with label 1 are shaded. None without ground truth.
        alarms: Frames in [start, stop), drawn as a bar above the scores.
        fps: Frames per second; if None, the axis counts frames.
        threshold: Drawn as a dashed line.

    Raises:
        InputError: If there are no scores, or the number of labels differs.
    """
    if scores.ndim != 1 or len(scores) == 0:
        raise InputError(
            f"scores must have shape (frames,) with at least one frame, got {scores.shape}"
        )
    if labels is not None and labels.shape != scores.shape:
        raise InputError(f"expected one label per score, got {len(labels)} for {len(scores)}")

    figure, axes = new_figure(10.0, 3.0, title)
    low, high = min(0.0, float(scores.min())), max(1.0, float(scores.max()))
    band = 0.05 * (high - low)
    unit, name = time_unit(len(scores), fps)
    axes.set_xlabel(name)
    if labels is not None:
        shade_events(axes, labels, unit)
    if threshold is not None:
        label = f"threshold {threshold:g}"
        axes.axhline(threshold, color=GUIDE_COLOR, linestyle=DASHES, linewidth=1, label=label)
    draw_scores(axes, scores, unit)
    axes.set_ylim(low - 0.4 * band, high + (3.0 if alarms else 1.0) * band)
    if alarms:
        axes.broken_barh(
            _bars(alarms, unit),
            (high + 1.2 * band, band),
            color=ALARM_COLOR,
            linewidth=0,
            label="alarm",
        )
    legend_above(axes)
    save_png(figure, path)


def draw_scores(axes: Axes, scores: NDArray[np.floating[Any]], unit: float) -> None:
    """Draw (F,) frame scores as steps; a frame is `unit` long on the x axis."""
    # Two corners per change of the score, instead of one per frame.
    change = np.flatnonzero(scores[1:] != scores[:-1]) + 1
    starts, stops = np.append(0, change), np.append(change, len(scores))
    times, values = np.stack([starts, stops], axis=1).ravel(), np.repeat(scores[starts], 2)
    axes.plot(times * unit, values, color=SCORE_COLOR, linewidth=1.4, label="score")
    axes.set_xlim(0, len(scores) * unit)
    axes.set_ylabel("anomaly score")
    axes.grid(axis="y", color=GRID_COLOR, linewidth=0.8)


def shade_events(axes: Axes, labels: NDArray[np.integer[Any]], unit: float) -> None:
    """Shade the frames with label 1, of (F,), over the whole height."""
    edges = np.flatnonzero(np.diff(labels != 0, prepend=False, append=False))
    axes.broken_barh(
        _bars(edges.reshape(-1, 2).tolist(), unit),
        (0, 1),
        transform=axes.get_xaxis_transform(),
        color=EVENT_COLOR,
        alpha=0.6,
        linewidth=0,
        zorder=0.5,
        label="ground truth",
    )


def legend_above(axes: Axes) -> None:
    """Draw the legend in one line above the axes, on the right."""
    place: dict[str, Any] = {
        "bbox_to_anchor": (1.0, 1.0),
        "borderaxespad": 0.2,
        "columnspacing": 1.4,
    }
    axes.legend(loc="lower right", ncols=4, **place, **LEGEND)


def time_unit(frames: int, fps: float | None) -> tuple[float, str]:
    """Return the length of one frame on the x axis, and the label of the axis."""
    if fps is None:
        return 1.0, "frame"
    if frames / fps >= LONG_SECONDS:
        return 1 / fps / 60, "time (minutes)"
    return 1 / fps, "time (seconds)"


def _bars(spans: Iterable[Sequence[int]], unit: float) -> list[tuple[float, float]]:
    return [(start * unit, (stop - start) * unit) for start, stop in spans]
