"""Small real videos, made once and copied, and entries by short names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.video.encode import write_video

MakeVideos = Callable[..., Path]


@pytest.fixture(scope="session")
def video_bytes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, bytes]:
    """MP4 files of 5 and of 8 frames at 10 frames a second, by their number of frames."""
    folder = tmp_path_factory.mktemp("videos")
    files = {}
    for frames in (5, 8):
        path = folder / f"{frames}.mp4"
        write_video(path, (np.full((32, 32, 3), 20 * i, np.uint8) for i in range(frames)), fps=10)
        files[frames] = path.read_bytes()
    return files


@pytest.fixture
def make_videos(tmp_path: Path, video_bytes: Mapping[int, bytes]) -> MakeVideos:
    """Make a folder of raw videos at the relative paths given; returns it."""

    def make(*paths: str, frames: int = 8) -> Path:
        root = tmp_path / "raw"
        root.mkdir(exist_ok=True)
        for path in paths:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(video_bytes[frames])
        return root

    return make


@pytest.fixture
def make_entry() -> Callable[..., Entry]:
    """An entry from an id and a label; its path is the id with .mp4."""

    def make(id: str, label: int = 0, **fields: Any) -> Entry:
        return Entry.model_validate({"id": id, "path": f"{id}.mp4", "label": label, **fields})

    return make


@pytest.fixture
def make_frames(tmp_path: Path) -> MakeVideos:
    """Make folders of frames, 000.jpg and so on, at the relative paths given; gives their root."""

    def make(*paths: str, frames: int = 8) -> Path:
        root = tmp_path / "raw"
        for path in paths:
            (root / path).mkdir(parents=True)
            for index in range(frames):
                Image.new("RGB", (32, 24), (9 * index, 0, 0)).save(root / path / f"{index:03}.jpg")
        return root

    return make
