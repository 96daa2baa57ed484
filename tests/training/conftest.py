"""A small labeled pack and manifest, made by code, that a head can learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.manifest import Entry, read_manifest, write_manifest
from vad_toolkit.models.config import DataConfig, TrainConfig
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe, load_recipe
from vad_toolkit.training.data import (
    TrainingSource,
    VideoTensors,
    open_training_source,
    read_training_set,
)
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.run_folder import RunResult
from vad_toolkit.training.train import train

DIM = 8
SMALL = {
    "steps": 6,
    "pairs": 3,
    "log_every": 2,
    "tensorboard": False,
    "data.segments": 12,
    "validation.every": 3,
    "head.width": 8,
    "head.activate_hidden": 4,
    "head.stream_width": 4,
    "head.nodes": 2,
    "head.node_width": 4,
    "head.score_hidden": [8, 4],
}


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return load_recipe("i3d-rgb-center")


@dataclass(frozen=True)
class Files:
    """A pack and its manifest."""

    pack: Path
    manifest: Path

    def train(self, out: Path, config: TrainConfig, **options: Any) -> tuple[RunResult, ...]:
        """Train on the CPU, unless a device is given, and return the result of each run."""
        return train(
            self.pack, self.manifest, out, config=config, **{"device": "cpu", **options}
        ).runs

    def source(self, data: DataConfig, **changes: Path) -> TrainingSource:
        """Open the training source; `pack` or `manifest` may be another one."""
        files = {**vars(self), **changes}
        return open_training_source(files["pack"], read_manifest(files["manifest"]), data)

    def load(
        self, data: DataConfig, progress: ProgressCallback = silent, **changes: Path
    ) -> VideoTensors:
        """Read the training set; `pack` or `manifest` may be another one."""
        return read_training_set(self.source(data, **changes), progress)


def entries(normal: int, abnormal: int) -> list[Entry]:
    """normal/n0 ... and abnormal/a0 ..., labels only, as training manifests are."""
    return [
        *(Entry(id=f"normal/n{i}", path=f"normal/n{i}.mp4", label=0) for i in range(normal)),
        *(Entry(id=f"abnormal/a{i}", path=f"abnormal/a{i}.mp4", label=1) for i in range(abnormal)),
    ]


def write_dataset(folder: Path, recipe: Recipe, listed: list[Entry]) -> Files:
    """Videos of 10 to 29 snippets; two snippets of an abnormal one stand out."""
    generator = np.random.default_rng(0)

    def videos() -> Iterator[tuple[str, VideoFeatures]]:
        for entry in listed:
            snippets = int(generator.integers(10, 30))
            features = generator.standard_normal((snippets, recipe.crop_count, DIM))
            if entry.label:
                features[3:5] += 3.0
            frames = snippets * recipe.step
            meta = VideoMeta(
                frames=frames,
                frames_reported=frames,
                frames_duplicated=0,
                fps=25.0,
                width=320,
                height=240,
                source_sha256="0" * 64,
                decoder="made by a test",
                decoder_version="1",
            )
            yield entry.id, VideoFeatures(meta, {"rgb": features.astype(np.float16)})

    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "pack.h5", folder / "train.jsonl")
    write_pack(files.pack, recipe, videos(), dataset="test")
    write_manifest(files.manifest, listed)
    return files


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Files:
    """10 normal and 10 abnormal videos; do not write into its folder."""
    return write_dataset(tmp_path_factory.mktemp("dataset"), recipe, entries(10, 10))


@pytest.fixture
def small_config() -> TrainConfig:
    return load_config("clav-como", SMALL)
