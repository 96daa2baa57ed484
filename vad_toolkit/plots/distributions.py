"""Plots of whole test sets: histograms of two kinds of values, ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vad_toolkit.plots.canvas import (
    ABNORMAL_COLOR,
    DASHES,
    GRID_COLOR,
    GUIDE_COLOR,
    LEGEND,
    SCORE_COLOR,
    blank_figure,
    new_figure,
    save_png,
    set_look,
)

COLORS = (SCORE_COLOR, ABNORMAL_COLOR)
CURVE_POINTS = 2000  # more than a curve has pixels
EDGE_SHARE = 0.02  # free share of the axis on each side of the filled bins


@dataclass(frozen=True, eq=False)
class Distribution:
    """Histogram of one kind of values: `counts` (bins,), and a median to draw as a line."""

    label: str
    counts: NDArray[np.integer[Any]]
    median: float | None = None


@dataclass(frozen=True, eq=False)
class Panel:
    """Up to two distributions to compare; the note is on the right, above the panel."""

    title: str
    note: str
    kinds: tuple[Distribution, ...]


def plot_distributions(
    path: Path,
    edges: NDArray[np.floating[Any]],
    panels: Sequence[Panel],
    *,
    x_label: str,
    y_label: str,
    log: bool = False,
) -> None:
    """Write a PNG of histograms, each kind's bars summing to 100 %.

    Args:
        edges: (bins + 1,) edges of all panels; bins at the ends that are empty everywhere are cut.
        panels: From top to bottom; the legend is that of the first.
        log: Whether the y axes are logarithmic, so that rare values are visible too.
    """
    figure = blank_figure(6.0, 1.0 + 1.75 * len(panels))
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(rows, panels, strict=True):
        _draw(axes, edges, panel, log)
        axes.set_ylabel(y_label)
    rows[-1].set_xlabel(x_label)
    used = np.flatnonzero(sum(kind.counts for panel in panels for kind in panel.kinds))
    low, high = (edges[used[0]], edges[used[-1] + 1]) if len(used) else (edges[0], edges[-1])
    free = EDGE_SHARE * (high - low) if len(used) else 0.0
    rows[-1].set_xlim(float(low - free), float(high + free))
    shown = rows[0].get_legend_handles_labels()
    figure.legend(*shown, loc="outside upper left", ncols=2, **LEGEND)
    save_png(figure, path)


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
        x: (K,) coordinates in [0, 1]; of long curves, every n-th point is drawn.
        y: (K,) coordinates in [0, 1].
        chance: The two end points of the line for random scores.
    """
    figure, axes = new_figure(4.4, 4.4, title)
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), CURVE_POINTS)).astype(np.int64))
    axes.plot(*zip(*chance, strict=True), color=GUIDE_COLOR, linestyle=DASHES, linewidth=1)
    axes.plot(x[keep], y[keep], color=SCORE_COLOR, linewidth=1.6)
    margins = (-0.01, 1.01)
    axes.set(xlabel=x_label, ylabel=y_label, xlim=margins, ylim=margins, aspect="equal")
    axes.grid(color=GRID_COLOR, linewidth=0.8)
    save_png(figure, path)


def _draw(axes: Axes, edges: NDArray[np.floating[Any]], panel: Panel, log: bool) -> None:
    set_look(axes, panel.title)
    axes.set_title(panel.note, loc="right", fontsize=9)
    shares = [kind.counts / max(1, kind.counts.sum()) for kind in panel.kinds]
    least = min((share[share > 0].min() for share in shares if share.any()), default=1.0)
    floor = least / 2 if log else 0.0
    for color, kind, share in zip(COLORS, panel.kinds, shares, strict=False):
        axes.stairs(share, edges, baseline=floor, fill=True, color=color, alpha=0.35, linewidth=0)
        outline = np.maximum(share, floor)
        axes.stairs(outline, edges, baseline=floor, color=color, linewidth=1.2, label=kind.label)
        if kind.median is not None:
            axes.axvline(kind.median, color=color, linestyle=DASHES, linewidth=1)
    if log:
        axes.set_yscale("log")
    axes.set_ylim(bottom=floor)
    axes.yaxis.set_major_formatter(lambda share, position: f"{100 * share:.3g} %")
    axes.grid(axis="y", color=GRID_COLOR, linewidth=0.8)
