"""Plots of histograms of two kinds of values, in one panel or several stacked ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vad_toolkit.plots.canvas import (
    ABNORMAL_COLOUR,
    DASHES,
    GRID_COLOUR,
    SCORE_COLOUR,
    blank_figure,
    save_png,
    set_look,
    set_title,
)

COLOURS = (SCORE_COLOUR, ABNORMAL_COLOUR)
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
        path: The PNG file.
        edges: (bins + 1,) edges of all panels; bins at the ends that are empty everywhere are cut.
        panels: From top to bottom; the legend is that of the first.
        x_label: Label of the x axis.
        y_label: Label of the y axes.
        log: Whether the y axes are logarithmic, so that rare values are visible too.
    """
    figure = blank_figure(6.0, 1.0 + 1.75 * len(panels))
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(rows, panels, strict=True):
        _draw(axes, edges, panel, log)
        axes.set_ylabel(y_label)
    rows[-1].set_xlabel(x_label)
    rows[-1].set_xlim(*_filled(edges, panels))
    handles, labels = rows[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=2,
        frameon=False,
        fontsize=9,
        handlelength=1.4,
    )
    save_png(figure, path)


def _draw(axes: Axes, edges: NDArray[np.floating[Any]], panel: Panel, log: bool) -> None:
    set_look(axes)
    set_title(axes, panel.title)
    axes.set_title(panel.note, loc="right", fontsize=9)
    shares = [kind.counts / max(1, kind.counts.sum()) for kind in panel.kinds]
    least = min((share[share > 0].min() for share in shares if share.any()), default=1.0)
    floor = least / 2 if log else 0.0
    for colour, kind, share in zip(COLOURS, panel.kinds, shares, strict=False):
        axes.stairs(share, edges, baseline=floor, fill=True, color=colour, alpha=0.35, linewidth=0)
        axes.stairs(
            np.maximum(share, floor),
            edges,
            baseline=floor,
            color=colour,
            linewidth=1.2,
            label=kind.label,
        )
        if kind.median is not None:
            axes.axvline(kind.median, color=colour, linestyle=DASHES, linewidth=1)
    if log:
        axes.set_yscale("log")
    axes.set_ylim(bottom=floor)
    axes.yaxis.set_major_formatter(_percent)
    axes.grid(axis="y", color=GRID_COLOUR, linewidth=0.8)


def _filled(edges: NDArray[np.floating[Any]], panels: Sequence[Panel]) -> tuple[float, float]:
    """Return the range of the x axis that contains all values, and a small margin."""
    total = sum(kind.counts for panel in panels for kind in panel.kinds)
    used = np.flatnonzero(total)
    if not len(used):
        return float(edges[0]), float(edges[-1])
    low, high = float(edges[used[0]]), float(edges[used[-1] + 1])
    free = EDGE_SHARE * (high - low)
    return low - free, high + free


def _percent(share: float, position: float) -> str:
    return f"{100 * share:.3g} %"
