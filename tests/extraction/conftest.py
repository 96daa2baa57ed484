"""Small videos, and a recipe whose network is the real one with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.recipes.recipe import Recipe, load_recipe
from vad_toolkit.video.encode import write_video
from vad_toolkit.weights.store import get_weights


def frames(count: int, seed: int, size: tuple[int, int] = (64, 96)) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    texture = generator.integers(0, 256, (*size, 3), np.uint8)
    return (np.roll(texture, 2 * index, axis=1) for index in range(count))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own with random weights: real plumbing, no download."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAD_HOME", str(folder))
        get_weights("i3d-rgb-random")
        yield folder


@pytest.fixture(scope="session")
def recipe(home: Path) -> Recipe:
    """Small crops: the network is the real one, the arithmetic a tenth."""
    small = {"weights": "i3d-rgb-random", "resize": 64, "crop_size": 64}
    return load_recipe("i3d-rgb-center", small)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three good videos and three bad files, in a folder with a space."""
    folder = tmp_path_factory.mktemp("some videos")
    for index, count in enumerate((20, 33, 16)):
        write_video(folder / "good" / f"{index}.mp4", frames(count, index), fps=8)
    (folder / "bad").mkdir()
    (folder / "bad" / "empty.mp4").touch()
    (folder / "bad" / "text.mp4").write_text("this is no video")
    whole = (folder / "good" / "1.mp4").read_bytes()
    (folder / "bad" / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    return folder
