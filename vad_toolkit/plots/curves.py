"""Plots of ROC and precision-recall curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.plots.canvas import (
    DASHES,
    GRID_COLOUR,
    GUIDE_COLOUR,
    SCORE_COLOUR,
    new_figure,
    save_png,
)

CURVE_POINTS = 2000  # more than a curve has pixels


def plot_curve(
    path: Path,
    x: NDArray[np.floating[Any]],
    y: NDArray[np.floating[Any]],
    *,
    x_label: str,
    y_label: str,
    title: str,
    chance: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    """Write a PNG of a ROC or precision-recall curve.

    Args:
        path: The PNG file.
        x: (K,) coordinates in [0, 1]; of long curves, every n-th point is drawn.
        y: (K,) coordinates in [0, 1].
        x_label: Label of the x axis.
        y_label: Label of the y axis.
        title: Any text.
        chance: The two end points of the line for random scores.
    """
    figure, axes = new_figure(4.4, 4.4, title)
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), CURVE_POINTS)).astype(np.int64))
    (x_0, y_0), (x_1, y_1) = chance
    axes.plot((x_0, x_1), (y_0, y_1), color=GUIDE_COLOUR, linestyle=DASHES, linewidth=1)
    axes.plot(x[keep], y[keep], color=SCORE_COLOUR, linewidth=1.6)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.grid(color=GRID_COLOUR, linewidth=0.8)
    save_png(figure, path)
