"""A small dataset, and its features as files of each layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.core.crops import crop_index, crop_order
from vad_toolkit.datasets.manifest import Entry, Manifest

Features = Mapping[str, np.ndarray]
WriteFiles = Callable[..., Path]
WIDTH = 16

# Two abnormal videos, one with two events; names as benchmarks have them.
ENTRIES = (
    Entry(id="Normal/Normal_Videos_003_x264", path="n.mp4", label=0, frames=100,
          container_frames=101, events=()),
    Entry(id="Abuse/Abuse028_x264", path="a.mp4", label=1, frames=1412, container_frames=1413,
          fps=30.0, events=((165, 241),)),
    Entry(id="Films/Bad.Boys.1995__#01-11-55 übel=1_label_G-B2", path="b.mp4", label=1, frames=352,
          container_frames=352, events=((0, 16), (300, 352))),
)  # fmt: skip


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(ENTRIES, "made-up")


@pytest.fixture
def features() -> Features:
    """float32 (N, 10, 16) by id, N by rule rtfm, crops as torchvision has them: all differ."""
    rng = np.random.default_rng(0)
    made = {}
    for entry in ENTRIES:
        snippets = -(-(entry.frames or 0) // 16)
        scene = rng.gamma(0.5, 1, (snippets, 1, WIDTH))
        made[entry.id] = (scene + rng.gamma(0.5, 0.3, (snippets, 10, WIDTH))).astype(np.float32)
    return made


@pytest.fixture
def write_files(tmp_path: Path) -> WriteFiles:
    """Write features as files of a layout, with crops in a named order, under published names."""

    def write(
        features: Features, layout: str = "rtfm", order: str = "torchvision", folder: str = "files"
    ) -> Path:
        root = tmp_path / folder
        root.mkdir()
        for id, array in features.items():
            name = id.rpartition("/")[2]
            count = array.shape[1]
            index = crop_index(crop_order("torchvision", count), crop_order(order, count))
            crops = array[:, index]
            if layout == "rtfm":
                np.save(root / f"{name}_i3d.npy", crops)
            elif layout == "ten-first":
                np.save(root / f"{name}.npy", crops.transpose(1, 0, 2))
            elif layout == "per-crop":
                for crop in range(count):
                    np.save(root / f"{name}__{crop}.npy", crops[:, crop])
            elif layout == "video-features":
                np.save(root / f"{name}_rgb.npy", crops[:, 0].astype(np.float64))
                np.save(root / f"{name}_flow.npy", -crops[:, 0].astype(np.float64))
            else:
                np.savetxt(root / f"{name}.txt", np.resize(crops[:, 0], (32, WIDTH)), fmt="%.9g")
        return root

    return write
