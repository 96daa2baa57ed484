"""The picture of an interaction is drawn for any sizes and values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from vad_toolkit.experiments.inspection.plot_interaction import plot_interaction


def draw(
    path: Path, frames: int = 64, nodes: int = 3, scale: float = 1.0, even: bool = False
) -> None:
    generator = np.random.default_rng(0)
    snippets = -(-frames // 16)
    reading = {
        name: scale * generator.standard_normal((nodes, snippets)) for name in ("motion", "context")
    }
    shares = generator.random((nodes, nodes)) + 0.1
    shares = np.full_like(shares, 1.0) if even else shares
    attention = {name: shares / shares.sum(axis=1, keepdims=True) for name in reading}
    labels = (np.arange(frames) < 20).astype(np.uint8)
    scores = np.linspace(0, 1, frames)
    plot_interaction(path, scores, labels, reading, attention, fps=25.0, title="a video")


@pytest.mark.parametrize(("frames", "nodes"), [(1, 1), (64, 3), (100_000, 16)])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
def test_any_size_is_drawn(tmp_path: Path, frames: int, nodes: int, scale: float) -> None:
    draw(tmp_path / "a.png", frames, nodes, scale)
    assert imread(tmp_path / "a.png").shape == (624, 1200, 4)


def test_bytes_are_equal_and_follow_the_maps(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    draw(tmp_path / "even.png", even=True)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "even.png").read_bytes()
