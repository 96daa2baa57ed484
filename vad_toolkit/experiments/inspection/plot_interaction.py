"""Plot of the attention of CoMo's interaction space in one video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import TwoSlopeNorm
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from vad_toolkit.plots.canvas import blank_figure, save_png, set_look
from vad_toolkit.plots.timeline import draw_scores, legend_above, shade_events, time_unit

SIGNED_MAP = "RdBu_r"  # white at 0
SHARE_MAP = "PuOr_r"  # white for an equal share of all nodes
NODE_TICKS = 5
Floats = NDArray[np.floating[Any]]


def plot_interaction(
    path: Path,
    scores: Floats,
    labels: NDArray[np.integer[Any]],
    reading: Mapping[str, Floats],
    attention: Mapping[str, Floats],
    *,
    fps: float | None,
    title: str,
) -> None:
    """Write a PNG with scores and nodes over time, and the attention between nodes.

    Args:
        reading: By stream, (S, N): the weight of a node in each snippet, of either sign.
        attention: By stream, (S, S): how much each of its nodes takes from each of the other's.
        fps: Frames per second; if None, the axis counts frames.
    """
    figure = blank_figure(10.0, 5.2)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(2.7, 1))[0]
    timeline, *rows = left.subplots(1 + len(reading), 1, sharex=True)
    unit, x_name = time_unit(len(scores), fps)
    set_look(timeline, title)
    shade_events(timeline, labels, unit)
    draw_scores(timeline, scores, unit)
    timeline.set_ylim(min(0.0, float(scores.min())), max(1.0, float(scores.max())) * 1.03)
    legend_above(timeline)
    for axes, (name, weights) in zip(rows, reading.items(), strict=True):
        _draw_reading(axes, weights, name, len(scores) * unit)
    rows[-1].set_xlabel(x_name)
    for axes, name, source in zip(
        right.subplots(len(attention), 1), attention, reversed(list(attention)), strict=True
    ):
        _draw_attention(axes, attention[name], name, source)
    save_png(figure, path)


def _draw_reading(axes: Axes, weights: Floats, stream: str, end: float) -> None:
    most = float(np.abs(weights).max()) or 1.0
    image = axes.imshow(
        weights,
        aspect="auto",
        interpolation="antialiased",
        cmap=SIGNED_MAP,
        vmin=-most,
        vmax=most,
        extent=(0, end, len(weights) + 0.5, 0.5),
    )
    axes.set_ylabel(f"{stream} node")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=NODE_TICKS))
    _bar(axes, image, "reading $B$")


def _draw_attention(axes: Axes, attention: Floats, stream: str, source: str) -> None:
    sources = attention.shape[1]
    even = 1 / sources
    most = max(2 * even, float(attention.max()))
    image = axes.imshow(
        attention,
        aspect="auto",
        cmap=SHARE_MAP,
        norm=TwoSlopeNorm(even, 0, most),
        extent=(0.5, sources + 0.5, len(attention) + 0.5, 0.5),
    )
    axes.set_ylabel(f"{stream} node")
    axes.set_xlabel(f"takes from {source} node")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=NODE_TICKS))
    bar = _bar(axes, image, "attention")
    bar.set_ticks([0, even, most], labels=["0", f"1/{sources}", f"{most:.2g}"])


def _bar(axes: Axes, image: AxesImage, label: str) -> Colorbar:
    figure = axes.get_figure(root=False)
    assert figure is not None
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=12)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return bar
