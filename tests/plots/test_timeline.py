"""Pictures are whole, equal byte for byte, and drawn for any title and any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from vad_toolkit.errors import InputError
from vad_toolkit.plots.distributions import plot_curve
from vad_toolkit.plots.timeline import plot_scores

SCORES = np.repeat(np.array([0.1, 0.8, 0.2], np.float32), 16)
LABELS = np.repeat(np.array([0, 1, 0], np.uint8), 16)


def colours(path: Path) -> set[tuple[int, ...]]:
    pixels = (imread(path)[..., :3] * 255).round().astype(int)
    return {tuple(pixel) for pixel in np.unique(pixels.reshape(-1, 3), axis=0)}


ALARM = (0xD1, 0x49, 0x5B)
SCORE = (0x1F, 0x4E, 0x79)


def test_a_picture_has_what_was_asked_for(tmp_path: Path) -> None:
    plot_scores(tmp_path / "bare.png", SCORES)
    plot_scores(tmp_path / "full.png", SCORES, labels=LABELS, alarms=[(16, 32)], threshold=0.5)
    assert imread(tmp_path / "bare.png").shape == (360, 1200, 4)
    assert SCORE in colours(tmp_path / "bare.png")
    assert ALARM not in colours(tmp_path / "bare.png")
    assert ALARM in colours(tmp_path / "full.png")


def test_bytes_are_equal_and_no_other_file_is_left(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        plot_scores(tmp_path / "deep" / name, SCORES, labels=LABELS, fps=25.0, title="x")
    first, second = ((tmp_path / "deep" / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    assert b"Software" not in first
    assert len(list((tmp_path / "deep").iterdir())) == 2


@pytest.mark.parametrize(
    "title", ["", "a$b$c_{", "\u65e5\u672c\U0001f600", "two\nlines\x00", "long " * 99]
)
def test_any_title_is_drawn(tmp_path: Path, title: str) -> None:
    plot_scores(tmp_path / "a.png", SCORES, title=title)
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize("scores", [[0.5], [0.0, 0.0], [-3.0, 7.5]])
@pytest.mark.parametrize("fps", [None, 25.0, 1e-3])
def test_any_scores_are_drawn(tmp_path: Path, scores: list[float], fps: float | None) -> None:
    plot_scores(tmp_path / "a.png", np.array(scores), fps=fps, threshold=0.5)
    assert (tmp_path / "a.png").exists()


def test_wrong_input_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"with at least one frame, got \(0,\)"):
        plot_scores(tmp_path / "a.png", np.zeros(0))
    with pytest.raises(InputError, match="expected one label per score, got 3 for 48"):
        plot_scores(tmp_path / "a.png", SCORES, labels=LABELS[:3])
    assert list(tmp_path.iterdir()) == []


def test_curves_of_any_length_are_drawn(tmp_path: Path) -> None:
    for points in (2, 5000):
        x = np.linspace(0, 1, points)
        plot_curve(
            tmp_path / f"{points}.png",
            x,
            x**0.5,
            x_label="x",
            y_label="y",
            title="curve",
            chance=((0, 0), (1, 1)),
        )
        assert imread(tmp_path / f"{points}.png").shape == (528, 528, 4)
