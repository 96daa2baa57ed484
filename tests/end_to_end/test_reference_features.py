"""Features of real CCTV clips equal those made by an independent implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.recipes.recipe import load_recipe

CENTER_CLIPS = ("fight/fi001", "fight/fi054", "noFight/nofi107", "noFight/nofi070")
TEN_CROP_CLIPS = ("noFight/nofi070",)


def cosines(made: np.ndarray, expected: np.ndarray) -> np.ndarray:
    a, b = made.astype(np.float64), expected.astype(np.float64)
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.mark.parametrize(
    ("recipe", "clips", "crops"),
    [
        ("i3d-rgb-center", CENTER_CLIPS, slice(4, 5)),
        ("i3d-rgb-tencrop", TEN_CROP_CLIPS, slice(0, 10)),
    ],
)
def test_equal_to_the_reference(
    reference: Path, real_weights: str, recipe: str, clips: tuple[str, ...], crops: slice
) -> None:
    extractor = Extractor(load_recipe(recipe))
    for clip in clips:
        made = extractor.extract(reference / "cctv_fights" / f"{clip}.mp4").streams["rgb"]
        folder = reference / "features" / "cctv_fights_i3d_rgb"
        expected = np.load(folder / f"{Path(clip).name}.npy", allow_pickle=False)[:, crops]
        assert made.shape == expected.shape, clip
        assert cosines(made, expected).min() >= 0.9999, clip


def test_crops_are_told_apart(reference: Path) -> None:
    """The twin: in another crop order the same features do not pass."""
    folder = reference / "features" / "cctv_fights_i3d_rgb"
    expected = np.load(folder / "fi001.npy", allow_pickle=False)
    assert cosines(expected[:, ::-1], expected).min() < 0.999
