"""Shared style of all plots, and PNG files with reproducible bytes.

Plots use matplotlib's objects and never pyplot: no window system, no global state, safe in threads.
The bytes of a plot depend only on its arguments and on the version of matplotlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from vad_toolkit.core.files import atomic_path

SCORE_COLOR = "#1f4e79"
GUIDE_COLOR = "#6b6b6b"
GRID_COLOR = "#e6e6e6"
ABNORMAL_COLOR = "#d1495b"
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 9, "handlelength": 1.4}
DASHES = (0, (5, 4))
DOTS_PER_INCH = 120
TITLE_CHARACTERS = 70


def new_figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """Return a figure of `width` x `height` inches with one pair of axes and a title."""
    figure = blank_figure(width, height)
    axes = figure.add_subplot()
    set_look(axes, title)
    return figure, axes


def blank_figure(width: float, height: float) -> Figure:
    """Return a figure of `width` x `height` inches without axes."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def set_look(axes: Axes, title: str) -> None:
    """Set the style of axes with curves or bars, and any text as title, on one line.

    The beginning of a long title is cut; characters that are missing in the font become "?".
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    font = get_font(findfont(FontProperties()))
    shown = "".join(c if c.isprintable() and font.get_char_index(ord(c)) else "?" for c in title)
    if len(shown) > TITLE_CHARACTERS:
        shown = "..." + shown[3 - TITLE_CHARACTERS :]
    axes.set_title(shown, loc="left", fontsize=10, parse_math=False)


def save_png(figure: Figure, path: Path) -> None:
    """Write a PNG atomically, without a date or a version in it."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
