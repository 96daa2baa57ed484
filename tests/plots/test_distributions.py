"""Histograms are drawn for any counts, those of nothing too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from vad_toolkit.plots.distributions import Distribution, Panel, plot_distributions

EDGES = np.linspace(0, 1, 5)


def draw(path: Path, *counts: list[int], log: bool = False, panels: int = 1) -> np.ndarray:
    kinds = tuple(Distribution(f"kind {i}", np.array(c), 0.4) for i, c in enumerate(counts))
    panel = Panel("a panel", "a note", kinds)
    plot_distributions(path, EDGES, [panel] * panels, x_label="x", y_label="share", log=log)
    return imread(path)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "counts", [([0, 0, 0, 0], [0, 0, 0, 0]), ([9, 0, 0, 0], [0, 1, 10**7, 3]), ([0, 0, 1, 0],)]
)
def test_any_counts_are_drawn(tmp_path: Path, counts: tuple[list[int], ...], log: bool) -> None:
    assert draw(tmp_path / "a.png", *counts, log=log).shape[2] == 4


def test_what_differs_looks_different_and_what_is_equal_is_equal(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, [1, 2, 3, 4], [4, 3, 2, 1])
    first = (tmp_path / "a.png").read_bytes()
    assert first == (tmp_path / "b.png").read_bytes()
    draw(tmp_path / "c.png", [1, 2, 3, 4], [4, 3, 1, 2])
    assert first != (tmp_path / "c.png").read_bytes()


def test_panels_stand_above_each_other(tmp_path: Path) -> None:
    one, two = (draw(tmp_path / f"{n}.png", [1, 2, 3, 4], panels=n) for n in (1, 2))
    assert one.shape[0] < two.shape[0]
    assert one.shape[1] == two.shape[1]


def test_counts_of_other_bins_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="edges"):
        draw(tmp_path / "a.png", [1, 2, 3])
    assert not list(tmp_path.iterdir())
